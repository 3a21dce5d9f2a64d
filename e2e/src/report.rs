//! What is said of a case.

use crate::case::Case;
use std::time::Duration;
use zoo::api::Termination;
use zoo::{PlayedRun, compare};

/// The judgement of one case.
#[derive(Debug)]
pub struct Verdict {
    pub case: Case,
    pub namespace: String,
    pub took: Duration,
    pub last_words: Vec<String>,
    differences: Vec<String>,
    severed: usize,
    found: usize,
    false_alarms: usize,
    causes: Vec<String>,
    answers: Vec<String>,
}

impl Verdict {
    pub fn new(case: Case, namespace: String) -> Self {
        Self {
            case,
            namespace,
            took: Duration::ZERO,
            last_words: Vec::new(),
            differences: Vec::new(),
            severed: 0,
            found: 0,
            false_alarms: 0,
            causes: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Something is not as it should be.
    pub fn differ(&mut self, difference: String) {
        self.differences.push(difference);
    }

    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// For a reader who wants to know what went wrong.
    pub fn keep_answer(&mut self, termination: &Termination) {
        self.answers.push(format!("{termination:?}"));
    }

    pub fn count(&mut self, run: &PlayedRun, termination: &Termination) {
        let score = compare::score(run, Some(termination));
        self.severed += score.severed;
        self.found += score.found;
        self.false_alarms += score.false_alarms;
        let cause = format!("{}: {}", termination.trigger, termination.cause);
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    pub fn print(&self) {
        let verdict = if self.passed() { "ok    " } else { "FAILED" };
        let (name, took, causes) = (self.case.name, self.took.as_secs_f64(), self.causes.join(", "));
        println!(
            "{verdict} {name:<26} {took:>5.1} s  {}/{} severed found  {causes}",
            self.found, self.severed
        );
        for difference in &self.differences {
            println!("       {difference}");
        }
        if !self.passed() {
            self.last_words.iter().for_each(|line| println!("       | {line}"));
            self.answers.iter().for_each(|answer| println!("       > {answer}"));
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Summary {
    cases: usize,
    passed: usize,
    severed: usize,
    found: usize,
    false_alarms: usize,
}

impl Summary {
    pub fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        self.passed += usize::from(verdict.passed());
        self.severed += verdict.severed;
        self.found += verdict.found;
        self.false_alarms += verdict.false_alarms;
    }

    pub fn print(&self, took: Duration) {
        println!(
            "\n{} of {} cases as they should be, in {:.0} s; severed connections: {} of {} found, {} blamed wrongly",
            self.passed,
            self.cases,
            took.as_secs_f64(),
            self.found,
            self.severed,
            self.false_alarms
        );
    }

    pub fn passed(&self) -> bool {
        self.cases > 0 && self.passed == self.cases
    }
}
