//! What a run of a guest proves.

use super::diagnosis::Diagnosis;
use super::matrix::{Expected, Kernel};
use super::protocol::{Message, Outcome, Ran};
use super::qemu::Run;
use super::record::{Origin, Programs, Record, Shown};
use super::steps::{BTF, CASES, DOCTOR, Extent, PROGRAMS_TEST, REFUSAL, ZOO};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;

/// The daemon's exit codes, as its documentation has them.
const NO: i32 = 1;
const LACKING_KERNEL: i32 = 71;

/// What a kernel was shown to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub record: Record,
    /// The part of its BTF that the probe looks at.
    pub btf: Vec<u8>,
}

/// Judges a run.
///
/// # Errors
/// What went otherwise than expected.
pub fn judge(kernel: &Kernel, run: &Run, extent: Extent) -> Result<Proof> {
    let release = release(run)?;
    let steps = steps(run);
    let diagnosis = Diagnosis::parse(&find(&steps, DOCTOR)?.said)?;
    diagnosis.compare(kernel)?;
    let shown = match kernel.expected {
        Expected::Carries => carries(&steps, extent)?,
        Expected::Refuses(reason) => refuses(&steps, reason)?,
    };
    let btf = left(&steps, BTF)?.to_vec();
    let finished = run.messages.contains(&Message::Finished);
    ensure!(finished && !run.timed_out, "it did not come to its end{}", last_words(run, &steps));
    let origin = Origin::Debian(kernel.suite.to_owned());
    Ok(Proof { record: Record { release, origin, shown, probes: diagnosis.probes() }, btf })
}

/// The BTF that a run left, where nothing else was asked of it.
///
/// # Errors
/// When there is none.
pub fn btf(run: &Run) -> Result<Vec<u8>> {
    release(run)?;
    Ok(left(&steps(run), BTF)?.to_vec())
}

fn steps(run: &Run) -> Vec<&Ran> {
    let steps = run.messages.iter().filter_map(|message| match message {
        Message::Ran(ran) => Some(ran),
        Message::Booted { .. } | Message::Finished => None,
    });
    steps.collect()
}

fn left<'a>(steps: &[&'a Ran], step: &str) -> Result<&'a [u8]> {
    let ran = find(steps, step)?;
    exited(ran, 0)?;
    ran.left.as_deref().with_context(|| format!("{step} has left nothing"))
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

fn carries(steps: &[&Ran], extent: Extent) -> Result<Shown> {
    for ran in steps {
        exited(ran, 0)?;
    }
    let tests = steps.iter().filter_map(|ran| passed(&ran.said)).sum();
    let list = left(steps, PROGRAMS_TEST)?;
    ensure!(tests > 0, "no test has run");
    let cases = if extent == Extent::All { all_played(&find(steps, ZOO)?.said)? } else { 0 };
    Ok(Shown::Carries { tests, cases, programs: programs(&String::from_utf8_lossy(list))? })
}

/// How many cases the zoo says it has played: all of them.
fn all_played(said: &str) -> Result<usize> {
    let played: BTreeSet<&str> = said.lines().filter_map(played).collect();
    let missing: Vec<&&str> = CASES.iter().filter(|case| !played.contains(*case)).collect();
    ensure!(missing.is_empty(), "the zoo does not say that it has played {missing:?}");
    Ok(CASES.len())
}

/// `doctor` has been found to say it in the same words: who reads one understands the other.
fn refuses(steps: &[&Ran], reason: &str) -> Result<Shown> {
    exited(find(steps, DOCTOR)?, NO)?;
    let refusal = find(steps, REFUSAL)?;
    exited(refusal, LACKING_KERNEL)?;
    ensure!(refusal.said.contains(reason), "{REFUSAL} does not say '{reason}'");
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

/// The list that the test of programs leaves: a name and a number a line.
pub fn programs(list: &str) -> Result<Programs> {
    let parse = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    list.lines().map(|line| parse(line).with_context(|| format!("in the list of programs: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::diagnosis::tests::said;
    use crate::vm::matrix::KERNELS;
    use std::collections::BTreeMap;

    fn ran(step: &str, status: i32, said: &str) -> Message {
        let left = match step {
            PROGRAMS_TEST => Some(b"tcp_read 250\n".to_vec()),
            BTF => Some(b"types".to_vec()),
            _ => None,
        };
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
            ran(DOCTOR, 0, &said(kernel("6.1"))),
            ran(BTF, 0, ""),
            ran(PROGRAMS_TEST, 0, "test result: ok. 40 passed; 0 failed"),
            ran("kernel_daemon", 0, "test result: ok. 9 passed; 0 failed"),
            ran(ZOO, 0, &CASES.map(|case| format!("{case}  ok   severed 0/0\n")).concat()),
        ]
    }

    #[test]
    fn a_kernel_that_carries_everything_proves_it() {
        let proof = judge(kernel("6.1"), &run(good()), Extent::All).unwrap();
        let programs = BTreeMap::from([("tcp_read".to_owned(), 250)]);
        assert_eq!(proof.record.shown, Shown::Carries { tests: 49, cases: CASES.len(), programs });
        assert_eq!((proof.record.release.as_str(), proof.btf.as_slice()), ("6.1.0-50", b"types".as_slice()));
        assert_eq!(proof.record.probes["read"], "tracepoint tcp_rcv_space_adjust (1 arguments)");
        assert_eq!(btf(&run([ran(BTF, 0, "")])).unwrap(), b"types");
    }

    #[test]
    fn what_was_not_run_proves_nothing() {
        for missing in 0..good().len() {
            let mut steps = good();
            steps.remove(missing);
            if missing != 3 {
                judge(kernel("6.1"), &run(steps), Extent::All).unwrap_err();
            }
        }
        let mut unfinished = run(good());
        unfinished.messages.pop();
        unfinished.timed_out = true;
        let error = judge(kernel("6.1"), &unfinished, Extent::All).unwrap_err().to_string();
        assert_eq!(error, "it did not come to its end (switched off when its time was over, after zoo)");
        let silent = Run { messages: vec![], timed_out: false };
        assert_eq!(judge(kernel("6.1"), &silent, Extent::All).unwrap_err().to_string(), "it did not boot");
    }

    #[test]
    fn a_failed_step_is_named() {
        let mut steps = good();
        steps[0] = ran(DOCTOR, 1, &said(kernel("6.1")));
        let error = judge(kernel("6.1"), &run(steps), Extent::All).unwrap_err().to_string();
        assert_eq!(error, "doctor: exit status 1, not 0");
    }

    #[test]
    fn a_refusal_has_both_exit_codes_and_the_reason() {
        let old = kernel("5.10");
        let Expected::Refuses(reason) = old.expected else { panic!("{old:?}") };
        let refusal = |doctor, reason: &str| {
            let steps = [ran(DOCTOR, doctor, &said(old)), ran(BTF, 0, ""), ran(REFUSAL, 71, reason)];
            judge(old, &run(steps), Extent::All)
        };
        assert_eq!(refusal(1, reason).unwrap().record.shown, Shown::Refuses(reason.into()));
        refusal(0, reason).unwrap_err();
        let error = refusal(1, "something else").unwrap_err().to_string();
        assert_eq!(error, format!("run does not say '{reason}'"));
    }
}
