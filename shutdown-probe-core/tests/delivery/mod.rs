//! What becomes of bytes that are still under way when a connection ends.

use crate::pods;
use crate::script::{CONTAINER, Script, instant, severed};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::Count;
use shutdown_probe_core::identity::SocketCookie;
use shutdown_probe_core::input::{Confidence, FateName, Handler, Input};
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::report::Termination;

/// One answer is under way when the process exits, 2 s after its start.
fn exits_with_an_answer_under_way() -> Script {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    script.at(1_900).ended(5001, Fate::Drained, |connection| {
        (connection.under_way, connection.undelivered_bytes) = (true, 70_000);
    });
    script.closed(5002, Fate::Drained).at(2_000).exit(1, Some(0), None).empty();
    script
}

fn settled(script: &mut Script, ms: u64) {
    let (at, cookie) = (instant(ms), SocketCookie(5001));
    script.at(ms).input(Input::ConnectionSettled { at, container: CONTAINER, cookie });
}

fn stranded(script: &mut Script, ms: u64) {
    let (at, cookie) = (instant(ms), SocketCookie(5001));
    script.at(ms).input(Input::ConnectionStranded { at, container: CONTAINER, cookie });
}

fn drained(script: &Script) -> Vec<u64> {
    let counts = script.counts.iter();
    counts
        .filter_map(|count| if let Count::Drained { count } = count { Some(*count) } else { None })
        .collect()
}

#[test]
fn what_is_acknowledged_in_the_linger_is_drained() {
    let mut script = exits_with_an_answer_under_way();
    settled(&mut script, 5_000);
    let report = script.report();
    assert_eq!((report.cause, report.severed_total, report.drained_total), (Cause::Clean, 0, 2));
    assert!(report.measured.complete, "{:?}", report.measured);
    assert_eq!(drained(&script), [1, 1], "nothing is counted before it is known");
}

#[test]
fn what_finds_no_way_any_more_is_lost_with_the_network() {
    let mut script = exits_with_an_answer_under_way();
    stranded(&mut script, 2_400);
    stranded(&mut script, 2_800);
    let report = script.report();
    assert_eq!((report.cause, report.other_causes.as_slice()), (Cause::NetworkWithdrawn, [].as_slice()));
    assert_eq!((severed(&report), report.drained_total), (vec![("undelivered_response", 1)], 1));
    let [loss] = report.severed.as_slice() else { panic!("one loss: {:?}", report.severed) };
    assert_eq!((loss.cause, loss.undelivered_bytes), (Cause::NetworkWithdrawn, 70_000));
    let (fate, cause) = (Fate::UndeliveredResponse, Cause::NetworkWithdrawn);
    let counted: Vec<_> =
        script.counts.iter().filter(|count| matches!(count, Count::Severed { .. })).collect();
    assert_eq!(counted, [&Count::Severed { fate, cause, count: 1 }]);
    assert_eq!(drained(&script), [1]);
    let lost = report.timeline.iter().find(|entry| entry.event == "severed").expect("in the timeline");
    assert_eq!(lost.after_seconds, 1.4, "when it was known");
}

#[test]
fn a_network_that_comes_back_was_not_withdrawn() {
    let mut script = exits_with_an_answer_under_way();
    stranded(&mut script, 2_400);
    settled(&mut script, 3_000);
    let report = script.report();
    assert_eq!((report.cause, report.severed_total, report.drained_total), (Cause::Clean, 0, 2));
}

#[test]
fn what_is_never_acknowledged_is_not_known() {
    let mut script = exits_with_an_answer_under_way();
    let report = script.report();
    assert_eq!((report.cause, report.severed_total, report.drained_total), (Cause::Clean, 0, 1));
    assert_eq!(report.measured.not_measured_connections, 1);
    let reason = "the end of what was sent on 1 of the connections was not acknowledged in time";
    assert_eq!(report.measured.reasons, [reason]);
    assert!(script.counts.contains(&Count::NotMeasured { count: 1 }));
}

#[test]
fn an_observation_that_ends_does_not_know_what_is_under_way() {
    let mut script = exits_with_an_answer_under_way();
    script.at(2_300).conclude();
    let report = script.reports.last().expect("a report");
    assert_eq!(report.measured.not_measured_connections, 1);
}

#[test]
fn what_is_judged_anew_meanwhile_stays_so() {
    let mut script = exits_with_an_answer_under_way();
    let connection = script.at(2_100).connection(5001, Fate::RequestAfterClose);
    script.input(Input::ConnectionRevised { connection, previous: FateName(Fate::Drained) });
    stranded(&mut script, 2_400);
    assert_eq!(severed(&script.report()), [("request_after_close", 1)]);
}

#[test]
fn a_loss_of_the_servers_own_goes_first() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    script.ended(5001, Fate::ClosedIdle, |connection| connection.under_way = true);
    script.died(5003, Fate::UnansweredRequest).exit(1, Some(0), None).empty();
    stranded(&mut script, 1_400);
    let report = script.report();
    assert_eq!(
        (report.cause, report.other_causes),
        (Cause::ExitedWithoutDrain, vec![Cause::NetworkWithdrawn])
    );
}

/// A process that crashes takes its connections along before anybody knows that this is the end.
#[test]
fn a_crash_leaves_answers_under_way_too() {
    for (is_settled, unknown) in [(false, 1), (true, 0)] {
        let mut script = Script::serving(1);
        script.at(1_000).ended(5001, Fate::ClosedIdle, |connection| connection.under_way = true);
        if is_settled {
            settled(&mut script, 1_001);
        }
        script.at(1_002).exit(1, Some(1), None).empty();
        assert_eq!(script.report().measured.not_measured_connections, unknown);
    }
}

/// The pod of an answer that is under way when its process exits is deleted, and forgotten by the API at `ms`.
fn pod_goes(pod: fn(Pod) -> Pod, unsent: bool, ms: u64) -> Termination {
    let mut script = pods::serving();
    pods::tell(&mut script, 20, pod(pods::pod()));
    pods::tell(&mut script, 1_000, pod(pods::deleted(1_000, 30)));
    let removed = || Input::PodRemoved { at: instant(ms), uid: pods::UID.into() };
    script.at(1_100).sigterm(Handler::Installed);
    if ms < 2_000 {
        script.at(ms).input(removed());
    }
    script.at(2_000).ended(5001, Fate::ClosedIdle, |connection| {
        (connection.under_way, connection.unsent) = (true, unsent);
    });
    script.exit(1, Some(0), None).empty();
    if ms >= 2_000 {
        script.at(ms).input(removed());
    }
    script.report()
}

#[test]
fn a_pod_takes_along_what_it_had_not_sent() {
    let report = pod_goes(|pod| pod, true, 3_500);
    assert_eq!(
        (report.cause, severed(&report)),
        (Cause::NetworkWithdrawn, vec![("undelivered_response", 1)])
    );
    assert_eq!(report.severed[0].confidence, Confidence::Likely);
    assert!(!report.advice.is_empty() && report.measured.complete, "{report:?}");
}

#[test]
fn what_a_pod_had_sent_may_have_arrived() {
    let report = pod_goes(|pod| pod, false, 3_500);
    assert_eq!((report.cause, report.measured.not_measured_connections), (Cause::Clean, 1));
}

#[test]
fn the_network_of_its_node_does_not_go_with_a_pod() {
    let on_node = |mut pod: Pod| {
        pod.containers[0].spec.host_network = true;
        pod
    };
    assert_eq!(pod_goes(on_node, true, 3_500).severed_total, 0);
}

/// By force, while it runs, or not before the observation is over.
#[test]
fn a_pod_that_is_forgotten_too_early_or_too_late_proves_nothing() {
    for ms in [1_500, 30_000] {
        assert_eq!(pod_goes(|pod| pod, true, ms).measured.not_measured_connections, 1, "at {ms} ms");
    }
}
