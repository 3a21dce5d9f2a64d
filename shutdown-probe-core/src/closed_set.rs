//! Closed sets whose names appear in JSON, metrics and documents.

/// Declares an enum with `ALL` and `as_str`, serialised by its name.
macro_rules! closed_set {
    ($(#[$doc:meta])* $set:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $set { $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)* }

        impl $set {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in JSON, metrics and documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}
pub(crate) use closed_set;
