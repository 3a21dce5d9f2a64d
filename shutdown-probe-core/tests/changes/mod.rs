//! Scripts of terminations, and what to change according to them: each number with its reason, and patches to copy.

use crate::pods::{deleted, pod, serving, tell};
use crate::script::{CONTAINER, Script, instant};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::Settings;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::identity::ContainerId;
use shutdown_probe_core::input::{Handler, Input};
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Deletion, Probe};
use shutdown_probe_core::report::{PatchForm, Setting, Spec, State, Termination, Workload};
use shutdown_probe_core::signal::{SIGKILL, SIGQUIT, SIGTERM};
use std::time::Duration;

/// A pod of Deployment `web` whose spec is known.
fn known(edit: impl FnOnce(&mut Spec)) -> Pod {
    let mut known = pod();
    let mut spec = Spec { kind: "container".into(), grace_seconds: Some(30), ..Spec::default() };
    edit(&mut spec);
    known.containers[0].spec = spec;
    known
}

/// It dies 3 ms after SIGTERM, with a request in hand; a client is refused so many ms after the deletion.
fn careless(pod: &Pod, late: u64) -> Termination {
    let mut script = serving();
    careless_in(&mut script, pod, late);
    script.report()
}

fn careless_in(script: &mut Script, pod: &Pod, late: u64) {
    tell(script, 20, pod.clone());
    tell(script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..pod.clone() });
    script.at(1_100).sigterm(Handler::Installed);
    script.at(1_103).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    script.at(1_000 + late).refused(6001);
}

fn patch(report: &Termination, form: PatchForm) -> &str {
    let found = report.patches.iter().find(|patch| patch.form == form);
    found.map_or_else(|| panic!("no {form:?} in {:#?}", report.patches), |patch| patch.text.as_str())
}

fn settings(report: &Termination) -> Vec<(Setting, Option<&str>)> {
    report.changes.iter().map(|change| (change.setting, change.value.as_deref())).collect()
}

#[test]
fn a_deployment_gets_a_patch_and_the_reason_for_it() {
    let report = careless(&known(|_| ()), 2_300);
    assert_eq!(settings(&report), [(Setting::PreStop, Some("4"))]);
    assert_eq!(
        report.changes[0].reason,
        "in the only termination seen since the probe began the last connection came 2.30 s after the deletion of \
         the pod; plus 1 s; too few to rely on"
    );
    let expected = "\
kubectl patch deployment web --namespace shop --patch '
spec:
  template:
    spec:
      containers:
      - name: app
        lifecycle:
          preStop:
            # before Kubernetes 1.30: exec: {command: [\"sleep\", \"4\"]}
            sleep:
              seconds: 4
'
";
    assert_eq!(patch(&report, PatchForm::Kubectl), expected);
    let expected = "\
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        spec:
          containers:
          - name: app
            lifecycle:
              preStop:
                # before Kubernetes 1.30: exec: {command: [\"sleep\", \"4\"]}
                sleep:
                  seconds: 4
  target:
    kind: Deployment
    name: web
";
    assert_eq!(patch(&report, PatchForm::Kustomize), expected);
    assert_eq!(report.patches[0].settings, [Setting::PreStop]);
}

#[test]
fn the_version_of_the_server_says_which_hook_it_takes() {
    for (minor, hook, spec) in [
        (34, "preStop:\n            sleep:\n              seconds: 4\n", None),
        (34, "preStop:\n            exec: null\n            sleep:\n", Some("exec sleep 2")),
        (29, "            exec:\n              command: [\"sleep\", \"4\"]\n", None),
        (29, "have `sleep`\n            sleep: null\n            exec:\n", Some("sleep 1 s")),
    ] {
        let mut script = serving();
        script.input(Input::ServerVersion { at: instant(15), major: 1, minor });
        careless_in(&mut script, &known(|known| known.pre_stop = spec.map(str::to_owned)), 2_300);
        let report = script.report();
        let text = patch(&report, PatchForm::Kubectl);
        assert!(text.contains(hook), "{minor} {spec:?}: {text}");
    }
}

#[test]
fn a_hook_that_does_more_than_sleep_is_left_alone() {
    for hook in ["exec /drain.sh", "GET /drain", "exec sh -c sleep 2; /drain.sh", "exec sleep infinity"] {
        let report = careless(&known(|spec| spec.pre_stop = Some(hook.into())), 2_300);
        assert_eq!(settings(&report), [(Setting::PreStop, Some("4"))]);
        assert!(report.patches.is_empty(), "{:?}", report.patches);
    }
}

#[test]
fn a_hook_that_sleeps_long_enough_is_no_matter() {
    let mut script = serving();
    let slept = known(|spec| spec.pre_stop = Some("sleep 5 s".into()));
    tell(&mut script, 20, slept.clone());
    tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..slept });
    script.at(3_300).opened(5002);
    script.at(6_010).sigterm(Handler::Installed);
    script.at(6_013).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::ExitedWithoutDrain);
    assert_eq!(report.recommendation.as_ref().map(|it| it.pre_stop_seconds), Some(4));
    assert_eq!(settings(&report), []);
}

#[test]
fn each_kind_is_patched_where_its_pods_are_made() {
    for (kind, expected) in [
        (
            "StatefulSet",
            "kubectl patch statefulset web --namespace shop --patch '\nspec:\n  template:\n    spec:\n",
        ),
        ("DaemonSet", "kubectl patch daemonset web "),
        (
            "CronJob",
            "--patch '\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          cont",
        ),
    ] {
        let mut pod = known(|_| ());
        pod.workload = Some(Workload { kind: kind.into(), name: "web".into(), revision: None });
        let report = careless(&pod, 2_300);
        let text = patch(&report, PatchForm::Kubectl);
        assert!(text.contains(expected), "{kind}: {text}");
    }
    for kind in ["Pod", "Job", "ReplicaSet", "Rollout", "StaticPod", "deployment"] {
        let mut pod = known(|_| ());
        pod.workload = Some(Workload { kind: kind.into(), name: "web".into(), revision: None });
        let report = careless(&pod, 2_300);
        let text = patch(&report, PatchForm::Manifest);
        assert!(text.starts_with("spec:\n  containers:\n  - name: app\n"), "{kind}: {text}");
        assert_eq!(report.patches.len(), 1, "{kind}");
    }
}

#[test]
fn a_sidecar_is_patched_among_the_init_containers_and_others_not_at_all() {
    let report = careless(&known(|spec| spec.kind = "sidecar".into()), 2_300);
    assert!(patch(&report, PatchForm::Kubectl).contains("      initContainers:\n      - name: app\n"));
    for kind in ["init", "ephemeral", ""] {
        let report = careless(&known(|spec| spec.kind = kind.into()), 2_300);
        assert!(report.patches.is_empty(), "{kind}: {:?}", report.patches);
    }
}

#[test]
fn a_name_that_no_api_server_takes_gets_into_no_patch() {
    for hostile in
        ["web'; rm -rf ~ #", "a\nb: c", "$(reboot)", "web\u{202e}", "-web", "", "Web", &"w".repeat(254)]
    {
        let mut pod = known(|_| ());
        pod.workload = Some(Workload { kind: "Deployment".into(), name: hostile.into(), revision: None });
        let report = careless(&pod, 2_300);
        assert!(report.patches.iter().all(|it| it.form == PatchForm::Manifest), "{:?}", report.patches);
        let mut pod = known(|_| ());
        pod.containers[0].name = hostile.into();
        assert!(careless(&pod, 2_300).patches.is_empty(), "{hostile:?}");
    }
    let mut pod = known(|_| ());
    pod.containers[0].name = "123".into();
    assert!(patch(&careless(&pod, 2_300), PatchForm::Kubectl).contains("- name: \"123\"\n"), "no number");
}

/// One more pod of Deployment `web` ends, carelessly unless it drains, with a last client so late.
fn one_more(script: &mut Script, number: u64, ms: u64, late: u64) {
    script.container = ContainerId(100 + number);
    let (container, id) = (script.container, format!("{number:064x}"));
    let mut pod = known(|_| ());
    (pod.uid, pod.name) = (format!("9d3c1f0e-0000-0000-0000-{number:012}"), format!("web-5d4f-{number}"));
    pod.containers[0].id = Some(id.clone());
    let path = format!("/kubepods/burstable/pod{}/{id}", pod.uid);
    script.at(ms).input(Input::ContainerAdded { at: instant(ms), container, path, from_birth: true });
    script.input(Input::ContainerPopulated { at: instant(ms), container, populated: true });
    script.enter(1).listener(1, true, false);
    tell(script, ms + 20, pod.clone());
    let deletion = Some(Deletion { began_at: instant(ms + 1_000), grace_seconds: 3 });
    tell(script, ms + 1_000, Pod { deletion, ..pod });
    script.at(ms + 1_100).sigterm(Handler::Installed);
    script.at(ms + 1_103).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    script.at(ms + 1_000 + late).refused(6001);
    script.at(ms + 30_000).input(Input::ContainerRemoved { at: instant(ms + 30_000), container });
}

#[test]
fn the_pods_of_a_workload_share_their_history() {
    let mut script = Script::at_path(Settings { pods: true, ..Settings::default() }, "/kubepods".into());
    for (number, late) in (1..).zip([2_300, 400, 900]) {
        one_more(&mut script, number, number * 100_000, late);
    }
    let complete = script.reports.iter().filter(|report| report.state == State::Complete);
    let rests: Vec<_> = complete
        .filter_map(|report| report.recommendation.as_ref())
        .map(|it| (it.pre_stop_seconds, it.terminations, it.reason.contains("too few")))
        .collect();
    // Somebody deletes them with a grace of 3 s: what a hook may take is said by their spec.
    assert_eq!(rests, [(4, 1, true), (4, 2, true), (4, 3, false)]);
    assert_eq!(CONTAINER, ContainerId(7));
}

#[test]
fn the_kubelets_probes_ask_for_no_sleep() {
    let mut probed = known(|_| ());
    probed.containers[0].probes = vec![Probe { port: 80, period_seconds: 1 }];
    let mut script = serving();
    let addresses = vec!["127.0.0.1".parse().expect("valid")];
    script.input(Input::NodeAddresses { at: instant(15), addresses });
    tell(&mut script, 20, probed.clone());
    tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..probed });
    script.at(1_100).sigterm(Handler::Installed);
    script.at(1_500).opened(5002).at(2_500).opened(5003);
    script.at(2_900).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    script.at(3_500).refused(6001);
    let report = script.report();
    assert_eq!(report.kubelet_probes_total, 3);
    assert_eq!(report.recommendation.as_ref().map(|it| it.pre_stop_seconds), Some(0));
    assert_eq!(settings(&report), []);
}

#[test]
fn a_restart_says_nothing_of_how_long_clients_come() {
    let mut script = serving();
    tell(&mut script, 20, known(|_| ()));
    // Its pod goes on, and clients with it.
    script.at(1_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(1_003).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
    script.at(9_000).refused(6001);
    let report = script.report();
    assert_eq!(report.last_late_connection_after_seconds, Some(8.0));
    assert_eq!((report.recommendation.as_ref(), settings(&report)), (None, vec![]));
}

#[test]
fn a_drain_that_is_cut_needs_longer_and_how_long_is_not_measured() {
    let mut script = serving();
    let known = known(|_| ());
    tell(&mut script, 20, known.clone());
    tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..known });
    script.at(1_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(31_000).sigkill(1);
    script.at(31_001).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::GraceExceeded);
    assert_eq!(settings(&report), [(Setting::GracePeriod, Some("61"))]);
    assert_eq!(
        report.changes[0].reason,
        "SIGKILL came after 30.0 s while it still worked; how much longer it needs is not measured, so this is \
         twice as long; it is 30 s now"
    );
    assert!(patch(&report, PatchForm::Kubectl).contains("\n      terminationGracePeriodSeconds: 61\n'\n"));
}

#[test]
fn a_sleep_and_a_drain_must_fit_into_the_grace_period() {
    let mut script = serving();
    let mut known = known(|spec| spec.grace_seconds = Some(6));
    known.grace_seconds = Some(6);
    tell(&mut script, 20, known.clone());
    tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 6).deletion, ..known });
    script.at(1_100).sigterm(Handler::Installed).listener(1, false, false);
    script.at(4_500).refused(6001);
    script.at(5_300).closed(5001, Fate::Drained).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!(report.cause, Cause::ListenerClosedWhileRouted);
    assert_eq!(report.recommendation.as_ref().map(|it| it.pre_stop_seconds), Some(3), "half of 6 s");
    // With 11 s there is room for the 5 s that are wanted.
    assert_eq!(settings(&report), [(Setting::PreStop, Some("5")), (Setting::GracePeriod, Some("11"))]);
    assert_eq!(
        report.changes[1].reason,
        "in the only drain seen since the probe began it took 4.20 s to drain, after a preStop sleep of 5 s; plus 1 \
         s; too few to rely on; a preStop sleep of 5 s should take no more than half of it; it is 6 s now"
    );
    let text = patch(&report, PatchForm::Kubectl);
    assert!(text.contains("seconds: 5\n") && text.contains("terminationGracePeriodSeconds: 11\n"), "{text}");
}

#[test]
fn pid_1_is_told_from_one_that_ignores() {
    let ends = |script: &mut Script| {
        script.at(31_000).sigkill(1).exit(1, None, Some(SIGKILL)).died(5001, Fate::UnansweredRequest).empty();
        let report = script.report();
        assert_eq!((report.cause, report.changes.len()), (Cause::IgnoredStopSignal, 1));
        report.changes[0].clone()
    };
    let mut script = Script::serving(1);
    let pid_1 = ends(script.at(1_000).sigterm_dropped());
    assert_eq!(
        pid_1.reason,
        "SIGTERM was sent to app (1), which is PID 1 of its container and has no handler of its own, so that nothing \
         came of it; SIGKILL came after 30.0 s"
    );
    assert!(
        pid_1.what.starts_with("Install a handler for SIGTERM. An init as PID 1 (tini,"),
        "{}",
        pid_1.what
    );
    let mut script = Script::serving(1);
    let ignores = ends(script.at(1_000).sigterm(Handler::Ignore));
    assert_eq!(ignores.what, "Handle SIGTERM instead of ignoring it; an init does not help.");
}

#[test]
fn a_signal_that_stops_at_a_shell_names_who_did_not_get_it() {
    for (command_is_shell, place) in
        [(Some(true), "In the container's command, put `exec`"), (None, "Write the image")]
    {
        let mut script = serving();
        let known = known(|spec| spec.command_is_shell = command_is_shell);
        tell(&mut script, 20, known.clone());
        tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..known });
        script.listener(2, true, false);
        script.at(1_100).signal(SIGTERM, 1, |signal| {
            (signal.comm, signal.dropped, signal.to_init) = ("sh".into(), true, true);
            signal.handler = Handler::Default;
        });
        script.at(31_000).sigkill(1).exit(2, None, Some(SIGKILL));
        script.ended(5001, Fate::UnansweredRequest, |it| it.owner = Some(crate::script::process(2)));
        script.exit(1, None, Some(SIGKILL)).empty();
        let report = script.report();
        assert_eq!(report.cause, Cause::StopSignalNotForwarded);
        let change = &report.changes[0];
        assert_eq!((change.setting, change.value.as_deref()), (Setting::Command, None));
        assert!(change.what.starts_with(place), "{}", change.what);
        assert_eq!(
            change.reason,
            "SIGTERM was sent to sh (1), which did not pass it on; app never got it, and SIGKILL ended it after 29.9 s"
        );
    }
}

/// One life of a unit of systemd that is stopped by this signal.
fn unit_life(script: &mut Script, ms: u64, signal: u32, comm: &str, drains: bool) {
    if ms > 1_000 {
        script.at(ms - 500).input(Input::ContainerPopulated {
            at: instant(ms - 500),
            container: CONTAINER,
            populated: true,
        });
        script.enter(1).listener(1, true, false);
    }
    script.at(ms).signal(signal, 1, |signal| signal.comm = comm.into());
    script.listener(1, false, false);
    let fate = if drains { Fate::Drained } else { Fate::UnansweredRequest };
    script.at(ms + 50).ended((5_000 + ms / 1_000) as u16, fate, |it| it.by_death = !drains);
    script.exit(1, Some(0), None).empty().at(ms + 30_000);
}

fn unit() -> Script {
    let mut script = Script::at_path(Settings::default(), "/system.slice/web.service".into());
    script.at(10).listener(1, true, false);
    script
}

#[test]
fn a_signal_that_was_seen_to_drain_is_proved() {
    let mut script = unit();
    unit_life(&mut script, 1_000, SIGQUIT, "server", true);
    unit_life(&mut script, 100_000, SIGTERM, "server", false);
    let report = script.reports.last().expect("a report").clone();
    assert_eq!(report.cause, Cause::ExitedWithoutDrain);
    assert_eq!(settings(&report), [(Setting::StopSignal, Some("SIGQUIT"))]);
    assert_eq!(
        report.changes[0].reason,
        "1 termination by SIGQUIT drained 1 connection and cut no request; this one by SIGTERM did not drain"
    );
    let expected = "# systemctl edit web.service\n[Service]\nKillSignal=SIGQUIT\n";
    assert_eq!(patch(&report, PatchForm::Systemd), expected);
}

#[test]
fn a_name_counts_only_beside_a_fast_stop_and_is_called_no_proof() {
    let mut script = unit();
    unit_life(&mut script, 1_000, SIGTERM, "nginx", false);
    let report = script.reports.last().expect("a report").clone();
    assert_eq!(settings(&report), [(Setting::StopSignal, Some("SIGQUIT"))]);
    assert!(report.changes[0].what.contains(", if this is nginx"), "{}", report.changes[0].what);
    assert!(report.changes[0].reason.ends_with("SIGQUIT was not measured here"));
    for (signal, comm, drains) in
        [(SIGTERM, "nginx", true), (SIGQUIT, "nginx", false), (SIGTERM, "node", false)]
    {
        let mut script = unit();
        unit_life(&mut script, 1_000, signal, comm, drains);
        assert_eq!(settings(script.reports.last().expect("a report")), [], "{comm}");
    }
}

#[test]
fn a_stop_signal_is_in_a_patch_only_where_the_api_has_the_field() {
    let stopped = |has: Option<&str>| {
        let mut script = serving();
        let known = known(|spec| spec.stop_signal = has.map(str::to_owned));
        tell(&mut script, 20, known.clone());
        tell(&mut script, 1_000, Pod { deletion: deleted(1_000, 30).deletion, ..known });
        script.at(1_100).signal(SIGTERM, 1, |signal| signal.comm = "nginx".into());
        script.at(1_103).exit(1, Some(0), None).died(5001, Fate::UnansweredRequest).empty();
        script.report()
    };
    let report = stopped(None);
    assert_eq!(patch(&report, PatchForm::Dockerfile), "STOPSIGNAL SIGQUIT\n");
    assert_eq!(report.patches.len(), 1);
    let report = stopped(Some("SIGTERM"));
    let text = patch(&report, PatchForm::Kubectl);
    assert!(text.contains("      os:\n        name: linux\n"), "{text}");
    assert!(text.contains("        lifecycle:\n          stopSignal: SIGQUIT\n"), "{text}");
}

#[test]
fn what_ends_well_or_by_itself_is_to_be_changed_in_nothing() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).at(1_900).opened(5002).closed(5002, Fate::Drained);
    script.at(2_000).listener(1, false, false).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!((report.cause, settings(&report)), (Cause::Clean, vec![]));
    assert!(report.recommendation.is_some(), "the number stays");
    let mut script = Script::serving(1);
    script.at(1_000).exit(1, Some(3), None).died(5001, Fate::UnansweredRequest).empty();
    assert_eq!(settings(&script.report()), []);
}

#[test]
fn without_kubernetes_a_sleep_is_before_the_stop_signal() {
    let mut script = Script::at_path(
        Settings { grace: Some(Duration::from_secs(10)), ..Settings::default() },
        "/system.slice/web.service".into(),
    );
    script.at(10).listener(1, true, false).at(1_000).sigterm(Handler::Installed).listener(1, false, false);
    script.at(1_700).refused(6001).exit(1, Some(0), None).empty();
    let report = script.report();
    assert_eq!(settings(&report), [(Setting::PreStop, Some("2"))]);
    assert_eq!(report.changes[0].what, "Send nobody there any more for 2 s before the stop signal.");
    let expected =
        "# systemctl edit web.service\n[Service]\n# runs before the stop signal is sent\nExecStop=sleep 2\n";
    assert_eq!(patch(&report, PatchForm::Systemd), expected);
}
