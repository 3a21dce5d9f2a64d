//! What a run of a guest proves.

use super::matrix::{Expected, Kernel};
use super::protocol::{Message, Outcome, Ran};
use super::qemu::Run;
use super::steps::{CASES, DOCTOR, PROGRAMS_TEST, REFUSAL, ZOO};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// The daemon's exit codes, as its documentation has them.
const NO: i32 = 1;
const LACKING_KERNEL: i32 = 71;

/// What a kernel was shown to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub version: &'static str,
    pub suite: &'static str,
    /// As the kernel calls itself.
    pub release: String,
    pub shown: Shown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It carries everything.
    Carries {
        tests: usize,
        cases: usize,
        /// How many instructions its verifier walked through, by program.
        programs: BTreeMap<String, u64>,
    },
    /// It is refused for this reason.
    Refuses(String),
}

/// Judges a run.
///
/// # Errors
/// What went otherwise than expected.
pub fn judge(kernel: &Kernel, run: &Run) -> Result<Proof> {
    let release = release(run)?;
    let steps: Vec<&Ran> = run
        .messages
        .iter()
        .filter_map(|message| if let Message::Ran(ran) = message { Some(ran) } else { None })
        .collect();
    let shown = match kernel.expected {
        Expected::Carries => carries(&steps)?,
        Expected::Refuses(reason) => refuses(&steps, reason)?,
    };
    let finished = run.messages.contains(&Message::Finished);
    ensure!(finished && !run.timed_out, "it did not come to its end{}", last_words(run, &steps));
    Ok(Proof { version: kernel.version, suite: kernel.suite, release, shown })
}

fn release(run: &Run) -> Result<String> {
    match run.messages.first() {
        Some(Message::Booted { release }) => Ok(release.clone()),
        _ if run.timed_out => bail!("it did not boot in time"),
        _ => bail!("it did not boot"),
    }
}

fn last_words(run: &Run, steps: &[&Ran]) -> String {
    let after = steps.last().map_or("booting", |ran| &ran.step);
    let how = if run.timed_out { "switched off when its time was over" } else { "it ended by itself" };
    format!(" ({how}, after {after})")
}

fn carries(steps: &[&Ran]) -> Result<Shown> {
    for ran in steps {
        exited(ran, 0)?;
    }
    let tests = steps.iter().filter_map(|ran| passed(&ran.said)).sum();
    let zoo = find(steps, ZOO)?;
    let list = find(steps, PROGRAMS_TEST)?.left.as_deref().context("there is no list of programs")?;
    find(steps, DOCTOR)?;
    ensure!(tests > 0, "no test has run");
    let played: BTreeSet<&str> = zoo.said.lines().filter_map(played).collect();
    let missing: Vec<&&str> = CASES.iter().filter(|case| !played.contains(*case)).collect();
    ensure!(missing.is_empty(), "the zoo does not say that it has played {missing:?}");
    Ok(Shown::Carries { tests, cases: CASES.len(), programs: programs(list)? })
}

/// Both ask for the same remedy, in the same words: who reads one understands the other.
fn refuses(steps: &[&Ran], reason: &str) -> Result<Shown> {
    for (step, status) in [(DOCTOR, NO), (REFUSAL, LACKING_KERNEL)] {
        let ran = find(steps, step)?;
        exited(ran, status)?;
        ensure!(ran.said.contains(reason), "{step} does not say '{reason}'");
    }
    Ok(Shown::Refuses(reason.to_owned()))
}

fn exited(ran: &Ran, status: i32) -> Result<()> {
    ensure!(ran.outcome == Outcome::Exited(status), "{}: {}, not {status}", ran.step, ran.outcome);
    Ok(())
}

fn find<'a>(steps: &[&'a Ran], name: &str) -> Result<&'a Ran> {
    steps.iter().copied().find(|ran| ran.step == name).with_context(|| format!("{name} was not run"))
}

/// How many tests a test program says it has passed.
fn passed(said: &str) -> Option<usize> {
    let (_, rest) = said.rsplit_once("test result: ok. ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

/// The case that a line of the zoo tells to be right.
fn played(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let case = words.next()?;
    (words.next()? == "ok").then_some(case)
}

fn programs(list: &str) -> Result<BTreeMap<String, u64>> {
    let parse = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    list.lines().map(|line| parse(line).with_context(|| format!("in the list of programs: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::matrix::KERNELS;

    fn ran(step: &str, status: i32, said: &str) -> Message {
        let left = (step == PROGRAMS_TEST).then(|| "tcp_read 250\n".to_owned());
        let outcome = Outcome::Exited(status);
        Message::Ran(Ran { step: step.into(), outcome, seconds: 1.0, said: said.into(), left })
    }

    fn run(steps: impl IntoIterator<Item = Message>) -> Run {
        let booted = Message::Booted { release: "6.1.0-50".into() };
        let messages = [booted].into_iter().chain(steps).chain([Message::Finished]).collect();
        Run { messages, timed_out: false }
    }

    fn kernel(version: &str) -> &'static Kernel {
        KERNELS.iter().find(|kernel| kernel.version == version).unwrap()
    }

    fn good() -> Vec<Message> {
        vec![
            ran(DOCTOR, 0, "would work"),
            ran(PROGRAMS_TEST, 0, "test result: ok. 40 passed; 0 failed"),
            ran("kernel_daemon", 0, "test result: ok. 9 passed; 0 failed"),
            ran(ZOO, 0, &CASES.map(|case| format!("{case}  ok   severed 0/0\n")).concat()),
        ]
    }

    #[test]
    fn a_kernel_that_carries_everything_proves_it() {
        let proof = judge(kernel("6.1"), &run(good())).unwrap();
        let programs = BTreeMap::from([("tcp_read".to_owned(), 250)]);
        assert_eq!(proof.shown, Shown::Carries { tests: 49, cases: CASES.len(), programs });
        assert_eq!(proof.release, "6.1.0-50");
    }

    #[test]
    fn what_was_not_run_proves_nothing() {
        for missing in 0..good().len() {
            let mut steps = good();
            steps.remove(missing);
            if missing != 2 {
                judge(kernel("6.1"), &run(steps)).unwrap_err();
            }
        }
        let mut unfinished = run(good());
        unfinished.messages.pop();
        unfinished.timed_out = true;
        let error = judge(kernel("6.1"), &unfinished).unwrap_err().to_string();
        assert_eq!(error, "it did not come to its end (switched off when its time was over, after zoo)");
        let silent = Run { messages: vec![], timed_out: false };
        assert_eq!(judge(kernel("6.1"), &silent).unwrap_err().to_string(), "it did not boot");
    }

    #[test]
    fn a_failed_step_is_named() {
        let steps = [ran(DOCTOR, 1, "would not work")];
        let error = judge(kernel("6.1"), &run(steps)).unwrap_err().to_string();
        assert_eq!(error, "doctor: exit status 1, not 0");
    }

    #[test]
    fn a_refusal_has_both_exit_codes_and_the_reason() {
        let old = kernel("5.10");
        let Expected::Refuses(reason) = old.expected else { panic!("{old:?}") };
        let refusal = |doctor, said: &str| run([ran(DOCTOR, doctor, said), ran(REFUSAL, 71, reason)]);
        assert_eq!(judge(old, &refusal(1, reason)).unwrap().shown, Shown::Refuses(reason.into()));
        judge(old, &refusal(0, reason)).unwrap_err();
        let error = judge(old, &refusal(1, "something else")).unwrap_err().to_string();
        assert_eq!(error, format!("doctor does not say '{reason}'"));
    }
}
