//! What can be typed after `report --prometheus`.

use clap::{Args, ValueEnum};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const HEADING: &str = "A whole cluster";

/// Where the numbers of a whole cluster are, and how they are to be shown.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = HEADING)]
pub struct FleetOptions {
    /// Ask this Prometheus instead of a daemon, or whatever speaks its API: Thanos, Mimir, VictoriaMetrics. A path in
    /// the URL is kept
    #[arg(long, value_name = "URL", env = "SHUTDOWN_PROBE_PROMETHEUS", conflicts_with = "id")]
    pub prometheus: Option<String>,
    /// Send this header, too: 'X-Scope-OrgID: team'. Can be given several times
    #[arg(long, value_name = "NAME: VALUE", requires = "prometheus")]
    pub prometheus_header: Vec<Header>,
    /// Send the bearer token that is in this file
    #[arg(long, value_name = "FILE", env = "SHUTDOWN_PROBE_PROMETHEUS_TOKEN_FILE", requires = "prometheus")]
    pub prometheus_token_file: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_name = "FORMAT", requires = "prometheus", conflicts_with = "json")]
    pub output: Option<Format>,
}

/// How a scorecard is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal of 80 columns
    #[default]
    Table,
    /// For an issue or a wiki
    Markdown,
    /// For programs
    Json,
}

/// A header to be sent along. Its value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

impl FromStr for Header {
    type Err = String;

    // The value stays out of every message.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("a header is written 'Name: value'")?;
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err("the name of a header has letters, digits and dashes".into());
        }
        let value = value.trim();
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(format!("the value of the header {name} is empty or has control characters"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_is_not_shown() {
        let header: Header = "X-Scope-OrgID: team:a".parse().expect("a header");
        assert_eq!((header.name.as_str(), header.value.as_str()), ("X-Scope-OrgID", "team:a"));
        assert_eq!(format!("{header:?}"), "X-Scope-OrgID: …");
        for wrong in ["nothing", ": value", "a b: c", "a:", "a: b\r\nc: d"] {
            let error = wrong.parse::<Header>().expect_err(wrong);
            assert!(!error.contains("c: d"), "{error}");
        }
    }
}
