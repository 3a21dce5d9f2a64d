//! Waits for the daemon's answer about each case that was played, and compares.

use crate::api::Termination;
use crate::cli::RunArgs;
use crate::compare::{self, Score, certain_losses, is_certainly_severed};
use crate::daemon::{Daemon, TERMINATIONS};
use crate::framing;
use crate::metrics::Watcher;
use crate::report::Verdict;
use crate::run::Outcome;
use crate::stage::{Played, PlayedContainer, PlayedRun};
use crate::truth::LINGER;
use anyhow::{Context, Result};
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long after the linger the daemon may take to complete a termination.
const COMPLETION: Duration = Duration::from_secs(6);
/// How soon after the exit a loss must be counted; the contract says 1 s, this allows for a busy machine.
const COUNTED: Duration = Duration::from_secs(5);

/// The daemon, and the cases whose answer is still awaited.
#[derive(Debug)]
pub struct Judge {
    daemon: Option<Daemon>,
    watcher: Option<Watcher>,
    pending: Vec<Outcome>,
    keep: bool,
    answers: Vec<String>,
}

impl Judge {
    /// Without a daemon, scenes are only compared with their design.
    pub fn new(daemon: Option<Daemon>, watcher: Option<Watcher>, options: &RunArgs) -> Self {
        Self { daemon, watcher, pending: Vec::new(), keep: options.keep_logs, answers: Vec::new() }
    }

    /// Whether some case has not been judged yet.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A case was played.
    pub fn take(&mut self, outcome: Outcome) {
        self.pending.push(outcome);
    }

    /// The verdicts that can be given now.
    pub fn judge(&mut self) -> Result<Vec<Verdict>> {
        let terminations = match &mut self.daemon {
            Some(daemon) if !self.pending.is_empty() => {
                daemon.check()?;
                daemon.api().terminations()?
            }
            _ => Vec::new(),
        };
        let (ready, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|outcome| self.daemon.is_none() || is_ready(outcome, &terminations));
        self.pending = pending;
        Ok(ready.into_iter().map(|outcome| self.verdict(outcome, &terminations)).collect())
    }

    fn verdict(&mut self, outcome: Outcome, terminations: &[Termination]) -> Verdict {
        let mut verdict = Verdict {
            case: outcome.case,
            differences: Vec::new(),
            last_words: outcome.last_words,
            score: Score::default(),
            truth: String::new(),
            causes: Vec::new(),
            causes_right: (0, 0),
            counted_after: None,
            took: outcome.took,
        };
        match outcome.played {
            Err(error) => verdict.differences.push(format!("could not be played: {error:#}")),
            Ok(played) => {
                verdict.truth = truth_in_short(&played);
                for container in &played.containers {
                    self.judge_container(container, terminations, &mut verdict);
                }
            }
        }
        verdict
    }

    fn judge_container(
        &mut self,
        container: &PlayedContainer,
        terminations: &[Termination],
        verdict: &mut Verdict,
    ) {
        for run in &container.runs {
            verdict.differences.extend(compare::with_design(run));
        }
        if self.daemon.is_none() {
            for run in &container.runs {
                let severed: usize = certain_losses(run).values().sum();
                verdict.score.severed += severed;
                verdict.score.found += severed;
                verdict.causes.push(run.expected.causes[0].as_str().into());
            }
            return;
        }
        let found = of_container(container, terminations);
        if found.len() != container.runs.len() {
            verdict.differences.push(format!(
                "{}: {} terminations, expected {}",
                container.path,
                found.len(),
                container.runs.len()
            ));
        }
        for (index, run) in container.runs.iter().enumerate() {
            let termination = found.get(index).copied();
            let score = compare::score(run, termination);
            verdict.score.severed += score.severed;
            verdict.score.found += score.found;
            verdict.score.false_alarms += score.false_alarms;
            verdict.causes_right.1 += 1;
            let Some(termination) = termination else { continue };
            if run.expected.causes.iter().any(|cause| cause.as_str() == termination.cause) {
                verdict.causes_right.0 += 1;
            }
            verdict.causes.push(termination.cause.clone());
            verdict.differences.extend(compare::with_truth(run, termination));
            if verdict.case.framing {
                verdict.differences.extend(framing::compare(run, termination));
            }
        }
        self.judge_metrics(container, &found, verdict);
    }

    /// The counters must come to the reports' sums, and those of the exit must come soon.
    fn judge_metrics(&mut self, container: &PlayedContainer, found: &[&Termination], verdict: &mut Verdict) {
        let (Some(watcher), [run, ..]) = (&self.watcher, &container.runs[..]) else { return };
        let name = container.path.rsplit('/').next().unwrap_or_default();
        let at_exit = losses_at_exit(run);
        let (counted, after) = watcher.look(name, run.window.gone, at_exit);
        let mut reported: BTreeMap<String, u64> = BTreeMap::new();
        for (evidence, count) in found.iter().flat_map(|termination| &termination.severed_by_evidence) {
            if *count > 0 {
                *reported.entry(evidence.clone()).or_default() += count;
            }
        }
        if counted != reported {
            verdict.differences.push(format!("/metrics counts {counted:?}, the reports {reported:?}"));
        }
        if at_exit > 0 {
            verdict.counted_after = verdict.counted_after.max(after);
            if after.is_none_or(|time| time > COUNTED) {
                verdict
                    .differences
                    .push(format!("losses were counted {after:?} after the exit, at most {COUNTED:?}"));
            }
        }
    }

    /// Writes the daemon's last answer beside its log.
    pub fn keep_answers(&mut self, directory: &Path) -> Result<()> {
        if let Some(daemon) = &self.daemon
            && self.keep
        {
            self.answers.push(daemon.api().get(TERMINATIONS)?);
            let path = directory.join("terminations.json");
            std::fs::write(&path, self.answers.concat())
                .with_context(|| format!("writing {}", path.display()))?;
            eprintln!("zoo: kept in {}", directory.display());
        }
        Ok(())
    }
}

/// Severed when the last process was gone: what comes after is the linger's.
fn losses_at_exit(run: &PlayedRun) -> u64 {
    // An end is seen by the client a moment after the kernel has brought it about.
    let moment = run.window.gone + Duration::from_millis(20);
    let at_exit = run.clients.iter().filter(|client| client.ended.is_some_and(|at| at <= moment));
    at_exit.filter(|client| is_certainly_severed(client)).count() as u64
}

/// The container's terminations, in the order in which they began.
fn of_container<'a>(container: &PlayedContainer, terminations: &'a [Termination]) -> Vec<&'a Termination> {
    let mut found: Vec<_> =
        terminations.iter().filter(|termination| termination.container.cgroup == container.path).collect();
    let time = |termination: &Termination| {
        let signal = termination.stop_signal.as_ref().map(|signal| signal.at);
        signal.or(termination.exit.as_ref().map(|exit| exit.at)).unwrap_or(0.0)
    };
    found.sort_by(|a, b| time(a).total_cmp(&time(b)));
    found
}

/// Whether the daemon has completed what belongs to this case, or has had time enough.
fn is_ready(outcome: &Outcome, terminations: &[Termination]) -> bool {
    let Ok(played) = &outcome.played else { return true };
    let runs = || played.containers.iter().flat_map(|container| &container.runs);
    let Some(last) = runs().map(|run| run.window.gone).max() else { return true };
    if Instant::now() > last + LINGER + COMPLETION {
        return true;
    }
    played.containers.iter().all(|container| {
        let found = of_container(container, terminations);
        found.len() >= container.runs.len() && found.iter().all(|termination| termination.is_complete())
    })
}

fn truth_in_short(played: &Played) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for run in played.containers.iter().flat_map(|container| &container.runs) {
        for client in &run.clients {
            let fates: Vec<_> = client.fates.iter().copied().map(Fate::as_str).collect();
            let name = if fates.is_empty() { "no part of it".into() } else { fates.join(" or ") };
            *counts.entry(name).or_default() += 1;
        }
    }
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    counts.join(", ")
}
