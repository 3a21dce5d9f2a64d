//! Scripts of whole terminations: inputs, then exactly what is reported.

mod changes;
mod delivery;
mod listed;
mod pods;
mod script;

use script::{Script, process, severed};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::Settings;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::{Count, KillReason};
use shutdown_probe_core::input::{Counters, FateName, Handler, Input, Sender};
use shutdown_probe_core::report::{Phase, State};
use shutdown_probe_core::signal::{Disposition, SIGKILL, SIGTERM};
use shutdown_probe_core::trigger::Trigger;
use std::time::Duration;

#[test]
fn the_default_action_kills_it_mid_request() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Default);
    script.at(1_003).exit(1, None, Some(SIGTERM)).listener(1, false, true);
    script
        .died(5001, Fate::UnansweredRequest)
        .died(5002, Fate::UnansweredRequest)
        .died(5003, Fate::ClosedIdle)
        .empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::ContainerStopped, Cause::StopSignalKilledProcess));
    assert_eq!(severed(&report), [("unanswered_request", 2)]);
    assert_eq!((report.severed_total, report.retry_unsafe_total), (2, 2));
    let peers: Vec<_> =
        report.severed.iter().map(|loss| (loss.peer.as_str(), loss.cause, loss.phase)).collect();
    let cause = Cause::StopSignalKilledProcess;
    assert_eq!(
        peers,
        [("127.0.0.1:5001", cause, Phase::Draining), ("127.0.0.1:5002", cause, Phase::Draining)]
    );
    assert_eq!(
        report.stop_signal.map(|stop| (stop.signal, stop.disposition)),
        Some(("SIGTERM".into(), Disposition::Default))
    );
    assert_eq!(report.grace.used_seconds, Some(0.003));
    assert!(report.measured.complete);
    assert!(
        report.summary.contains("2 unanswered requests") && report.summary.contains("3 ms"),
        "{}",
        report.summary
    );
}

#[test]
fn a_loss_is_counted_within_a_second_of_the_exit() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    script.at(2_000).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty().at(3_000);
    let (fate, cause) = (Fate::UnansweredRequest, Cause::ExitedWithoutDrain);
    assert!(script.counts.contains(&Count::Severed { fate, cause, count: 1 }), "{:?}", script.counts);
    assert_eq!(script.reports.last().map(|report| report.state), Some(State::InProgress));
    script.at(2_500).refused(6001);
    let report = script.report();
    assert_eq!((report.cause, report.other_causes), (cause, vec![Cause::ListenerClosedWhileRouted]));
    assert_eq!(report.severed[1].phase, Phase::Gone);
    let severed = script.counts.iter().filter(|count| matches!(count, Count::Severed { .. })).count();
    assert_eq!(severed, 2, "each loss is counted once");
}

#[test]
fn an_observation_that_ends_tells_what_has_ended() {
    let mut script = Script::serving(1);
    assert!(!script.somebody_ends());
    script.at(1_000).sigterm(Handler::Installed);
    assert!(script.somebody_ends());
    script.at(2_000).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty().at(2_100);
    assert!(script.somebody_ends(), "the last records may be on their way");
    script.at(2_300);
    assert!(!script.somebody_ends());
    script.conclude();
    let report = script.reports.last().expect("a report").clone();
    assert_eq!((report.state, report.cause), (State::Complete, Cause::ExitedWithoutDrain));
    assert_eq!(report.measured.reasons, ["the daemon was stopped while late connections could still come"]);
    assert!(!report.measured.complete);
    let ends = script.counts.iter().filter(|count| matches!(count, Count::Termination { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn an_observation_that_ends_leaves_to_its_successor_what_goes_on() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).at(1_500).conclude();
    assert!(script.reports.iter().all(|report| report.state == State::InProgress));
    assert!(!script.counts.iter().any(|count| matches!(count, Count::Termination { .. })));
}

#[test]
fn a_drain_that_finishes_is_clean() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).listener(1, false, false).closed(5001, Fate::ClosedIdle);
    script.at(1_400).closed(5002, Fate::Drained).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!((report.cause, report.severed_total, report.drained_total), (Cause::Clean, 0, 1));
    assert!(report.advice.is_empty());
    assert!(script.counts.contains(&Count::Drained { count: 1 }));
}

#[test]
fn pid_1_without_a_handler_ignores_the_signal() {
    let mut script = Script::serving(1);
    script.at(10_000).sigterm_dropped();
    script.at(12_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::IgnoredStopSignal);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Ignored));
    assert!(report.grace.exceeded);
    assert!(script.counts.contains(&Count::Kill { reason: KillReason::GraceExceeded }));
}

#[test]
fn a_runtime_that_reraises_has_no_handler_of_its_own() {
    // Node: a handler address, yet the default action is what it asks for.
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).at(1_001).reraise(1);
    script
        .at(1_002)
        .exit(1, None, Some(SIGTERM))
        .listener(1, false, true)
        .died(5001, Fate::UnansweredRequest)
        .empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::StopSignalKilledProcess);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Default));
}

#[test]
fn a_runtime_that_reraises_as_pid_1_ignores_the_signal() {
    let mut script = Script::serving(1);
    script.at(9_000).sigterm(Handler::Installed).at(9_001).reraise(1);
    // It goes on serving: a connection that it closes well is no sign of a drain.
    script.at(9_500).closed(5000, Fate::Drained);
    script.at(11_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::IgnoredStopSignal);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Ignored));
}

#[test]
fn a_runtime_that_reraises_and_then_exits_took_the_default_action() {
    // Go as PID 1: the re-raised signal does nothing there, so it exits with 2.
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).reraise(1);
    script.at(1_002).exit(1, Some(2), None).died(5001, Fate::UnansweredRequest).empty();
    assert_eq!(script.report().cause, Cause::StopSignalKilledProcess);
}

#[test]
fn a_server_that_drains_and_then_reraises_is_clean() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).at(1_010).listener(1, false, false);
    script.at(1_200).closed(5001, Fate::Drained).reraise(1).exit(1, None, Some(SIGTERM)).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::Clean);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Handled));
}

#[test]
fn a_worker_that_drains_and_then_reraises_is_clean() {
    // uvicorn with workers: the master closes the listener, and each worker ends by its signal once it has drained.
    let mut script = Script::serving(2);
    script.at(1_000).sigterm(Handler::Installed).at(1_050);
    script.signal(SIGTERM, 2, |signal| signal.sender = Sender::Inside);
    script.at(1_250).ended(5001, Fate::Drained, |connection| {
        (connection.owner, connection.by_death) = (Some(process(2)), false);
    });
    script.at(1_300).reraise(2).exit(2, None, Some(SIGTERM));
    script.at(1_350).listener(1, false, false).exit(1, Some(0), None).empty();
    assert_eq!(script.report().cause, Cause::Clean);
}

#[test]
fn a_wrapper_that_does_not_forward() {
    let mut script = Script::serving(2);
    script.at(10_000).sigterm_dropped();
    script.at(12_000).sigkill(1).exit(1, None, Some(SIGKILL)).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2))).empty();
    assert_eq!(script.report().cause, Cause::StopSignalNotForwarded);
}

#[test]
fn a_wrapper_that_forwards() {
    let mut script = Script::serving(2);
    script.at(10_000).sigterm(Handler::Installed);
    script.at(10_001).signal(SIGTERM, 2, |signal| {
        signal.sender = Sender::Inside;
        signal.sender_process = Some(process(1));
    });
    script.at(12_000).sigkill(1).exit(1, None, Some(SIGKILL)).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2))).empty();
    assert_eq!(script.report().cause, Cause::GraceExceeded);
}

#[test]
fn it_waits_on_idle_connections() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(3_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::ClosedIdle).empty();
    let report = script.report();
    assert_eq!((report.cause, report.severed_total), (Cause::WaitedOnIdleConnections, 0));
}

#[test]
fn a_kill_before_the_deadline_cuts_the_grace_short() {
    let grace = Some(Duration::from_secs(30));
    let mut script = Script::with(Settings { grace, ..Settings::default() });
    script.at(10).listener(1, true, false).at(1_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(3_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::GraceCutShort);
    assert_eq!(report.grace.allowed_seconds, Some(30.0));
}

#[test]
fn a_signal_before_the_handler_is_installed() {
    let mut script = Script::new();
    script.at(300).signal(SIGTERM, 1, |signal| {
        (signal.handler, signal.dropped, signal.to_init, signal.accepted) = (Handler::Default, true, true, 0);
    });
    script.at(600).listener(1, true, false);
    script.at(2_300).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    assert_eq!(script.report().cause, Cause::SignalBeforeReady);
}

#[test]
fn sigkill_without_warning() {
    let mut script = Script::serving(1);
    script.at(1_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnreadRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::ContainerStopped, Cause::KilledWithoutStopSignal));
    assert_eq!((report.severed_total, report.retry_unsafe_total), (1, 0));
}

#[test]
fn the_oom_killer_kills_first_and_names_its_victim_then() {
    let mut script = Script::serving(1);
    script.at(1_000).signal(SIGKILL, 1, |signal| signal.sender = Sender::KernelInside);
    script.input(Input::OomVictim {
        at: script::instant(1_000),
        container: script::CONTAINER,
        process: process(1),
    });
    script.at(1_001).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::OomKilled, Cause::KilledWithoutStopSignal));
    assert!(script.counts.contains(&Count::Kill { reason: KillReason::OomKilled }));
}

#[test]
fn a_crash_and_a_completion() {
    for (code, signal, trigger) in [
        (Some(1), None, Trigger::Crashed),
        (None, Some(11), Trigger::Crashed),
        (Some(0), None, Trigger::Completed),
    ] {
        let mut script = Script::serving(1);
        script.at(1_000).exit(1, code, signal).died(5001, Fate::UnansweredRequest).empty();
        let report = script.report();
        assert_eq!((report.trigger, report.cause), (trigger, Cause::Crashed));
    }
}

#[test]
fn the_server_behind_a_wrapper_crashes_first() {
    let mut script = Script::serving(2);
    script.at(1_000).ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2)));
    script.at(1_004).exit(1, Some(139), None).empty();
    let report = script.report();
    assert_eq!((report.cause, report.severed_total), (Cause::Crashed, 1));
}

#[test]
fn a_dying_worker_is_no_termination() {
    let mut script = Script::serving(1);
    script.at(1_000).died(5001, Fate::UnansweredRequest);
    script.at(9_000).sigterm(Handler::Installed).listener(1, false, false).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!(
        (report.cause, report.severed_total),
        (Cause::Clean, 0),
        "what came before is not the stop's doing"
    );
}

#[test]
fn a_killed_helper_is_no_termination() {
    let mut script = Script::serving(1);
    script.at(1_000).enter(50);
    script.at(2_000).signal(SIGKILL, 50, |signal| signal.root = process(50));
    script.at(2_001).exit(50, None, Some(SIGKILL)).assert_silent();
}

#[test]
fn a_worker_killed_from_outside_is_no_termination() {
    let mut script = Script::serving(1);
    script.at(2_000).signal(SIGTERM, 9, |_| ()).exit(9, None, Some(SIGTERM)).assert_silent();
}

#[test]
fn a_child_of_the_main_process_that_ends_the_container() {
    let mut script = Script::serving(9);
    script.at(2_000).signal(SIGTERM, 9, |signal| signal.handler = Handler::Default).exit(
        9,
        None,
        Some(SIGTERM),
    );
    script.died(5001, Fate::UnansweredRequest).at(2_003).exit(1, Some(143), None).empty();
    assert_eq!(script.report().cause, Cause::StopSignalKilledProcess);
}

#[test]
fn a_daemon_that_forks_away_and_is_stopped_later() {
    let mut script = Script::new();
    script.at(20).exit(1, Some(0), None);
    script.at(3_000).signal(SIGTERM, 9, |signal| signal.root = process(9));
    script.at(3_002).exit(9, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::ContainerStopped, Cause::ExitedWithoutDrain));
}

#[test]
fn a_child_outlives_its_main_process() {
    let mut script = Script::serving(2);
    script.at(1_000).sigterm(Handler::Default).exit(1, None, Some(SIGTERM));
    script.at(4_000).sigkill(2).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2))).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::StopSignalNotForwarded);
    assert_eq!(report.grace.used_seconds, Some(3.0));
}

#[test]
fn connection_level_causes_stand_alone() {
    for (fate, cause) in
        [(Fate::NeverAccepted, Cause::AcceptQueueDropped), (Fate::RequestAfterClose, Cause::KeepaliveRace)]
    {
        let mut script = Script::serving(1);
        script.at(1_000).sigterm(Handler::Installed).listener(1, false, false).closed(5001, fate);
        script.at(1_100).exit(1, Some(0), None).empty();
        let report = script.report();
        assert_eq!((report.cause, report.severed_total, report.retry_unsafe_total), (cause, 1, 0));
    }
}

#[test]
fn late_arrivals_are_timed_and_recommend_a_pre_stop() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    let late = script.at(1_500).connection(5009, Fate::NotMeasured);
    script.input(Input::ConnectionOpened(late.clone())).input(Input::ConnectionOpened(late));
    script.listener(1, false, false).at(2_700).refused(6001).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!((report.late_connections_total, report.last_late_connection_after_seconds), (2, Some(1.7)));
    let recommended = Count::RecommendedPreStop { sleep: Duration::from_secs(3) };
    assert!(script.counts.contains(&recommended), "{:?}", script.counts);
}

#[test]
fn a_revised_fate_moves_a_connection() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).closed(5001, Fate::ClosedIdle);
    let connection = script.at(1_010).connection(5001, Fate::RequestAfterClose);
    let previous = FateName(Fate::ClosedIdle);
    script.input(Input::ConnectionRevised { connection: connection.clone(), previous });
    script.input(Input::ConnectionRevised { connection, previous }).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!(severed(&report), [("request_after_close", 1)]);
    assert_eq!(report.connections_by_fate.get("closed_idle"), None);
}

#[test]
fn lost_records_are_told_and_totals_come_from_the_kernel() {
    let mut script = Script::serving(1);
    script
        .at(1_000)
        .sigterm(Handler::Default)
        .exit(1, None, Some(SIGTERM))
        .died(5001, Fate::UnansweredRequest)
        .empty();
    let fates = vec![(FateName(Fate::UnansweredRequest), 40), (FateName(Fate::ClosedIdle), 2)];
    let grown = Counters { opened: 0, fates, lost: 41 };
    let (at, container) = (script::instant(1_100), script::CONTAINER);
    script.at(1_100).input(Input::Counters { at, container, grown });
    let report = script.report();
    assert_eq!((report.severed_total, report.severed.len()), (40, 1));
    assert_eq!((report.measured.complete, report.measured.lost_records), (false, 41));
}

#[test]
fn what_cannot_be_known_is_said() {
    let mut script = Script::serving(1);
    script.at(1_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::NotMeasured).empty();
    let report = script.report();
    assert_eq!((report.severed_total, report.measured.not_measured_connections), (0, 1));
    assert!(!report.measured.complete);
    assert!(script.counts.contains(&Count::NotMeasured { count: 1 }));
}

#[test]
fn outbound_requests_are_reported_apart() {
    let mut script = Script::serving(1);
    script
        .at(1_000)
        .sigterm(Handler::Default)
        .exit(1, None, Some(SIGTERM))
        .died(5001, Fate::OutboundUnanswered)
        .empty();
    let report = script.report();
    assert_eq!((report.severed_total, report.outbound_unanswered_total), (0, 1));
}

#[test]
fn a_restart_begins_a_new_life() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Default).exit(1, None, Some(SIGTERM)).empty();
    script.input(Input::ContainerPopulated {
        at: script::instant(1_000),
        container: script::CONTAINER,
        populated: true,
    });
    script.at(1_200).enter(30).closed(5001, Fate::UnansweredRequest);
    script.at(2_000).signal(SIGTERM, 30, |signal| signal.root = process(30)).exit(30, Some(0), None);
    script.died(5002, Fate::UnansweredRequest).empty().at(60_000);
    let complete: Vec<_> = script
        .reports
        .iter()
        .filter(|report| report.state == State::Complete)
        .map(|report| (report.cause, report.severed_total))
        .collect();
    assert_eq!(complete, [(Cause::StopSignalKilledProcess, 0), (Cause::ExitedWithoutDrain, 1)]);
}

#[test]
fn a_container_that_comes_and_goes_is_forgotten() {
    let mut script = Script::new();
    script.at(20).exit(1, Some(0), None).empty();
    script.input(Input::ContainerRemoved { at: script::instant(20), container: script::CONTAINER });
    assert_eq!(script.report().trigger, Trigger::Completed);
    let last = script.commands.last();
    assert!(matches!(last, Some(shutdown_probe_core::Command::Forget { .. })), "{last:?}");
}

#[test]
fn an_init_passes_the_signal_on_to_a_server_without_a_handler() {
    let mut script = Script::serving(2);
    script.at(10_000).signal(SIGTERM, 1, |signal| (signal.blocked, signal.to_init) = (true, true));
    script.at(10_001).signal(SIGTERM, 2, |signal| {
        (signal.sender, signal.sender_process) = (Sender::Inside, Some(process(1)));
        signal.handler = Handler::Default;
    });
    script.exit(2, None, Some(SIGTERM));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2)));
    script.exit(1, Some(143), None).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::StopSignalKilledProcess);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Blocked));
}

#[test]
fn a_signal_that_met_a_thread_being_made_still_kills() {
    // A C library blocks all signals in the thread that makes another.
    let mut script = Script::serving(1);
    script.at(1_000).signal(SIGTERM, 1, |signal| (signal.blocked, signal.handler) = (true, Handler::Default));
    script.exit(1, None, Some(SIGTERM)).ended(5001, Fate::UnansweredRequest, |_| ()).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::StopSignalKilledProcess);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Default));
}

#[test]
fn a_master_that_leaves_its_workers_to_sigkill() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).exit(1, Some(0), None);
    script.at(2_000).sigkill(2).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2))).empty();
    assert_eq!(script.report().cause, Cause::StopSignalNotForwarded);
}

#[test]
fn a_master_that_tells_its_workers_without_a_signal() {
    let mut script = Script::serving(1);
    script.at(1_000).signal(3, 1, |_| ()).listener(1, false, false);
    script.at(3_000).sigkill(1).exit(1, None, Some(SIGKILL)).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::ClosedIdle, |connection| connection.owner = Some(process(2))).empty();
    assert_eq!(script.report().cause, Cause::WaitedOnIdleConnections);
}

#[test]
fn a_master_that_signals_its_own_group_has_handled_it() {
    // Apache: the master ignores the signal from then on and sends it to its whole process group.
    let mut script = Script::serving(2);
    script.at(1_000).sigterm(Handler::Installed).at(1_001).signal(SIGTERM, 1, |signal| {
        (signal.sender, signal.sender_process) = (Sender::Inside, Some(process(1)));
        (signal.handler, signal.dropped) = (Handler::Ignore, true);
    });
    script.signal(SIGTERM, 2, |signal| {
        (signal.sender, signal.sender_process, signal.blocked) = (Sender::Inside, Some(process(1)), true);
    });
    script.at(3_000).sigkill(1).exit(1, None, Some(SIGKILL)).exit(2, None, Some(SIGKILL));
    script.ended(5001, Fate::UnansweredRequest, |connection| connection.owner = Some(process(2))).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::GraceExceeded);
    assert_eq!(report.stop_signal.map(|stop| stop.disposition), Some(Disposition::Handled));
}
