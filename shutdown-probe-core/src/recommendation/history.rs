//! What recent terminations of one workload measured, and the numbers that follow.

use super::whole_seconds;
use crate::command::Labels;
use crate::report::Recommendation;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// How many terminations are remembered for each name.
const REMEMBERED: usize = 20;
/// With fewer, a recommendation says that it rests on little.
const ENOUGH: usize = 3;
/// Added to what was measured.
pub(super) const MARGIN: Duration = Duration::from_secs(1);
/// The grace period that Kubernetes gives where nobody says otherwise.
pub(super) const DEFAULT_GRACE: Duration = Duration::from_secs(30);
/// How many names are kept at most.
const NAMES: usize = 1 << 16;

/// What terminations have in common that follow each other: without Kubernetes the path, in it the workload and the
/// container's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Path(String),
    Workload(Labels),
}

/// The histories of all names.
#[derive(Debug, Default)]
pub(crate) struct Histories(BTreeMap<Name, History>);

impl Histories {
    /// One more termination of this name.
    pub fn add(&mut self, name: Name, sample: Sample) {
        if self.0.len() >= NAMES && !self.0.contains_key(&name) {
            self.0.pop_first();
        }
        self.0.entry(name).or_default().add(sample);
    }

    pub fn get(&self, name: &Name) -> Option<&History> {
        self.0.get(name)
    }
}

/// What one termination measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// How long after the deletion, or the stop signal, the last connection came; zero where none did. Nothing where
    /// clients were not to be sent elsewhere: the pod went on.
    pub last_arrival: Option<Duration>,
    /// The above counts from the deletion of the pod.
    pub from_deletion: bool,
    /// How long it took to end after a stop signal that it handled, where it ended by itself and cut nothing.
    pub drain: Option<Duration>,
    /// The stop signal.
    pub signal: Option<u32>,
    /// Requests cut in the server's hands.
    pub cut: u64,
    /// Connections drained.
    pub drained: u64,
}

/// The recent terminations of one name, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
}

/// What terminations by one stop signal came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BySignal {
    pub terminations: usize,
    pub cut: u64,
    pub drained: u64,
}

impl History {
    fn add(&mut self, sample: Sample) {
        if self.samples.len() == REMEMBERED {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The 99th percentile of the last arrival, zero where nobody came late.
    fn tail(&self) -> Duration {
        percentile_99(self.last_arrivals()).unwrap_or_default()
    }

    fn last_arrivals(&self) -> impl Iterator<Item = Duration> {
        self.samples.iter().filter_map(|sample| sample.last_arrival)
    }

    /// The preStop sleep that outlasts the tail, in seconds, before it is cut to what the grace period allows.
    pub(super) fn wanted_pre_stop(&self) -> u64 {
        let tail = self.tail();
        if tail.is_zero() { 0 } else { whole_seconds(tail + MARGIN) }
    }

    /// The 99th percentile of the time that a whole drain took, and how many there were.
    pub(super) fn drain(&self) -> Option<(Duration, usize)> {
        let drains = || self.samples.iter().filter_map(|sample| sample.drain);
        Some((percentile_99(drains())?, drains().count()))
    }

    /// The 99th percentile of the last arrival plus a margin, rounded up, at most half the grace period.
    pub fn recommend(&self, grace: Option<Duration>) -> Option<Recommendation> {
        let terminations = self.last_arrivals().count();
        if terminations == 0 {
            return None;
        }
        let wanted = self.wanted_pre_stop();
        let limit = grace.unwrap_or(DEFAULT_GRACE).as_secs() / 2;
        let cut = (wanted > limit).then_some(limit);
        Some(Recommendation { pre_stop_seconds: wanted.min(limit), terminations, reason: self.reason(cut) })
    }

    /// Why a sleep is as long as it is. `cut`: to half the grace period, in seconds.
    pub(super) fn reason(&self, cut: Option<u64>) -> String {
        let (rests, caution) = rests_on(self.last_arrivals().count(), "termination");
        let from_deletion = self.samples.iter().any(|sample| sample.from_deletion);
        let begin = if from_deletion { "the deletion of the pod" } else { "the stop signal" };
        let tail = self.tail();
        if tail.is_zero() {
            return format!("no connection came after {begin} in {rests}{caution}");
        }
        let tail = tail.as_secs_f64();
        let cut = cut.map_or_else(String::new, |limit| format!(", cut to half the grace period ({limit} s)"));
        format!("in {rests} the last connection came {tail:.2} s after {begin}; plus 1 s{cut}{caution}")
    }

    /// What terminations came to, by their stop signal.
    pub(super) fn by_signal(&self) -> BTreeMap<u32, BySignal> {
        let mut found: BTreeMap<u32, BySignal> = BTreeMap::new();
        for sample in &self.samples {
            let Some(signal) = sample.signal else { continue };
            let by = found.entry(signal).or_default();
            by.terminations += 1;
            by.cut += sample.cut;
            by.drained += sample.drained;
        }
        found
    }
}

/// What was measured so often, and a word of caution where that is not often enough.
pub(super) fn rests_on(times: usize, what: &str) -> (String, &'static str) {
    let rests = match times {
        1 => format!("the only {what} seen since the probe began"),
        times => format!("the last {times} {what}s"),
    };
    (rests, if times < ENOUGH { "; too few to rely on" } else { "" })
}

/// Nearest rank: with at most 20 values the 99th percentile is the largest.
fn percentile_99(values: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort();
    let rank = (sorted.len() * 99).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(millis: &[u64]) -> History {
        let mut history = History::default();
        for &millis in millis {
            history.add(Sample { last_arrival: Some(Duration::from_millis(millis)), ..Sample::default() });
        }
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

    #[test]
    fn names_are_bounded() {
        let mut histories = Histories::default();
        for number in 0..=NAMES {
            histories.add(Name::Path(format!("/{number:08}")), Sample::default());
        }
        assert_eq!(histories.0.len(), NAMES);
        assert!(histories.get(&Name::Path(format!("/{NAMES:08}"))).is_some());
    }
}
