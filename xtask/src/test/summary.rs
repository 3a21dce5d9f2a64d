//! The table at the end of a run.

use crate::terminal::{clock, stdout};
use std::fmt;
use std::time::Duration;

/// How a step ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Passed(Duration),
    Failed(Duration),
    NotRun(&'static str),
}

/// The steps so far.
#[derive(Debug, Default)]
pub struct Summary {
    rows: Vec<(String, Outcome)>,
}

impl Summary {
    pub fn add(&mut self, step: String, outcome: Outcome) {
        self.rows.push((step, outcome));
    }

    fn total(&self) -> Duration {
        self.rows
            .iter()
            .map(|(_, outcome)| match outcome {
                Outcome::Passed(time) | Outcome::Failed(time) => *time,
                Outcome::NotRun(_) => Duration::ZERO,
            })
            .sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let palette = stdout();
        for (step, outcome) in &self.rows {
            let (time, word) = match outcome {
                Outcome::Passed(time) => (clock(*time), palette.green("ok")),
                Outcome::Failed(time) => (clock(*time), palette.red("FAILED")),
                Outcome::NotRun(why) => ("-".to_owned(), palette.yellow(format!("not run: {why}"))),
            };
            writeln!(f, "{step:<14} {time:>7}  {word}")?;
        }
        write!(f, "{:<14} {:>7}", "total", clock(self.total()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_run_is_shown() {
        let mut summary = Summary::default();
        summary.add("build".into(), Outcome::Passed(Duration::from_secs(61)));
        summary.add("unit".into(), Outcome::Failed(Duration::from_secs(5)));
        summary.add("zoo".into(), Outcome::NotRun("left out by --quick"));
        let lines: Vec<String> = summary.to_string().lines().map(String::from).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("build             1:01  "), "{}", lines[0]);
        assert!(lines[2].contains("not run: left out by --quick"), "{}", lines[2]);
        assert_eq!(lines[3], "total             1:06");
    }
}
