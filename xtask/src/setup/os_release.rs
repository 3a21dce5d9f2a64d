//! Which distribution this is: os-release(5).

use std::fs;

/// The fields that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    id: String,
    id_like: Vec<String>,
    pretty_name: Option<String>,
}

impl OsRelease {
    /// Empty where there is no such file.
    pub fn of_this_machine() -> Self {
        ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let field = |name| {
            let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
            assignments.filter(|(key, _)| *key == name).map(|(_, value)| unquote(value)).next_back()
        };
        Self {
            id: field("ID").unwrap_or_default().to_owned(),
            id_like: field("ID_LIKE").unwrap_or_default().split_whitespace().map(String::from).collect(),
            pretty_name: field("PRETTY_NAME").map(String::from),
        }
    }

    /// Whether apt and Debian's package names are to be expected.
    pub fn is_debian(&self) -> bool {
        self.id == "debian" || self.id_like.iter().any(|like| like == "debian")
    }

    pub fn name(&self) -> &str {
        self.pretty_name.as_deref().unwrap_or("this system")
    }
}

/// None of the fields read here may contain what a shell would have to escape.
fn unquote(value: &str) -> &str {
    let quoted = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_is_debian() {
        let os = OsRelease::parse(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
        );
        assert!(os.is_debian());
        assert_eq!(os.name(), "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn descendants_are_debian() {
        assert!(OsRelease::parse("ID=ubuntu\nID_LIKE=debian\n").is_debian());
        assert!(OsRelease::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").is_debian());
        assert!(OsRelease::parse("ID='debian'\n").is_debian());
    }

    #[test]
    fn others_are_not() {
        assert!(!OsRelease::parse("ID=fedora\nID_LIKE=\"rhel\"\nNAME=debian\n").is_debian());
        assert!(!OsRelease::default().is_debian());
        assert_eq!(OsRelease::default().name(), "this system");
    }
}
