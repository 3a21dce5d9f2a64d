//! The scorecard: what each workload lost, by what cause, and what to change. Made of numbers alone.
//!
//! Invariant: what is not known is absent, never 0. A day is not extrapolated from less than one; a trend needs the
//! window before.

use super::answer::Series;
use super::questions::{Observed, Period, Subject};
use super::rollouts::Rollouts;
use crate::promql::OWNER;
use serde::Serialize;
use shutdown_probe_core::advice;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::trigger::Trigger;
use std::collections::BTreeMap;

const DAY: f64 = 86_400.0;
/// How much of the window before must be known for a trend.
const ENOUGH: f64 = 0.9;

/// What a whole cluster lost.
#[derive(Debug, Serialize)]
pub struct Scorecard {
    /// Begin of the window, in seconds since the epoch.
    pub since: u64,
    /// Its end.
    pub until: u64,
    /// How much of it was observed by any daemon, in seconds.
    pub observed_seconds: u64,
    /// Who observed it.
    pub daemons: Daemons,
    /// All workloads together.
    pub total: Losses,
    /// Those that lost most come first.
    pub workloads: Vec<Workload>,
    /// How many more there are.
    pub left_off: usize,
    /// What could not be known.
    pub not_measured: NotMeasured,
    /// What Prometheus finds doubtful about its answers.
    pub warnings: Vec<String>,
}

/// The daemons of the cluster.
#[derive(Debug, Serialize)]
pub struct Daemons {
    /// Scraped now.
    pub scraped: u64,
    /// Scraped in the window, and away now.
    pub down: u64,
    /// Scraped by more than one job: what they say counts twice.
    pub scraped_twice: u64,
}

/// How much was lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// Severed connections in the window.
    pub severed: u64,
    /// Of these, unsafe to repeat.
    pub retry_unsafe: u64,
    /// Their share of all that was severed.
    pub retry_unsafe_share: Option<f64>,
    /// For each day that was observed, where that is a day at least.
    pub per_day: Option<f64>,
    /// In the window before, where that was observed.
    pub previous: Option<u64>,
    /// How much more or less than then: 0.5 is half as much again.
    pub trend: Option<f64>,
}

/// What one workload lost.
#[derive(Debug, Serialize)]
pub struct Workload {
    /// Empty without Kubernetes, as are the two after it.
    pub namespace: String,
    /// Such as Deployment.
    pub workload_kind: String,
    /// Its name.
    pub workload: String,
    /// Which of its containers.
    pub container: String,
    /// How much.
    #[serde(flatten)]
    pub losses: Losses,
    /// How often its containers ended.
    pub terminations: u64,
    /// How many rollouts it had.
    pub rollouts: u64,
    /// What was lost in an average one.
    pub per_rollout: Option<f64>,
    /// Why most of it was lost; where nothing was, what went wrong without a loss.
    pub cause: Option<String>,
    /// What to change.
    pub fix: Option<String>,
    /// Severed connections by cause.
    pub causes: BTreeMap<String, u64>,
    /// Severed connections by what befell them.
    pub evidence: BTreeMap<String, u64>,
    /// The preStop sleep that its terminations ask for.
    pub recommended_pre_stop_seconds: Option<f64>,
    /// Connections whose fate is not known.
    pub not_measured_connections: u64,
}

/// What could not be known.
#[derive(Debug, Serialize)]
pub struct NotMeasured {
    /// Connections whose fate is not known.
    pub connections: u64,
    /// Records that were lost on the way, by place.
    pub lost_records: BTreeMap<String, u64>,
    /// Probes that do not run somewhere.
    pub probes: Vec<Probe>,
}

/// A probe that does not run.
#[derive(Debug, Serialize)]
pub struct Probe {
    /// Its name.
    pub probe: String,
    /// Why not.
    pub verdict: String,
    /// On how many nodes.
    pub nodes: u64,
}

/// Namespace, kind, workload, container.
type Owner = [String; 4];

/// What is known of one owner.
#[derive(Default)]
struct Tally<'a> {
    severed: Vec<&'a Series>,
    terminations: Vec<&'a Series>,
    not_measured: f64,
    pre_stop: Option<f64>,
}

impl Scorecard {
    /// Adds it all up. `limit`: how many workloads at most.
    pub fn of(observed: &Observed, period: &Period, subject: &Subject, limit: usize) -> Self {
        let coverage = Coverage::of(observed, period);
        let tallies = tallies(observed, subject);
        let mut workloads: Vec<Workload> =
            tallies.iter().map(|(owner, tally)| workload(owner, tally, period, &coverage)).collect();
        let all: Vec<&Series> = tallies.values().flat_map(|tally| &tally.severed).copied().collect();
        let total = losses(&all, period, &coverage);
        let not_measured = workloads.iter().map(|workload| workload.not_measured_connections).sum();
        workloads.sort_by(|a, b| rank(a).cmp(&rank(b)));
        let left_off = workloads.len().saturating_sub(limit);
        workloads.truncate(limit);
        Self {
            since: period.begin(),
            until: period.end,
            observed_seconds: coverage.now as u64,
            daemons: Daemons {
                scraped: coverage.daemons,
                down: whole(total_of(&observed.down)),
                scraped_twice: whole(total_of(&observed.twice)),
            },
            total,
            workloads,
            left_off,
            not_measured: not_measured_at_all(observed, not_measured),
            warnings: observed.warnings.clone(),
        }
    }

    /// Whether no daemon was there to see anything.
    pub fn is_blind(&self) -> bool {
        self.observed_seconds == 0
    }
}

/// How much of both windows was observed, in seconds.
struct Coverage {
    now: f64,
    before: f64,
    /// Daemons in the last piece.
    daemons: u64,
    whole: f64,
}

impl Coverage {
    fn of(observed: &Observed, period: &Period) -> Self {
        let values = || observed.daemons.iter().flat_map(|series| &series.values);
        let seconds =
            |now: bool| values().filter(|(at, _)| period.has(*at) == now).count() as u64 * period.piece;
        let last = values().filter(|(at, _)| *at >= period.end as f64).map(|(_, value)| value).sum();
        let (now, before) = (seconds(true) as f64, seconds(false) as f64);
        Self { now, before, daemons: whole(last), whole: period.seconds() as f64 }
    }

    fn knows_before(&self) -> bool {
        self.before >= ENOUGH * self.whole
    }
}

fn tallies<'a>(observed: &'a Observed, subject: &Subject) -> BTreeMap<Owner, Tally<'a>> {
    let mut tallies: BTreeMap<Owner, Tally<'a>> = BTreeMap::new();
    let wanted = |owner: &Owner| {
        let [_, _, workload, container] = owner;
        let name = if workload.is_empty() { container } else { workload };
        subject.workload.as_ref().is_none_or(|wanted| wanted == name)
    };
    let mut each = |series: &'a [Series], add: &dyn Fn(&mut Tally<'a>, &'a Series)| {
        for one in series {
            let owner = OWNER.map(|label| one.label(label).to_owned());
            if wanted(&owner) {
                add(tallies.entry(owner).or_default(), one);
            }
        }
    };
    each(&observed.severed, &|tally, series| tally.severed.push(series));
    each(&observed.terminations, &|tally, series| tally.terminations.push(series));
    each(&observed.not_measured, &|tally, series| tally.not_measured += series.sum());
    each(&observed.pre_stop, &|tally, series| tally.pre_stop = Some(series.sum()));
    tallies
}

fn workload(owner: &Owner, tally: &Tally<'_>, period: &Period, coverage: &Coverage) -> Workload {
    let [namespace, workload_kind, workload, container] = owner.clone();
    let rollouts = Rollouts::of(&tally.severed, &tally.terminations, period);
    let causes = by_label(&tally.severed, "cause", period);
    let cause = main_cause(&causes).or_else(|| harmless_cause(&tally.terminations, period));
    let fix = cause.and_then(|cause| advice::in_words(cause, trigger_of(cause, &tally.terminations, period)));
    Workload {
        namespace,
        workload_kind,
        workload,
        container,
        losses: losses(&tally.severed, period, coverage),
        terminations: whole(tally.terminations.iter().map(|series| in_window(series, period)).sum()),
        rollouts: rollouts.count,
        per_rollout: (rollouts.count > 0).then(|| rollouts.severed / rollouts.count as f64),
        cause: cause.map(|cause| cause.as_str().to_owned()),
        fix,
        causes,
        evidence: by_label(&tally.severed, "evidence", period),
        recommended_pre_stop_seconds: tally.pre_stop,
        not_measured_connections: whole(tally.not_measured),
    }
}

fn losses(severed: &[&Series], period: &Period, coverage: &Coverage) -> Losses {
    let now: f64 = severed.iter().map(|series| in_window(series, period)).sum();
    let before: f64 = severed.iter().map(|series| series.sum() - in_window(series, period)).sum();
    let is_unsafe = |series: &&&Series| series.label("retry_safe") == "false";
    let retry_unsafe = severed.iter().filter(is_unsafe).map(|series| in_window(series, period));
    // The sum of nothing is -0.
    let retry_unsafe = retry_unsafe.sum::<f64>().abs();
    let previous = coverage.knows_before().then(|| whole(before));
    Losses {
        severed: whole(now),
        retry_unsafe: whole(retry_unsafe),
        retry_unsafe_share: (whole(now) > 0).then(|| whole(retry_unsafe) as f64 / whole(now) as f64),
        per_day: (coverage.now >= DAY).then(|| now * DAY / coverage.now),
        previous,
        trend: previous.filter(|previous| *previous > 0).map(|previous| now / previous as f64 - 1.0),
    }
}

fn by_label(series: &[&Series], label: &str, period: &Period) -> BTreeMap<String, u64> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for one in series {
        *sums.entry(one.label(label).to_owned()).or_default() += in_window(one, period);
    }
    sums.into_iter().map(|(name, sum)| (name, whole(sum))).filter(|(_, sum)| *sum > 0).collect()
}

fn main_cause(causes: &BTreeMap<String, u64>) -> Option<Cause> {
    let most = causes.iter().max_by_key(|(_, count)| **count)?.0;
    Cause::ALL.iter().copied().find(|cause| cause.as_str() == most)
}

/// What will cost something next time, though it cost nothing in this window.
fn harmless_cause(terminations: &[&Series], period: &Period) -> Option<Cause> {
    let counts = by_label(terminations, "cause", period);
    let wrong = Cause::ALL.iter().copied().filter(|cause| cause.holds_without_loss());
    let counted = wrong.filter_map(|cause| counts.get(cause.as_str()).map(|count| (*count, cause)));
    counted.max_by_key(|(count, _)| *count).map(|(_, cause)| cause)
}

/// What set off most of the terminations with this cause.
fn trigger_of(cause: Cause, terminations: &[&Series], period: &Period) -> Trigger {
    let of_cause: Vec<&Series> =
        terminations.iter().copied().filter(|series| series.label("cause") == cause.as_str()).collect();
    let triggers = by_label(&of_cause, "trigger", period);
    let most = triggers.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.as_str());
    Trigger::ALL.iter().copied().find(|trigger| Some(trigger.as_str()) == most).unwrap_or(Trigger::Unknown)
}

fn not_measured_at_all(observed: &Observed, connections: u64) -> NotMeasured {
    let lost =
        observed.lost_records.iter().map(|series| (series.label("where").to_owned(), whole(series.sum())));
    let probe = |series: &Series| Probe {
        probe: series.label("probe").to_owned(),
        verdict: series.label("verdict").to_owned(),
        nodes: whole(series.sum()),
    };
    NotMeasured {
        connections,
        lost_records: lost.collect(),
        probes: observed.probes.iter().map(probe).collect(),
    }
}

fn rank(workload: &Workload) -> (std::cmp::Reverse<(u64, u64)>, [&str; 3]) {
    let most = std::cmp::Reverse((workload.losses.severed, workload.losses.retry_unsafe));
    (most, [&workload.namespace, &workload.workload, &workload.container])
}

fn in_window(series: &Series, period: &Period) -> f64 {
    series.values.iter().filter(|(at, _)| period.has(*at)).map(|(_, value)| value).sum()
}

fn total_of(series: &[Series]) -> f64 {
    series.iter().map(Series::sum).sum()
}

/// Counters count in whole numbers; only where one was reset has Prometheus to guess.
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests;
