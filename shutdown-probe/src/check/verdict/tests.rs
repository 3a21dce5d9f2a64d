//! Truth is what the clients saw, whatever the probe says.

use super::*;
use crate::check::discover::Service;
use crate::check::kubelet::Moments;
use crate::check::load::Cost;
use crate::check::options::CheckArgs;
use crate::check::runtime::{Language, Runtime};
use crate::cli::{Cli, Command};
use crate::output::sample;
use clap::Parser;

const ANSWERED: Seen = Seen::Answered { status: 200, keep_alive: true };

pub fn plan(arguments: &[&str]) -> Plan {
    let words = ["shutdown-probe", "check"].iter().chain(arguments).chain(&["--", "node"]);
    match Cli::parse_from(words).command {
        Command::Check(args) => Plan::check(CheckArgs::clone(&args)).expect("sound"),
        other => panic!("{other:?}"),
    }
}

/// A client that sent and was through so many ms from the stop signal.
fn client(stopped: Instant, port: u16, sent: i64, ended: i64, seen: Seen) -> Exchange {
    let at = |millis: i64| {
        let apart = Duration::from_millis(millis.unsigned_abs());
        if millis < 0 { stopped - apart } else { stopped + apart }
    };
    Exchange {
        port,
        kind: Kind::Pooled,
        begun: at(sent),
        sent: Some(at(sent)),
        ended: Some((at(ended), seen)),
    }
}

pub fn round(stopped: Instant, exchanges: Vec<Exchange>, severed: &[(u16, &str)], cause: Cause) -> Round {
    let mut termination = sample::termination();
    let pattern = termination.severed[0].clone();
    let of = |(port, evidence): &(u16, &str)| Severed {
        peer: format!("127.0.0.1:{port}"),
        evidence: (*evidence).to_owned(),
        ..pattern.clone()
    };
    termination.severed = severed.iter().map(of).collect();
    termination.severed_total = severed.len() as u64;
    termination.cause = cause;
    Round {
        service: Service {
            address: "127.0.0.1:8080".parse().expect("an address"),
            process: 1,
            status: 200,
            tls: false,
            software: None,
            other_ports: Vec::new(),
            ready_after: Duration::ZERO,
        },
        runtime: Runtime { language: Language::Node, wrapper: None, has_workers: false, command: None },
        cost: Some(Cost { latency: Duration::from_millis(50), keep_alive: true, at_once: 5 }),
        moments: Moments {
            deleted: stopped,
            unpublished: stopped,
            stopped,
            killed: None,
            shortened: false,
            ended: stopped,
        },
        exchanges,
        termination: Some(termination),
        status: None,
    }
}

pub fn stopped() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn what_failed_before_the_stop_signal_is_not_its_doing() {
    let stop = stopped();
    let clients = vec![
        client(stop, 1, -90, -50, Seen::Reset),
        client(stop, 2, -10, 20, ANSWERED),
        client(stop, 3, -10, 5, Seen::Closed),
        client(stop, 4, -90, -40, ANSWERED),
    ];
    let judged = judge(&round(stop, clients, &[(3, "unanswered_request")], Cause::ExitedWithoutDrain));
    assert_eq!((judged.outcome, judged.severed, judged.failed_before), (Outcome::Severed, 1, 1));
    assert_eq!((judged.in_flight, judged.answered_after), (2, 1));
    assert_eq!(judged.disagreements, [""; 0]);
    assert_eq!(
        judged.losses[0].probe.as_ref().map(|probe| probe.evidence.as_str()),
        Some("unanswered_request")
    );
}

#[test]
fn where_the_witnesses_disagree_it_is_said_and_the_clients_are_believed() {
    let stop = stopped();
    let clients =
        vec![client(stop, 1, -10, 5, Seen::Truncated { bytes: 9 }), client(stop, 2, -10, 5, ANSWERED)];
    let judged = judge(&round(stop, clients, &[(2, "unread_request"), (7, "refused")], Cause::Clean));
    assert_eq!((judged.outcome, judged.severed), (Outcome::Severed, 1));
    let expected = [
        "the client on port 1 saw: answer cut off after 9 bytes; the probe blames nothing on it",
        "the probe calls port 2 unread_request; its client saw: answered with status 200",
        "the probe calls port 7 refused; its client is none of ours",
    ];
    assert_eq!(judged.disagreements, expected);
}

#[test]
fn what_its_own_processes_lose_of_one_another_is_no_clients_loss() {
    let stop = stopped();
    let mut round = round(
        stop,
        vec![client(stop, 1, -9, 9, ANSWERED)],
        &[(7, "unread_request")],
        Cause::ExitedWithoutDrain,
    );
    let of = |round: &Round| {
        let judged = judge(round);
        (judged.outcome, judged.cause, judged.disagreements.len(), judged.elsewhere)
    };
    assert_eq!(of(&round), (Outcome::Clean, Cause::Clean, 1, vec![]));
    round.termination.iter_mut().for_each(|it| it.severed[0].local = "127.0.0.1:9000".into());
    assert_eq!(of(&round), (Outcome::Clean, Cause::Clean, 0, vec![9000]));
}

#[test]
fn luck_is_no_proper_shutdown() {
    let stop = stopped();
    let of = |cause| judge(&round(stop, vec![client(stop, 1, -9, 9, ANSWERED)], &[], cause)).outcome;
    assert_eq!(of(Cause::IgnoredStopSignal), Outcome::ByLuck);
    assert_eq!(of(Cause::Clean), Outcome::Clean);
}

#[test]
fn runs_go_on_until_two_agree() {
    let stop = stopped();
    let clean = judge(&round(stop, Vec::new(), &[], Cause::Clean));
    let lost = vec![client(stop, 1, -9, 9, Seen::Closed)];
    let bad = judge(&round(stop, lost, &[(1, "unanswered_request")], Cause::Crashed));
    let now = Instant::now();
    let more = |judged: &[&Judged], arguments: &[&str]| {
        let judged: Vec<Judged> = judged.iter().copied().cloned().collect();
        needs_another(&judged, &plan(arguments), now)
    };
    assert!(more(&[], &[]) && more(&[&clean], &[]) && more(&[&clean, &bad], &[]));
    assert!(!more(&[&clean, &clean], &[]) && !more(&[&bad, &clean, &clean], &[]));
    assert!(!more(&[&bad, &clean, &bad, &clean, &bad], &[]), "enough is enough");
    assert!(!more(&[&clean], &["--runs", "1"]) && more(&[&clean, &clean], &["--runs", "3"]));
    let all = [clean.clone(), bad.clone(), clean];
    assert_eq!(worst(&all), Some(1));
    let said = sureness(&all, bad.outcome, bad.cause);
    assert_eq!(said, "it does not happen each time: 1 of 3 runs went wrong");
}

#[test]
fn losses_of_one_kind_stand_together_the_unsafe_first() {
    let stop = stopped();
    let clients = vec![
        client(stop, 1, -9, 10, Seen::Refused),
        client(stop, 2, -9, 400, Seen::Refused),
        client(stop, 3, -9, 5, Seen::Closed),
    ];
    let mut round =
        round(stop, clients, &[(1, "refused"), (2, "refused"), (3, "unanswered_request")], Cause::Clean);
    for severed in round.termination.iter_mut().flat_map(|termination| &mut termination.severed) {
        severed.retry_safe = severed.evidence == "refused";
    }
    let judged = judge(&round);
    let groups = groups(&judged.losses);
    let found: Vec<_> = groups.iter().map(|group| (group.count, group.seen, group.retry_safe)).collect();
    assert_eq!(found, [(1, "closed", Some(false)), (2, "refused", Some(true))]);
    assert_eq!(groups[1].span, (0.01, 0.4));
}
