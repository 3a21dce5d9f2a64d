//! Which protocols are followed: `--protocols none|http1,http2,tls`.

use shutdown_probe_common::framing::protocol;
use std::str::FromStr;

/// A set of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Protocols {
    mask: u64,
}

/// A protocol by its name on the command line and in JSON.
const NAMES: [(&str, u8); 3] =
    [("http1", protocol::HTTP1), ("http2", protocol::HTTP2), ("tls", protocol::TLS)];

/// What switches all of them off.
const NONE: &str = "none";

/// A name that is no protocol's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown protocol {0:?}: give none, or some of http1, http2, tls with commas between them")]
pub struct UnknownProtocol(String);

impl Protocols {
    /// All that can be followed.
    pub const ALL: Self = Self { mask: 1 << protocol::HTTP1 | 1 << protocol::HTTP2 | 1 << protocol::TLS };

    /// Whether payload is looked at at all.
    pub fn is_empty(self) -> bool {
        self.mask == 0
    }

    /// Bit n for protocol n, as the kernel side takes it. What is not recognised yet is looked at.
    pub(super) fn mask(self) -> u64 {
        self.mask | 1 << protocol::UNSEEN
    }
}

impl TryFrom<String> for Protocols {
    type Error = UnknownProtocol;

    fn try_from(text: String) -> Result<Self, UnknownProtocol> {
        text.parse()
    }
}

impl FromStr for Protocols {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        if text == NONE {
            return Ok(Self { mask: 0 });
        }
        let mask = text.split(',').map(|name| {
            let known = NAMES.iter().find(|(known, _)| *known == name.trim());
            known.map(|(_, number)| 1 << number).ok_or_else(|| UnknownProtocol(name.to_owned()))
        });
        mask.collect::<Result<Vec<u64>, _>>()
            .map(|bits| Self { mask: bits.iter().fold(0, |mask, bit| mask | bit) })
    }
}

impl std::fmt::Display for Protocols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.iter().filter(|(_, number)| self.mask & (1 << number) != 0).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        f.write_str(if names.is_empty() { NONE } else { "" })?;
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_read_and_written_alike() {
        for text in ["none", "http1", "http2,tls", "http1,http2,tls"] {
            assert_eq!(text.parse::<Protocols>().unwrap().to_string(), text);
        }
        assert_eq!("http1, tls".parse::<Protocols>().unwrap().to_string(), "http1,tls");
        assert!("none".parse::<Protocols>().unwrap().is_empty());
        assert_eq!(Protocols::ALL.to_string(), "http1,http2,tls");
    }

    #[test]
    fn others_are_refused_by_name() {
        let error = "http1,spdy".parse::<Protocols>().unwrap_err();
        assert!(error.to_string().contains("\"spdy\""), "{error}");
        assert!("".parse::<Protocols>().is_err());
    }
}
