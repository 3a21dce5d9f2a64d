//! What a reader should know before relying on a verdict.

use crate::check::load::Seen;
use crate::check::options::Plan;
use crate::check::round::Round;
use crate::check::verdict::{Judged, Outcome};
use shutdown_probe_core::cause::Cause;
use std::time::Duration;

/// The notes, most important first.
pub fn notes(plan: &Plan, rounds: &[Round], judged: &[Judged], blind_spots: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    let path = &plan.args.path;
    if let Some(cost) = rounds.iter().find_map(|round| round.cost)
        && judged.iter().all(|one| one.in_flight == 0)
    {
        let millis = cost.latency.as_secs_f64() * 1e3;
        notes.push(if cost.is_catchable() {
            format!("no request was in flight at the stop signal: this machine is too busy to meet one of {millis:.1} ms")
        } else { format!(
            "no request was in flight at the stop signal: GET {path} takes {millis:.1} ms. Name a --path that does \
             real work, such as waiting for a database, to see what happens to one"
        ) });
    }
    if judged.iter().any(|one| one.cause == Cause::GraceExceeded && one.answered_after > one.in_flight) {
        notes.push(
            "it went on answering on connections that clients kept open, until SIGKILL: answer with Connection: close \
             once the stop signal has come, and close what is idle"
                .into(),
        );
    }
    if let Some(round) = rounds.first() {
        if round.service.status >= 400 {
            let status = round.service.status;
            notes.push(format!("GET {path} answers with status {status}; any complete answer counts as one"));
        }
        if !round.service.other_ports.is_empty() {
            let (port, others) = (round.service.address.port(), &round.service.other_ports);
            let others = others.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            notes.push(format!("checked was port {port}; it also listens on {others} (--port)"));
        }
    }
    if judged.iter().all(|one| one.outcome == Outcome::Clean)
        && plan.args.load_command.is_none()
        && plan.pre_stop > Duration::ZERO
    {
        let seconds = plan.pre_stop.as_secs_f64();
        notes
            .push(format!("this holds with a preStop sleep of {seconds} s: the pod's manifest must have it"));
    }
    notes.extend(judged.iter().zip(1..).filter(|(one, _)| one.failed_before > 0).map(|(one, run)| {
        format!(
            "{} requests of run {run} failed before the stop signal: not the shutdown's doing",
            one.failed_before
        )
    }));
    notes.extend(errors_after_stop(rounds));
    notes.extend(cut_elsewhere(judged));
    if plan.args.load_command.is_some() {
        notes.push(
            "the load was somebody else's: what clients saw is not known, the probe alone speaks".into(),
        );
    }
    let doubts = rounds.iter().filter_map(|round| round.termination.as_ref());
    notes.extend(
        doubts.filter(|one| !one.measured.complete).flat_map(|one| one.measured.reasons.iter().cloned()),
    );
    notes.extend(blind_spots.iter().map(|blind| format!("not measured here: {blind}")));
    notes.dedup();
    notes
}

/// Nobody held clients there: they are its own processes, or somebody who came by himself.
fn cut_elsewhere(judged: &[Judged]) -> Option<String> {
    let ports = &judged.iter().max_by_key(|one| one.elsewhere.len())?.elsewhere;
    let port = ports.iter().min()?;
    let count = ports.iter().filter(|other| *other == port).count();
    Some(format!("the probe also saw {count} connections cut on port {port}, which was not checked"))
}

/// A complete answer is an answer, but clients may think otherwise of one with an error.
fn errors_after_stop(rounds: &[Round]) -> Option<String> {
    let round = rounds.iter().find(|round| round.service.status < 500)?;
    let after =
        round.exchanges.iter().filter_map(|one| one.ended.filter(|(at, _)| *at > round.moments.stopped));
    let errors: Vec<u16> = after
        .filter_map(|(_, seen)| match seen {
            Seen::Answered { status, .. } if status >= 500 => Some(status),
            _ => None,
        })
        .collect();
    let status = errors.first()?;
    Some(format!(
        "after the stop signal it answered {} of the requests with status {status}: complete answers, but errors to those \
         who asked",
        errors.len()
    ))
}
