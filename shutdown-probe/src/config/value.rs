//! Values as people write them: durations with units, sizes with units, signals by name.

use jiff::{Span as CalendarSpan, SpanRelativeTo};
use serde::Deserialize;
use shutdown_probe_core::signal::{self, SIGKILL};
use std::str::FromStr;
use std::time::Duration;

/// SIGSTOP: like SIGKILL it cannot be handled, so it stops nothing in an orderly way.
const SIGSTOP: u32 = 19;

/// A length of time, such as `10s`, `1h 30m`, `250ms` or `7d`; a day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let none = |_| format!("{text:?} is no duration; write 10s, 250ms, 1h 30m or 7d");
        let span: CalendarSpan = text.parse().map_err(none)?;
        let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(none)?;
        Duration::try_from(span).map(Self).map_err(|_| format!("{text:?} is negative"))
    }
}

/// A number of bytes, such as `8MiB`, `512KiB` or `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct ByteSize(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for ByteSize {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        match value {
            NumberOrText::Number(bytes) => Ok(Self(bytes)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match &text[digits.len()..] {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(format!("{text:?} has no unit of KiB, MiB or GiB")),
        };
        let number: u64 = digits.trim_end().parse().map_err(|_| format!("{text:?} is no size"))?;
        number.checked_mul(unit).map(Self).ok_or_else(|| format!("{text:?} is too large"))
    }
}

/// A signal that can ask a process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct StopSignal(pub u32);

impl FromStr for StopSignal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match signal::number(text.trim()) {
            Some(SIGKILL | SIGSTOP) => Err(format!("{text} cannot be handled: it is no stop signal")),
            Some(number) => Ok(Self(number)),
            None => Err(format!("{text:?} is no signal; write SIGTERM, TERM or 15")),
        }
    }
}

macro_rules! from_string {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}

from_string!(Span, StopSignal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_and_a_direction() {
        assert_eq!("10s".parse(), Ok(Span(Duration::from_secs(10))));
        assert_eq!("1h 30m".parse(), Ok(Span(Duration::from_secs(5400))));
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        assert_eq!("7d".parse(), Ok(Span(Duration::from_secs(7 * 86_400))));
        for wrong in ["10", "", "ten seconds", "-3s", "2 months"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!("8MiB".parse(), Ok(ByteSize(8 << 20)));
        assert_eq!("512 KiB".parse(), Ok(ByteSize(512 << 10)));
        assert_eq!("4096".parse(), Ok(ByteSize(4096)));
        for wrong in ["", "MiB", "8MB", "-1", "99999999999GiB", "1.5MiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn signals_that_cannot_be_handled_stop_nothing() {
        assert_eq!("sigterm".parse(), Ok(StopSignal(15)));
        assert_eq!("37".parse(), Ok(StopSignal(37)));
        for wrong in ["KILL", "19", "0", "SIGNOPE", ""] {
            assert!(wrong.parse::<StopSignal>().is_err(), "{wrong:?}");
        }
    }
}
