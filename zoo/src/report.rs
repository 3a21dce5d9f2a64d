//! What the zoo says about a run of itself: a line a case, details of what differs, and a summary.

use crate::case::Case;
use crate::compare::Score;
use crate::terminal::{Style, styled};
use serde_json::{Value, json};
use std::time::Duration;

/// The verdict on one case.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub case: Case,
    /// What differs; none: it passed.
    pub differences: Vec<String>,
    /// What may help to see why.
    pub last_words: Vec<String>,
    /// Severed connections, found or not.
    pub score: Score,
    /// What the clients saw, in short.
    pub truth: String,
    /// Primary causes: the daemon's, or what the case expects where there is no daemon.
    pub causes: Vec<String>,
    /// How many of the daemon's causes are right, of how many.
    pub causes_right: (usize, usize),
    /// The longest time from an exit until its losses were counted in `/metrics`.
    pub counted_after: Option<Duration>,
    /// How long the scene took.
    pub took: Duration,
}

impl Verdict {
    /// Whether nothing differs.
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// The line of this case, and what differs.
    pub fn print(&self) {
        let word = if self.passed() { styled(Style::Good, "ok  ") } else { styled(Style::Bad, "FAIL") };
        let Score { severed, found, .. } = self.score;
        let causes = self.causes.join(", ");
        println!(
            "{:<26} {word} severed {found}/{severed}  {causes}  {} ms",
            self.case.name,
            self.took.as_millis()
        );
        if self.passed() {
            return;
        }
        println!("    shows: {}", self.case.about);
        println!("    clients: {}", self.truth);
        for difference in &self.differences {
            println!("    - {difference}");
        }
        for line in &self.last_words {
            println!("    | {line}");
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.case.name,
            "passed": self.passed(),
            "differences": self.differences,
            "severed": self.score.severed,
            "found": self.score.found,
            "false_alarms": self.score.false_alarms,
            "causes": self.causes,
            "counted_after_seconds": self.counted_after.map(|time| time.as_secs_f64()),
            "milliseconds": self.took.as_millis() as u64,
        })
    }
}

/// All verdicts together.
#[derive(Debug, Default)]
pub struct Summary {
    verdicts: Vec<Verdict>,
}

impl Summary {
    /// Takes one more.
    pub fn add(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
    }

    fn failed(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.passed()).count()
    }

    /// Whether every case passed.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    fn score(&self) -> Score {
        let mut sum = Score::default();
        for verdict in &self.verdicts {
            sum.severed += verdict.score.severed;
            sum.found += verdict.score.found;
            sum.false_alarms += verdict.score.false_alarms;
        }
        sum
    }

    fn causes_right(&self) -> (usize, usize) {
        let add = |sum: (usize, usize), verdict: &Verdict| {
            (sum.0 + verdict.causes_right.0, sum.1 + verdict.causes_right.1)
        };
        self.verdicts.iter().fold((0, 0), add)
    }

    fn slowest_count(&self) -> Option<Duration> {
        self.verdicts.iter().filter_map(|verdict| verdict.counted_after).max()
    }

    /// The closing lines.
    pub fn print(&self, judged: bool) {
        if judged {
            let score = self.score();
            let (right, causes) = self.causes_right();
            println!();
            println!("recall     {} of {} severed connections found", score.found, score.severed);
            println!("precision  {} connections blamed that were not severed so", score.false_alarms);
            println!("causes     {right} of {causes} right");
            if let Some(time) = self.slowest_count() {
                println!("metrics    losses counted at most {} ms after the exit", time.as_millis());
            }
        }
        println!("{} passed, {} failed", self.verdicts.len() - self.failed(), self.failed());
    }

    /// The same for machines.
    pub fn to_json(&self) -> Value {
        let score = self.score();
        let (right, causes) = self.causes_right();
        json!({
            "passed": self.verdicts.len() - self.failed(),
            "failed": self.failed(),
            "severed": score.severed,
            "found": score.found,
            "false_alarms": score.false_alarms,
            "causes_right": right,
            "causes": causes,
            "counted_after_seconds": self.slowest_count().map(|time| time.as_secs_f64()),
            "cases": self.verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        })
    }
}
