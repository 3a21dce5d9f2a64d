//! The API server's clock next to ours. It dates deletions, in whole seconds.

use crate::clock::boot_now;
use jiff::Timestamp;
use shutdown_probe_core::identity::KernelInstant;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// From this difference on it is worth a word: whole seconds and the way take up to two.
pub const WORTH_A_WORD: Duration = Duration::from_secs(3);
/// How far a date may lie from its arrival and still be the same moment: a whole second, and the way.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// By how much the server's clock is ahead of ours, in milliseconds.
#[derive(Debug, Default)]
pub struct ServerClock(AtomicI64);

impl ServerClock {
    /// Learns from something that was dated by the server a moment ago. Gives the difference, if it is worth a word.
    pub fn learn(&self, dated: Timestamp, now: Timestamp) -> Option<i64> {
        // A date of whole seconds is half a second old on average.
        let ahead = dated.as_millisecond() + 500 - now.as_millisecond();
        self.0.store(ahead, Ordering::Relaxed);
        (ahead.unsigned_abs() >= WORTH_A_WORD.as_millis() as u64).then_some(ahead)
    }

    /// A date of the server on our clock.
    pub fn ours(&self, dated: Timestamp) -> KernelInstant {
        let ahead = self.0.load(Ordering::Relaxed);
        let ahead = if ahead.unsigned_abs() < WORTH_A_WORD.as_millis() as u64 { 0 } else { ahead };
        let age = Timestamp::now().as_millisecond() - (dated.as_millisecond() - ahead);
        let age_ns = age.saturating_mul(1_000_000);
        KernelInstant(boot_now().0.saturating_add_signed(age_ns.saturating_neg()))
    }

    /// When something began that the server dates and that was heard of now: the arrival is the finer clock, unless
    /// the news is old.
    pub fn began(&self, dated: Timestamp, heard: KernelInstant) -> KernelInstant {
        let dated = self.ours(dated);
        if heard.since(dated) <= SAME_MOMENT { heard } else { dated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::from_millisecond(Timestamp::now().as_millisecond() - seconds * 1_000).expect("a date")
    }

    #[test]
    fn a_clock_that_agrees_is_no_news() {
        let clock = ServerClock::default();
        assert_eq!(clock.learn(ago(0), ago(0)), None);
        assert_eq!(clock.learn(ago(1), ago(0)), None);
        let heard = boot_now();
        assert_eq!(clock.began(ago(1), heard), heard, "the arrival is finer than a second");
        let old = heard.since(clock.began(ago(20), heard)).as_secs_f64();
        assert!((19.9..20.1).contains(&old), "{old}");
    }

    #[test]
    fn a_clock_that_is_ahead_or_behind_is_corrected() {
        for ahead in [-40, 40] {
            let clock = ServerClock::default();
            let told = clock.learn(ago(-ahead), ago(0)).expect("worth a word");
            assert!((told - ahead * 1_000 - 500).abs() < 50, "{told}");
            let heard = boot_now();
            assert_eq!(clock.began(ago(-ahead), heard), heard);
            let old = heard.since(clock.began(ago(20 - ahead), heard)).as_secs_f64();
            assert!((19.0..21.0).contains(&old), "{old}");
        }
    }
}
