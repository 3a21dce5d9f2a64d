//! Terminations line by line, as they happen.

use super::list::{name, verdict};
use super::paint::Paint;
use super::text::{time, wrapped};
use super::timeline::lines;
use shutdown_probe_core::report::{State, Termination, TimelineEntry};
use std::collections::{HashMap, HashSet, VecDeque};

/// How many complete terminations are remembered, so as not to tell them twice.
const REMEMBERED: usize = 10_000;

/// What was told so far.
#[derive(Debug, Default)]
pub struct Progress {
    paint: Paint,
    in_progress: HashMap<String, HashSet<(u64, String)>>,
    complete: HashSet<String>,
    in_order: VecDeque<String>,
}

impl Progress {
    /// Nothing yet.
    pub fn new(paint: Paint) -> Self {
        Self { paint, ..Self::default() }
    }

    /// Passes over a termination without telling it: it was complete before we began.
    pub fn skip(&mut self, id: &str) {
        self.in_progress.remove(id);
        if self.complete.insert(id.to_owned()) {
            self.in_order.push_back(id.to_owned());
        }
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.complete.remove(&oldest);
        }
    }

    /// What is new in this report; empty if nothing is.
    pub fn tell(&mut self, termination: &Termination) -> String {
        if self.complete.contains(&termination.id) {
            return String::new();
        }
        let told = self.in_progress.entry(termination.id.clone()).or_default();
        let mut text = String::new();
        // An entry may come late and stand before others that were told: what is new is not a suffix.
        let is_new = |entry: &&TimelineEntry| told.insert((entry.at.to_bits(), entry.text.clone()));
        let news: Vec<_> = termination.timeline.iter().filter(is_new).collect();
        for news in lines(&news) {
            let line = line(termination, news.first.at, &news.text);
            text.push_str(&if news.is_loss() { self.paint.bad(&line) } else { line });
        }
        if termination.state == State::Complete {
            text.push_str(&conclusion(termination, self.paint));
            self.skip(&termination.id);
        }
        text
    }
}

fn line(termination: &Termination, at: f64, what: &str) -> String {
    let at = time("%H:%M:%S%.3f", at);
    wrapped(&format!("{at} "), &format!("{}: {what}", name(termination)))
}

fn conclusion(termination: &Termination, paint: Paint) -> String {
    let last = termination.timeline.last().map_or(termination.began_at, |entry| entry.at);
    let cause = termination.cause.as_str();
    let over = line(termination, last, &format!("over ({cause}): {}", termination.summary));
    let mut text = verdict(termination, paint, &over);
    if !termination.measured.complete {
        let reasons = termination.measured.reasons.join("; ");
        text.push_str(&wrapped("             ! ", &format!("not everything could be measured: {reasons}")));
    }
    for advice in &termination.advice {
        text.push_str(&wrapped("             > ", advice));
    }
    for change in &termination.changes {
        text.push_str(&wrapped("             > ", &change.what));
        text.push_str(&paint.faint(&wrapped("               why: ", &change.reason)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn each_entry_is_told_once_and_the_end_concludes() {
        let mut progress = Progress::default();
        let complete = sample::termination();
        let mut begun = Termination { state: State::InProgress, ..complete.clone() };
        begun.timeline.truncate(1);
        assert_eq!(
            progress.tell(&begun),
            "14:13:20.000 web.service: SIGTERM was sent to node (1234), which handles it\n"
        );
        assert_eq!(progress.tell(&begun), "");
        let expected = "\
14:13:20.003 web.service: node (1234) exited with status 0
14:13:20.003 web.service: over (exited_without_drain): It exited 3 ms after
             SIGTERM with 3 requests unanswered.
             > Stop accepting, finish the requests in flight, then exit.
";
        assert_eq!(progress.tell(&complete), expected);
        assert_eq!(progress.tell(&complete), "");
    }

    #[test]
    fn an_entry_that_comes_late_is_told_all_the_same() {
        let mut progress = Progress::default();
        let mut termination = Termination { state: State::InProgress, ..sample::termination() };
        progress.tell(&termination);
        let late = TimelineEntry {
            at: 1_790_000_000.001,
            after_seconds: 0.001,
            event: "listener_closed".into(),
            text: "late".into(),
        };
        termination.timeline.insert(1, late);
        assert_eq!(progress.tell(&termination), "14:13:20.001 web.service: late\n");
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let mut termination = sample::termination();
        termination.container.name = "\x1b[1A\nroot".into();
        let text = Progress::default().tell(&termination);
        assert!(!text.contains('\x1b') && text.lines().all(|line| line.starts_with(['1', ' '])));
    }

    #[test]
    fn what_was_complete_before_is_not_told() {
        let mut progress = Progress::default();
        let termination = sample::termination();
        progress.skip(&termination.id);
        assert_eq!(progress.tell(&termination), "");
    }
}
