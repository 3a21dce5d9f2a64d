//! Scripts of pods' ends: what the kernel saw next to what the API said, and exactly what is reported.

use crate::script::{CONTAINER, Script, instant, process, severed};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::{Command, Count, KillReason, Labels};
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use shutdown_probe_core::input::{EndpointStep, Handler, Input, Sender};
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Change, Container, Deletion, KubeletReason, Probe, Stopped};
use shutdown_probe_core::report::{Phase, Workload};
use shutdown_probe_core::signal::SIGKILL;
use shutdown_probe_core::trigger::Trigger;
use shutdown_probe_core::{Settings, kubernetes::source::Source};

pub const UID: &str = "9d3c1f0e-5a7b-4c2d-8e6f-0a1b2c3d4e5f";
pub const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";

fn path() -> String {
    format!("/kubepods/burstable/pod{UID}/{ID}")
}

/// A pod of Deployment `web` whose one container, `app`, listens; the API has told of it unless it is away.
pub fn serving() -> Script {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path());
    script.at(10).listener(1, true, false);
    script
}

pub fn pod() -> Pod {
    let workload = Workload { kind: "Deployment".into(), name: "web".into(), revision: Some("7".into()) };
    Pod {
        uid: UID.into(),
        namespace: "shop".into(),
        name: "web-5d4f".into(),
        workload: Some(workload),
        addresses: vec!["10.244.0.7".parse().expect("valid")],
        grace_seconds: Some(30),
        containers: vec![Container {
            name: "app".into(),
            image: "registry/web:7".into(),
            id: Some(ID.into()),
            ..Container::default()
        }],
        ..Pod::default()
    }
}

pub fn deleted(at: u64, grace_seconds: u32) -> Pod {
    Pod { deletion: Some(Deletion { began_at: instant(at), grace_seconds }), ..pod() }
}

pub fn tell(script: &mut Script, ms: u64, pod: Pod) -> &mut Script {
    script.at(ms).input(Input::Pod { at: instant(ms), pod: Box::new(pod) })
}

fn labels() -> Labels {
    Labels {
        namespace: "shop".into(),
        workload_kind: "Deployment".into(),
        workload: "web".into(),
        container: "app".into(),
        pod: "web-5d4f".into(),
    }
}

/// Under which names something was counted.
fn counted_as(script: &Script, count: &Count) -> Vec<Labels> {
    let of = |command: &Command| match command {
        Command::Count { labels, count: found } if found == count => Some(labels.clone()),
        _ => None,
    };
    script.commands.iter().filter_map(of).collect()
}

#[test]
fn a_rollout_is_named_whole() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 60_000, Pod { change: Some(Change::NewRevision), ..deleted(60_000, 30) });
    script.at(60_150).sigterm(Handler::Installed);
    script.at(60_153).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::Rollout, Cause::ExitedWithoutDrain));
    let container = &report.container;
    assert_eq!((container.name.as_str(), container.id.as_str()), ("app", ID));
    assert_eq!(container.image, "registry/web:7");
    let pod = container.pod.as_ref().expect("its pod");
    assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.uid.as_str()), ("shop", "web-5d4f", UID));
    assert_eq!(container.workload.as_ref().and_then(|it| it.revision.as_deref()), Some("7"));
    assert_eq!(report.grace.allowed_seconds, Some(30.0));
    let announced = report.announced.expect("a deletion");
    assert_eq!((announced.at, announced.stop_signal_after_seconds), (60.0, Some(0.15)));
    let counted =
        Count::Severed { fate: Fate::UnansweredRequest, cause: Cause::ExitedWithoutDrain, count: 1 };
    assert_eq!(counted_as(&script, &counted), [labels()]);
}

#[test]
fn what_ends_while_a_pre_stop_hook_sleeps_is_everyday_business() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 1_000, deleted(1_000, 30));
    script.at(2_000).opened(5001).closed(5009, Fate::UnansweredRequest);
    script.at(4_000).sigterm(Handler::Installed).opened(5002);
    script.at(5_000).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(severed(&report), [("unanswered_request", 1)], "5009 ended before anything was stopped");
    let announced = report.announced.expect("a deletion");
    assert_eq!((announced.connections, announced.stop_signal_after_seconds), (1, Some(3.0)));
    assert_eq!(announced.last_connection_after_seconds, Some(3.0));
    assert_eq!(report.late_connections_total, 1);
    let late = script.counts.iter().find(|count| matches!(count, Count::LateConnection { .. }));
    let source = Some(Source::SameNode);
    assert_eq!(late, Some(&Count::LateConnection { after: std::time::Duration::ZERO, source }));
}

#[test]
fn a_pre_stop_hook_that_stops_the_server_is_its_shutdown() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 1_000, deleted(1_000, 30));
    script.at(1_500).listener(1, false, false).closed(5001, Fate::RequestAfterClose);
    script.at(1_600).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!(severed(&report), [("request_after_close", 1)]);
    assert_eq!((report.trigger, report.severed[0].phase), (Trigger::PodDeleted, Phase::Announced));
    assert!(report.stop_signal.is_none());
}

#[test]
fn the_grace_period_begins_with_the_deletion() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 1_000, deleted(1_000, 30));
    // A hook of 25 s, and a server that works on until the end.
    script.at(26_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(31_000).sigkill(1);
    script.at(31_001).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::GraceExceeded, "5 s after SIGTERM, but 30 s after the deletion");
    assert!(script.counts.contains(&Count::Kill { reason: KillReason::GraceExceeded }));
    let ratio = script.counts.iter().find_map(|count| match count {
        Count::Termination { grace_used_ratio, .. } => *grace_used_ratio,
        _ => None,
    });
    assert!(ratio.is_some_and(|ratio| (1.0..1.01).contains(&ratio)), "{ratio:?}");
}

#[test]
fn a_pod_that_vanishes_while_it_runs_was_forced() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    script.at(1_000).input(Input::PodRemoved { at: instant(1_000), uid: UID.into() });
    script.at(2_000).sigterm(Handler::Installed);
    script.at(4_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::ForceDeleted, Cause::GraceCutShort));
    assert_eq!(report.container.pod.map(|pod| pod.name), Some("web-5d4f".into()), "its name is remembered");
}

#[test]
fn a_pod_that_vanishes_when_it_is_over_was_not() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 1_000, deleted(1_000, 30));
    script.at(1_100).sigterm(Handler::Installed).exit(1, Some(0), None).empty();
    tell(&mut script, 1_500, Pod { containers: vec![], ..deleted(1_000, 30) });
    let report = script.report();
    assert_eq!(report.trigger, Trigger::PodDeleted);
    assert_eq!(report.container.pod.map(|pod| pod.name), Some("web-5d4f".into()));
}

#[test]
fn a_failed_liveness_probe_stops_one_container() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    script.at(5_000).sigterm(Handler::Installed);
    script.at(5_100).exit(1, Some(0), None).empty();
    let mut told = pod();
    told.containers[0].stopped = vec![Stopped { at: instant(5_000), why: KubeletReason::LivenessProbe }];
    (told.containers[0].id, told.containers[0].previous_id) = (Some("next".into()), Some(ID.into()));
    tell(&mut script, 6_000, told);
    let report = script.report();
    assert_eq!(report.trigger, Trigger::LivenessFailed);
    assert!(report.announced.is_none());
}

#[test]
fn without_the_api_the_path_still_tells_the_pod() {
    let mut script = serving();
    script.at(1_000).sigterm(Handler::Default);
    script.at(1_003).exit(1, None, Some(15)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.trigger, Trigger::ContainerStopped);
    let pod = report.container.pod.expect("its pod");
    assert_eq!((pod.uid.as_str(), pod.name.as_str()), (UID, ""));
    let unknown = Labels { container: "_unknown".into(), ..Labels::default() };
    let expected =
        Count::Severed { fate: Fate::UnansweredRequest, cause: Cause::StopSignalKilledProcess, count: 1 };
    assert_eq!(counted_as(&script, &expected), [unknown]);
    assert_eq!(counted_as(&script, &Count::Serving), [], "no series begin under a name that is none");
}

#[test]
fn names_that_come_late_are_filled_in_and_nothing_counts_twice() {
    let mut script = serving();
    script.at(1_000).sigterm(Handler::Default);
    script.at(1_003).exit(1, None, Some(15)).died(5001, Fate::UnansweredRequest).empty();
    tell(&mut script, 3_000, deleted(900, 30));
    let report = script.report();
    assert_eq!(report.container.pod.map(|pod| pod.name), Some("web-5d4f".into()));
    assert_eq!(report.trigger, Trigger::PodDeleted);
    let severed = script.counts.iter().filter(|count| matches!(count, Count::Severed { .. }));
    assert_eq!(severed.count(), 1);
}

#[test]
fn a_sandbox_is_no_container() {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path());
    tell(&mut script, 20, Pod { containers: vec![], ..deleted(10, 30) });
    script.at(1_000).signal(15, 1, |signal| signal.comm = "pause".into());
    script.at(1_001).exit_of("pause", 1, Some(0)).empty();
    script.assert_silent();
}

#[test]
fn what_is_no_pods_is_not_watched() {
    let path = "/system.slice/nginx.service".to_owned();
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path);
    script.at(1_000).sigterm(Handler::Default).exit(1, None, Some(15)).empty();
    script.assert_silent();
}

#[test]
fn an_endpoint_that_lags_is_measured() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 1_000, deleted(1_000, 30));
    let mut endpoint = |ms, step| {
        let (pod, service) = (UID.to_owned(), "web".to_owned());
        script.at(ms).input(Input::Endpoint { at: instant(ms), pod, service, step });
    };
    endpoint(1_010, EndpointStep::Ready);
    endpoint(1_030, EndpointStep::NotReady);
    script.at(1_100).sigterm(Handler::Installed);
    script.at(1_730).opened(5001);
    script.at(2_000).exit(1, Some(0), None).empty();
    let (pod, service) = (UID.to_owned(), "web".to_owned());
    script.at(2_500).input(Input::Endpoint { at: instant(2_500), pod, service, step: EndpointStep::Removed });
    let report = script.report();
    let routing = report.routing.expect("endpoints");
    assert_eq!(routing.services, ["web"]);
    assert_eq!((routing.not_ready_after_seconds, routing.removed_after_seconds), (Some(0.03), Some(1.5)));
    assert_eq!((routing.lag_seconds, routing.unanswered_attempts.as_str()), (Some(0.7), "not_measured"));
    let lag = std::time::Duration::from_millis(700);
    assert!(script.counts.contains(&Count::EndpointLag { lag }));
    assert_eq!(
        report.recommendation.map(|it| it.pre_stop_seconds),
        Some(2),
        "0.73 s after the deletion, and 1 s"
    );
}

#[test]
fn series_move_to_the_name_when_it_comes_and_expire_with_the_container() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    tell(&mut script, 30, pod());
    assert_eq!(counted_as(&script, &Count::Serving), [labels()]);
    let (at, container) = (instant(40), CONTAINER);
    script.empty().report();
    script.input(Input::ContainerRemoved { at, container });
    assert_eq!(counted_as(&script, &Count::Expired), [labels()]);
}

#[test]
fn a_restart_is_another_container_of_the_same_pod() {
    let next = "b".repeat(64);
    let mut script = serving();
    tell(&mut script, 20, pod());
    let mut told = pod();
    (told.containers[0].id, told.containers[0].previous_id) = (Some(next.clone()), Some(ID.into()));
    tell(&mut script, 1_000, told);
    let path = format!("/kubepods/burstable/pod{UID}/{next}");
    let (at, container) = (instant(1_000), ContainerId(8));
    script.input(Input::ContainerAdded { at, container, path, from_birth: true });
    script.at(2_000).exit(1, Some(3), None).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.container.id.as_str()), (Trigger::Crashed, ID));
    assert_eq!(report.container.name, "app");
}

#[test]
fn a_kubelet_that_hears_first_was_still_told_by_the_deletion() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    script.at(1_000).sigterm(Handler::Installed);
    tell(&mut script, 1_010, deleted(1_010, 30));
    script.at(1_500).exit(1, Some(0), None).empty();
    let announced = script.report().announced.expect("a deletion");
    assert_eq!((announced.at, announced.stop_signal_after_seconds), (1.0, Some(0.0)));
}

#[test]
fn a_pod_that_is_missed_and_found_gone_was_deleted_not_forced() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    script.at(1_000).sigterm(Handler::Installed);
    script.at(1_500).exit(1, Some(0), None).empty();
    script.at(3_000).input(Input::PodRemoved { at: instant(3_000), uid: UID.into() });
    assert_eq!(script.report().trigger, Trigger::PodDeleted);
}

#[test]
fn the_kubelets_probes_are_no_clients() {
    let mut probed = pod();
    probed.containers[0].probes = vec![Probe { port: 80, period_seconds: 1 }];
    let mut script = serving();
    // The script's clients have this address: here it is the node's.
    let addresses = vec!["127.0.0.1".parse().expect("valid")];
    script.input(Input::NodeAddresses { at: instant(15), addresses });
    tell(&mut script, 20, probed.clone());
    probed.deletion = Some(Deletion { began_at: instant(1_000), grace_seconds: 30 });
    tell(&mut script, 1_000, probed);
    script.at(1_100).sigterm(Handler::Installed);
    script.at(1_500).opened(5001);
    // Three in one second are more than a probe a second explains.
    script.at(2_200).opened(5002).opened(5003).opened(5004);
    script.at(2_900).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    script.at(3_100).refused(6001);
    let report = script.report();
    assert_eq!((report.kubelet_probes_total, report.late_connections_total), (3, 2));
    assert_eq!(severed(&report), [], "a probe loses nothing");
    assert_eq!(report.announced.and_then(|it| it.last_connection_after_seconds), Some(1.2));
}

/// A container as runc starts it: its first process ends well when the real one is there.
fn started_by_runc() -> Script {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path());
    tell(&mut script, 5, pod());
    script.at(10).exit(1, Some(0), None);
    script.at(50).listener(2, true, false);
    script
}

#[test]
fn a_runtimes_first_steps_are_no_end() {
    let mut script = started_by_runc();
    script.at(1_000).opened(5001);
    script.at(4_000).exit_of("node", 2, Some(3)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::Crashed, Cause::Crashed));
    assert_eq!((report.began_at, report.late_connections_total), (4.0, 0));
    assert_eq!(report.exit.and_then(|exit| exit.code), Some(3));
}

#[test]
fn a_runtimes_first_steps_are_soon_forgotten() {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path());
    tell(&mut script, 5, pod());
    script.at(8).populated().at(10).exit(1, Some(0), None);
    script.at(50).listener(2, true, false);
    script.at(1_100);
    // From here on an answer is everyday business, for the kernel side, too.
    let silence = Command::Silence { container: CONTAINER };
    assert_eq!(script.commands.iter().filter(|command| **command == silence).count(), 1);
    script.at(4_000).exit_of("node", 2, Some(3)).empty();
    let report = script.report();
    assert_eq!((report.began_at, report.trigger), (4.0, Trigger::Crashed));
}

#[test]
fn whoever_is_logged_in_at_the_end_is_not_what_ended() {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, path());
    tell(&mut script, 5, pod());
    script.at(8).populated().enter(1);
    script.at(10).exit(1, Some(0), None);
    script.at(50).listener(2, true, false);
    // kubectl exec, and what it began with there is stopped: nobody's shutdown.
    script.at(30_000).enter(9);
    script.at(31_000).signal(15, 9, |signal| (signal.root, signal.to_main) = (process(9), true));
    tell(&mut script, 60_000, deleted(60_000, 30));
    script.at(60_100).signal(15, 2, |signal| signal.to_init = true);
    script.at(60_200).exit_of("node", 2, Some(0)).died(5001, Fate::UnansweredRequest);
    script.at(60_210).exit_as_main(9, None, Some(SIGKILL)).empty();
    let report = script.report();
    assert_eq!((report.began_at, report.stop_signal.map(|stop| stop.target)), (60.0, Some(2)));
    assert_eq!(report.exit.map(|exit| (exit.code, exit.signal)), Some((Some(0), None)));
}

#[test]
fn a_deletion_soon_after_the_start_begins_a_story_of_its_own() {
    let mut script = started_by_runc();
    script.at(1_000).opened(5001);
    let told = script.commands.len();
    tell(&mut script, 2_000, deleted(2_000, 30));
    let narration = |command: &&Command| matches!(command, Command::Silence { .. } | Command::Narrate { .. });
    let begun: Vec<_> = script.commands[told..].iter().filter(narration).cloned().collect();
    // What was answered before it is idle, not drained: the kernel side begins anew as well.
    let until = KernelInstant(u64::MAX);
    assert_eq!(
        begun,
        [Command::Silence { container: CONTAINER }, Command::Narrate { container: CONTAINER, until }]
    );
    script.at(2_100).signal(15, 2, |signal| signal.to_init = true);
    script.at(2_200).exit_of("node", 2, Some(0)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.began_at, report.late_connections_total), (2.0, 0));
    assert_eq!(severed(&report), [("unanswered_request", 1)]);
    assert_eq!(report.announced.map(|it| it.connections), Some(0));
}

#[test]
fn a_deletion_after_the_end_explains_nothing() {
    let mut script = serving();
    tell(&mut script, 20, pod());
    script.at(1_000).exit(1, Some(3), None).died(5001, Fate::UnansweredRequest).empty();
    tell(&mut script, 3_000, deleted(3_000, 30));
    let report = script.report();
    assert_eq!((report.trigger, report.announced), (Trigger::Crashed, None));
}

#[test]
fn one_that_is_killed_soon_after_its_start_was_not_completed() {
    let mut script = started_by_runc();
    script.at(1_000).signal(SIGKILL, 2, |signal| signal.sender = Sender::Kernel);
    let (at, container) = (instant(1_000), CONTAINER);
    script.input(Input::OomVictim { at, container, process: process(2) });
    script.at(1_010).exit_as_main(2, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!((report.trigger, report.cause), (Trigger::OomKilled, Cause::KilledWithoutStopSignal));
}
