//! Everything that is said of a check, as one value: the JSON, and what the other forms are made from.

use crate::check::advice::{self, Fix};
use crate::check::options::Plan;
use crate::check::round::Round;
use crate::check::verdict::{self, Judged, Outcome};
use serde::Serialize;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::Termination;
use shutdown_probe_core::signal;

use super::timeline::{self, Event};

/// How many losses of a run are listed one by one. Totals are never capped.
const LISTED: usize = 1000;

/// A whole check.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// `severed`, `by_luck` or `clean`.
    pub verdict: &'static str,
    /// What it comes to, in a sentence.
    pub summary: String,
    /// The primary cause of the run that says most.
    pub cause: Cause,
    /// The other causes that hold in it.
    pub other_causes: Vec<Cause>,
    /// How sure that is.
    pub sureness: String,
    /// What else should be known.
    pub notes: Vec<String>,
    /// The service as it was typed.
    pub command: String,
    /// Where it serves.
    pub service: Service,
    /// What it was asked, and what that costs; nothing with a load that somebody else wrote.
    pub request: Option<Request>,
    /// How it was stopped.
    pub stop: Stop,
    /// What to change, in words.
    pub advice: Vec<String>,
    /// What to change, to copy.
    pub fixes: Vec<Fix>,
    /// The part of the advice that no fix carries out.
    #[serde(skip)]
    pub words: Vec<String>,
    /// The run that says most: an index into `runs`.
    pub worst: usize,
    /// Each run.
    pub runs: Vec<Run>,
}

/// Where the service serves, and what runs it.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    pub address: String,
    pub other_ports: Vec<u16>,
    pub status: u16,
    pub ready_after_seconds: f64,
    pub runtime: &'static str,
    pub runtime_name: String,
    pub wrapper: Option<&'static str>,
}

/// What was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    pub path: String,
    pub latency_seconds: f64,
    pub keep_alive: bool,
    pub at_once: usize,
}

/// How it was stopped.
#[derive(Clone, Debug, Serialize)]
pub struct Stop {
    pub signal: String,
    pub grace_seconds: f64,
    pub pre_stop_seconds: f64,
    pub propagation_delay_seconds: f64,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub verdict: &'static str,
    pub cause: Cause,
    pub severed: u64,
    pub losses: Vec<Loss>,
    pub groups: Vec<Group>,
    pub in_flight_at_stop: usize,
    pub answered_after_stop: usize,
    pub failed_before_stop: usize,
    pub ended_after_seconds: f64,
    pub killed_after_seconds: Option<f64>,
    /// SIGKILL came before the end of the grace period, since nobody heeded the stop signal.
    pub shortened: bool,
    pub exit: String,
    pub disagreements: Vec<String>,
    pub timeline: Vec<Event>,
    pub termination: Option<Termination>,
}

/// A request that a client lost.
#[derive(Clone, Debug, Serialize)]
pub struct Loss {
    pub port: u16,
    pub client: &'static str,
    pub saw: &'static str,
    pub after_seconds: f64,
    pub evidence: Option<String>,
    pub retry_safe: Option<bool>,
}

/// Losses of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    pub count: usize,
    pub client: &'static str,
    pub saw: String,
    pub evidence: String,
    pub retry_safe: Option<bool>,
    pub first_after_seconds: f64,
    pub last_after_seconds: f64,
}

impl Document {
    /// Puts it together. `judged` has one for each of `rounds`, of which there is at least one.
    pub fn new(plan: &Plan, rounds: &[Round], judged: &[Judged], blind_spots: &[String]) -> Option<Self> {
        let worst = verdict::worst(judged)?;
        let (round, worst_judged) = (rounds.get(worst)?, judged.get(worst)?);
        let outcome = worst_judged.outcome;
        let mut causes = vec![worst_judged.cause];
        causes.extend(round.termination.iter().flat_map(|termination| termination.other_causes.iter()));
        let is_clean = outcome == Outcome::Clean;
        let termination = round.termination.as_ref();
        Some(Self {
            verdict: name(outcome),
            summary: summary(worst_judged, termination),
            cause: worst_judged.cause,
            sureness: verdict::sureness(judged, outcome, worst_judged.cause),
            notes: super::notes::notes(plan, rounds, judged, blind_spots),
            command: plan.command_line(),
            service: service(round),
            request: round.cost.map(|cost| Request {
                path: plan.args.path.clone(),
                latency_seconds: cost.latency.as_secs_f64(),
                keep_alive: cost.keep_alive,
                at_once: cost.at_once,
            }),
            stop: Stop {
                signal: signal::name(plan.signal).into_owned(),
                grace_seconds: plan.args.grace.0.as_secs_f64(),
                pre_stop_seconds: plan.pre_stop.as_secs_f64(),
                propagation_delay_seconds: plan.propagation.as_secs_f64(),
            },
            advice: termination.filter(|_| !is_clean).map(|one| one.advice.clone()).unwrap_or_default(),
            fixes: if is_clean { Vec::new() } else { advice::fixes(&causes, round, plan) },
            words: if is_clean { Vec::new() } else { advice::words(&causes, round, plan) },
            other_causes: causes.split_off(1),
            worst,
            runs: rounds.iter().zip(judged).map(|(round, judged)| run(plan, round, judged)).collect(),
        })
    }

    /// Whether the build passes.
    pub fn passes(&self) -> bool {
        self.verdict == name(Outcome::Clean)
    }

    /// The run that says most.
    pub fn worst_run(&self) -> Option<&Run> {
        self.runs.get(self.worst)
    }
}

/// For machines.
fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Clean => "clean",
        Outcome::ByLuck => "by_luck",
        Outcome::Severed => "severed",
    }
}

/// The losses as the clients saw them, and why as the probe saw it.
fn summary(judged: &Judged, termination: Option<&Termination>) -> String {
    let why = termination.and_then(|one| one.summary.split_once(": ")).map_or("", |(_, why)| why);
    let lost = match (judged.outcome, judged.severed) {
        (Outcome::Clean, _) => return clean(judged, termination),
        (Outcome::ByLuck, _) => "nothing was lost this time, but only by luck".to_owned(),
        (Outcome::Severed, 1) => "clients lost 1 request".to_owned(),
        (Outcome::Severed, count) => format!("clients lost {count} requests"),
    };
    if why.is_empty() { lost } else { format!("{lost}: {why}") }
}

/// The probe counts as drained only those that the server closed; here the clients count.
fn clean(judged: &Judged, termination: Option<&Termination>) -> String {
    let used = match termination.and_then(|one| one.grace.used_seconds).unwrap_or_default() {
        used if used < 1.0 => format!("{:.0} ms", used * 1e3),
        used => format!("{used:.1} s"),
    };
    let plural = if judged.answered_after == 1 { "" } else { "s" };
    format!(
        "nothing was lost; it ended {used} after the stop signal, {} request{plural} answered meanwhile",
        judged.answered_after
    )
}

fn service(round: &Round) -> Service {
    Service {
        address: round.service.address.to_string(),
        other_ports: round.service.other_ports.clone(),
        status: round.service.status,
        ready_after_seconds: round.service.ready_after.as_secs_f64(),
        runtime: round.runtime.language.id(),
        runtime_name: round.runtime.name(),
        wrapper: round.runtime.wrapper.as_ref().map(|(wrapper, _)| wrapper.id()),
    }
}

fn run(plan: &Plan, round: &Round, judged: &Judged) -> Run {
    let moments = &round.moments;
    let after = |at| verdict::seconds(at, moments.stopped);
    let losses = judged.losses.iter().take(LISTED).map(|loss| Loss {
        port: loss.client.port,
        client: loss.client.kind.in_words(),
        saw: loss.client.seen().as_str(),
        after_seconds: loss.after_seconds,
        evidence: loss.probe.as_ref().map(|probe| probe.evidence.clone()),
        retry_safe: loss.probe.as_ref().map(|probe| probe.retry_safe),
    });
    Run {
        verdict: name(judged.outcome),
        cause: judged.cause,
        severed: judged.severed,
        losses: losses.collect(),
        groups: verdict::groups(&judged.losses).iter().map(group).collect(),
        in_flight_at_stop: judged.in_flight,
        answered_after_stop: judged.answered_after,
        failed_before_stop: judged.failed_before,
        ended_after_seconds: after(moments.ended),
        killed_after_seconds: moments.killed.map(after),
        shortened: moments.shortened,
        exit: round.status.map_or_else(String::new, |status| status.to_string()),
        disagreements: judged.disagreements.clone(),
        timeline: timeline::timeline(plan, round, judged),
        termination: round.termination.clone(),
    }
}

fn group(group: &verdict::Group<'_>) -> Group {
    Group {
        count: group.count,
        client: group.kind.in_words(),
        saw: group.words.clone(),
        evidence: group.evidence.to_owned(),
        retry_safe: group.retry_safe,
        first_after_seconds: group.span.0,
        last_after_seconds: group.span.1,
    }
}
