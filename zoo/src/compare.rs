//! Compares what the clients saw with what the daemon says. Every difference is one sentence.

use crate::api::Termination;
use crate::stage::{PlayedClient, PlayedRun};
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeMap;

/// How a run's scene was played, against how it was designed. Needs no daemon.
pub fn with_design(run: &PlayedRun) -> Vec<String> {
    let mut differences = Vec::new();
    if run.expected.construction.racing {
        return differences;
    }
    let mut designed: BTreeMap<Fate, usize> = BTreeMap::new();
    for (fate, count) in &run.expected.severed {
        *designed.entry(*fate).or_default() += count;
    }
    let played = certain_losses(run);
    for fate in Fate::ALL.into_iter().filter(|fate| fate.is_severed()) {
        let (want, have) =
            (designed.get(&fate).copied().unwrap_or(0), played.get(&fate).copied().unwrap_or(0));
        if want != have {
            differences
                .push(format!("the scene severs {want} {}, but the clients saw {have}", fate.as_str()));
        }
    }
    let drained = run.clients.iter().filter(|client| client.fates == [Fate::Drained]).count();
    if drained != run.expected.drained {
        let want = run.expected.drained;
        differences.push(format!("the scene drains {want} connections, but the clients saw {drained}"));
    }
    differences
}

/// The connections that are severed whatever the contract leaves open, by fate: the likeliest, where
/// several fit.
pub fn certain_losses(run: &PlayedRun) -> BTreeMap<Fate, usize> {
    let mut losses = BTreeMap::new();
    for client in run.clients.iter().filter(|client| is_certainly_severed(client)) {
        *losses.entry(client.fates[0]).or_default() += 1;
    }
    losses
}

/// How many of a run's severed connections the daemon found, and how many it made up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Severed, as the clients saw it.
    pub severed: usize,
    /// Of these, listed with a fate that fits.
    pub found: usize,
    /// Listed, and not severed or with a fate that does not fit.
    pub false_alarms: usize,
}

/// How many of these were found.
pub fn score(run: &PlayedRun, termination: Option<&Termination>) -> Score {
    let listed = termination.map_or(&[][..], |termination| &termination.severed);
    let fits = |client: &PlayedClient| {
        listed.iter().any(|severed| severed.peer == client.peer && may_be(client, &severed.evidence))
    };
    let truly = run.clients.iter().filter(|client| is_certainly_severed(client));
    let right = listed.iter().filter(|severed| {
        run.clients.iter().any(|client| client.peer == severed.peer && may_be(client, &severed.evidence))
    });
    Score {
        severed: truly.clone().count(),
        found: truly.filter(|client| fits(client)).count(),
        false_alarms: listed.len() - right.count(),
    }
}

/// Whether the connection is severed by whichever name.
pub fn is_certainly_severed(client: &PlayedClient) -> bool {
    !client.fates.is_empty() && client.fates.iter().all(|fate| fate.is_severed())
}

fn may_be(client: &PlayedClient, evidence: &str) -> bool {
    client.fates.iter().any(|fate| fate.as_str() == evidence)
}

/// What the daemon says of a run, against what is true.
pub fn with_truth(run: &PlayedRun, found: &Termination) -> Vec<String> {
    let mut differences = Differences(Vec::new());
    connections(run, found, &mut differences);
    totals(run, found, &mut differences);
    process(run, found, &mut differences);
    differences.0
}

struct Differences(Vec<String>);

impl Differences {
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: T, found: T) {
        if expected != found {
            self.0.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }
}

fn connections(run: &PlayedRun, found: &Termination, differences: &mut Differences) {
    for client in run.clients.iter().filter(|client| !client.fates.is_empty()) {
        let listed = found.severed.iter().find(|severed| severed.peer == client.peer);
        let fates: Vec<_> = client.fates.iter().map(|fate| fate.as_str()).collect();
        let fates = fates.join(" or ");
        match listed {
            Some(severed) if !may_be(client, &severed.evidence) => {
                differences
                    .0
                    .push(format!("{} is {fates}, the daemon says {}", client.peer, severed.evidence));
            }
            None if is_certainly_severed(client) => {
                differences.0.push(format!("{} is {fates}, the daemon does not list it", client.peer));
            }
            _ => {}
        }
    }
    for severed in &found.severed {
        let known = run.clients.iter().find(|client| client.peer == severed.peer);
        if known.is_none_or(|client| client.fates.is_empty()) {
            let (peer, evidence) = (&severed.peer, &severed.evidence);
            differences.0.push(format!("{peer} is no part of this end, the daemon lists it as {evidence}"));
        }
        if found.severed.iter().filter(|other| other.peer == severed.peer).count() > 1 {
            differences.0.push(format!("{} is listed more than once", severed.peer));
        }
    }
}

/// Where the contract leaves a connection open, the daemon's own list decides what the totals must be.
fn totals(run: &PlayedRun, found: &Termination, differences: &mut Differences) {
    let mut by_evidence: BTreeMap<String, u64> = BTreeMap::new();
    for client in &run.clients {
        let listed = found.severed.iter().find(|severed| severed.peer == client.peer);
        let fate = match (&client.fates[..], listed) {
            ([fate], _) => Some(*fate),
            (fates, Some(severed)) => fates.iter().copied().find(|fate| fate.as_str() == severed.evidence),
            _ => None,
        };
        if let Some(fate) = fate.filter(|fate| fate.is_severed()) {
            *by_evidence.entry(fate.as_str().into()).or_default() += 1;
        }
    }
    let unsafe_total = |evidence: &BTreeMap<String, u64>| -> u64 {
        let fates = Fate::ALL.into_iter().filter(|fate| fate.is_severed() && !fate.is_retry_safe());
        fates.filter_map(|fate| evidence.get(fate.as_str())).sum()
    };
    let nonzero = found.severed_by_evidence.iter().filter(|(_, count)| **count > 0);
    let nonzero: BTreeMap<_, _> = nonzero.map(|(name, count)| (name.clone(), *count)).collect();
    differences.check("retry_unsafe_total", unsafe_total(&by_evidence), found.retry_unsafe_total);
    differences.check("severed_total", by_evidence.values().sum(), found.severed_total);
    differences.check("severed_by_evidence", by_evidence, nonzero);
    let count = |certain: bool| {
        let drained = |client: &&PlayedClient| {
            client.fates.contains(&Fate::Drained) && (!certain || client.fates.len() == 1)
        };
        run.clients.iter().filter(drained).count() as u64
    };
    if !(count(true)..=count(false)).contains(&found.drained_total) {
        differences.check("drained_total", count(true), found.drained_total);
    }
    // The contract has a late connection begin with a stop signal.
    if run.stop_signal.is_some() {
        let late = run.clients.iter().filter(|client| client.late).count() as u64;
        differences.check("late_connections_total", late, found.late_connections_total);
    }
}

fn process(run: &PlayedRun, found: &Termination, differences: &mut Differences) {
    let causes: Vec<_> = run.expected.causes.iter().map(|cause| cause.as_str()).collect();
    if !causes.contains(&found.cause.as_str()) {
        differences.check("cause", causes.join(" or "), found.cause.clone());
    }
    differences.check("trigger", trigger(run), &found.trigger);
    let signal = found.stop_signal.as_ref();
    differences.check("stop_signal", run.stop_signal, signal.map(|signal| signal.signal.as_str()));
    if let (Some(disposition), Some(signal)) = (run.expected.disposition, signal) {
        differences.check("disposition", disposition.as_str(), &signal.disposition);
    }
    let oom = run.expected.trigger == Some("oom_killed");
    if run.killed || oom {
        differences.check("kill_signal is there", true, found.kill_signal.is_some());
    } else if !run.rest_killed {
        differences.check("kill_signal is there", false, found.kill_signal.is_some());
    }
    differences.check("grace.exceeded", run.killed && run.stop_signal.is_some(), found.grace.exceeded);
    let exit = found.exit.as_ref();
    differences.check("exit.code", run.code, exit.and_then(|exit| exit.code));
    differences.check("exit.signal", run.signal.map(signal_name), exit.and_then(|exit| exit.signal.clone()));
    differences.check("measured.lost_records", 0, found.measured.lost_records);
    differences.check("a summary and advice", true, !found.summary.is_empty() && has_advice(found));
}

/// Whoever lost something is told what to change.
fn has_advice(found: &Termination) -> bool {
    found.severed_total == 0 || !found.advice.is_empty()
}

fn trigger(run: &PlayedRun) -> &str {
    match run.expected.trigger {
        Some(trigger) => trigger,
        None if run.stop_signal.is_some() || run.killed => "container_stopped",
        None if run.code == Some(0) => "completed",
        None => "crashed",
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        3 => "SIGQUIT".into(),
        2 => "SIGINT".into(),
        6 => "SIGABRT".into(),
        9 => "SIGKILL".into(),
        11 => "SIGSEGV".into(),
        15 => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::{Cause, Disposition, Expected};
    use crate::framing::Framing;
    use crate::truth::Window;
    use serde_json::{Value, json};
    use std::time::Instant;

    fn client(port: u16, fates: &[Fate]) -> PlayedClient {
        let peer = format!("127.0.0.1:{port}");
        PlayedClient { peer, ended: None, fates: fates.to_vec(), framing: Framing::of(None), late: false }
    }

    /// One lost request, one drained, one idle, one that nobody can judge, one that is no part of it.
    fn run() -> PlayedRun {
        let now = Instant::now();
        let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled).drained(1);
        PlayedRun {
            window: Window { begin: now, gone: now },
            stop_signal: Some("SIGTERM"),
            killed: false,
            rest_killed: false,
            code: Some(0),
            signal: None,
            expected: expected.severed(Fate::UnansweredRequest, 1),
            clients: vec![
                client(1, &[Fate::UnansweredRequest]),
                client(2, &[Fate::Drained]),
                client(3, &[Fate::ClosedIdle]),
                client(4, &[Fate::NotMeasured, Fate::UnansweredRequest]),
                client(5, &[]),
            ],
        }
    }

    fn severed(port: u16, evidence: &str) -> Value {
        json!({"peer": format!("127.0.0.1:{port}"), "evidence": evidence})
    }

    fn answer() -> Value {
        json!({
            "state": "complete",
            "container": {"cgroup": "/zoo/x"},
            "trigger": "container_stopped",
            "cause": "exited_without_drain",
            "summary": "It exited.",
            "advice": ["Drain."],
            "stop_signal": {"signal": "SIGTERM", "at": 1.0, "disposition": "handled"},
            "kill_signal": null,
            "exit": {"at": 1.0, "code": 0, "signal": null},
            "grace": {"exceeded": false},
            "severed_total": 1,
            "severed_by_evidence": {"unanswered_request": 1, "refused": 0},
            "retry_unsafe_total": 1,
            "severed": [severed(1, "unanswered_request")],
            "drained_total": 1,
            "late_connections_total": 0,
            "measured": {"lost_records": 0},
        })
    }

    fn differences(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut answer = answer();
        change(&mut answer);
        with_truth(&run(), &serde_json::from_value(answer).expect("the contract's JSON"))
    }

    #[test]
    fn the_truth_has_no_differences() {
        assert_eq!(differences(|_| ()), Vec::<String>::new());
        assert_eq!(with_design(&run()), Vec::<String>::new());
    }

    #[test]
    fn what_the_contract_leaves_open_may_be_found() {
        let found = differences(|answer| {
            answer["severed"] = json!([severed(1, "unanswered_request"), severed(4, "unanswered_request")]);
            answer["severed_by_evidence"] = json!({"unanswered_request": 2});
            answer["severed_total"] = json!(2);
            answer["retry_unsafe_total"] = json!(2);
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_loss_that_is_not_listed_is_a_difference() {
        let found = differences(|answer| answer["severed"] = json!([]));
        assert_eq!(found, ["127.0.0.1:1 is unanswered_request, the daemon does not list it"]);
    }

    #[test]
    fn whoever_is_blamed_wrongly_is_a_difference() {
        for port in [2, 3, 5, 99] {
            let found = differences(|answer| {
                answer["severed"] = json!([severed(1, "unanswered_request"), severed(port, "refused")]);
            });
            assert_eq!(found.len(), 1, "{found:?}");
        }
        let wrong = differences(|answer| answer["severed"] = json!([severed(1, "unread_request")]));
        assert_eq!(wrong, ["127.0.0.1:1 is unanswered_request, the daemon says unread_request"]);
    }

    #[test]
    fn every_field_counts() {
        let changes: [(&str, Value); 12] = [
            ("trigger", json!("crashed")),
            ("cause", json!("clean")),
            ("summary", json!("")),
            ("advice", json!([])),
            ("stop_signal", json!({"signal": "SIGTERM", "at": 1.0, "disposition": "default"})),
            ("kill_signal", json!({"signal": "SIGKILL"})),
            ("exit", json!({"at": 1.0, "code": null, "signal": null})),
            ("grace", json!({"exceeded": true})),
            ("severed_total", json!(2)),
            ("retry_unsafe_total", json!(0)),
            ("drained_total", json!(2)),
            ("late_connections_total", json!(1)),
        ];
        for (field, value) in changes {
            let found = differences(|answer| answer[field] = value);
            assert_eq!(found.len(), 1, "{field}: {found:?}");
        }
    }
}
