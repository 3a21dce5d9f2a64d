//! What a rustc says of itself.

/// The answer to `rustc -vV`.
#[derive(Debug, PartialEq, Eq)]
pub struct Version {
    /// Like `1.96.0` or `1.97.0-nightly`.
    pub release: String,
    /// The major version of the LLVM it writes bitcode with.
    pub llvm: u32,
}

impl Version {
    /// Nothing if it is not the answer of a rustc built on LLVM.
    pub fn parse(verbose: &str) -> Option<Self> {
        let field = |name| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let llvm = field("LLVM version:")?.split('.').next()?.parse().ok()?;
        Some(Self { release: field("release:")?.to_owned(), llvm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_llvm_are_read() {
        let verbose = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                       release: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        let expected = Version { release: "1.97.0-nightly".into(), llvm: 22 };
        assert_eq!(Version::parse(verbose), Some(expected));
    }

    #[test]
    fn another_backend_has_no_version() {
        assert_eq!(Version::parse("rustc 1.97.0\nrelease: 1.97.0\n"), None);
        assert_eq!(Version::parse(""), None);
    }
}
