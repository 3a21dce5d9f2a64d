//! How long a preStop should sleep, from what recent terminations measured.

use crate::report::Recommendation;
use core::time::Duration;
use std::collections::VecDeque;

/// How many terminations are remembered for each name.
const REMEMBERED: usize = 20;
/// With fewer, a recommendation says that it rests on little.
const ENOUGH: usize = 3;
/// Added to the measured tail.
const MARGIN: Duration = Duration::from_secs(1);
/// The grace period that Kubernetes gives where nobody says otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// The last arrivals of recent terminations of one name.
#[derive(Debug, Default)]
pub(crate) struct History {
    last_arrivals: VecDeque<Duration>,
}

impl History {
    /// One more termination; `last_arrival` is zero where nobody came late.
    pub fn add(&mut self, last_arrival: Duration) {
        if self.last_arrivals.len() == REMEMBERED {
            self.last_arrivals.pop_front();
        }
        self.last_arrivals.push_back(last_arrival);
    }

    /// The 99th percentile of the last arrival plus a margin, rounded up, at most half the grace period.
    pub fn recommend(&self, grace: Option<Duration>) -> Option<Recommendation> {
        let mut sorted: Vec<_> = self.last_arrivals.iter().copied().collect();
        sorted.sort();
        // Nearest rank: with at most 20 values the 99th percentile is the largest.
        let rank = (sorted.len() * 99).div_ceil(100);
        let tail = *sorted.get(rank.checked_sub(1)?)?;
        let limit = grace.unwrap_or(DEFAULT_GRACE).as_secs() / 2;
        let wanted =
            if tail.is_zero() { 0 } else { (tail + MARGIN).as_nanos().div_ceil(1_000_000_000) as u64 };
        Some(Recommendation {
            pre_stop_seconds: wanted.min(limit),
            terminations: sorted.len(),
            reason: reason(tail, wanted, limit, sorted.len()),
        })
    }
}

fn reason(tail: Duration, wanted: u64, limit: u64, terminations: usize) -> String {
    let rests = match terminations {
        1 => "the only termination seen".to_owned(),
        count => format!("the last {count} terminations"),
    };
    let caution = if terminations < ENOUGH { "; too few to rely on" } else { "" };
    if tail.is_zero() {
        return format!("no connection came after the stop signal in {rests}{caution}");
    }
    let tail = tail.as_secs_f64();
    let cap =
        if wanted > limit { format!(", cut to half the grace period ({limit} s)") } else { String::new() };
    format!("in {rests} the last connection came {tail:.2} s after the stop signal; plus 1 s{cap}{caution}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(millis: &[u64]) -> History {
        let mut history = History::default();
        millis.iter().for_each(|&millis| history.add(Duration::from_millis(millis)));
        history
    }

    #[test]
    fn it_covers_the_tail_with_a_margin() {
        let found =
            history(&[100, 2_300, 900]).recommend(Some(Duration::from_secs(30))).expect("three are enough");
        assert_eq!((found.pre_stop_seconds, found.terminations), (4, 3));
        assert!(!found.reason.contains("too few"));
    }

    #[test]
    fn it_says_what_it_rests_on() {
        assert_eq!(history(&[]).recommend(None), None);
        assert!(history(&[0]).recommend(None).is_some_and(|found| found.reason.contains("too few")));
        assert_eq!(history(&[0, 0, 0]).recommend(None).map(|found| found.pre_stop_seconds), Some(0));
    }

    #[test]
    fn it_never_takes_more_than_half_the_grace() {
        let found = history(&[20_000; 25]).recommend(Some(Duration::from_secs(10)));
        assert_eq!(found.map(|found| (found.pre_stop_seconds, found.terminations)), Some((5, 20)));
    }
}
