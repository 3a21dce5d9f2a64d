//! The patches that reports give, taken by a real API server: the very commands, in dry runs, on objects without pods.

use super::server::{dry_run, feed};
use crate::cluster::Access;
use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use shutdown_probe_core::identity::KernelInstant;
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Container, Deletion};
use shutdown_probe_core::report::{PatchForm, Spec, Termination, Workload};
use shutdown_probe_core::{Command, Engine, Input, Settings};
use std::fs;
use std::process;

const NAMESPACE: &str = "shutdown-probe";
const NAME: &str = "shutdown-probe-patched";
const UID: &str = "9d3c1f0e-5a7b-4c2d-8e6f-0a1b2c3d4e5f";
const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";
/// A server that exits with requests in its hands, and a client that is refused afterwards.
const RECORDING: &str = include_str!("../../../shutdown-probe-core/recordings/node-exit.jsonl");

/// A container to be patched.
struct Case {
    about: &'static str,
    kind: &'static str,
    sidecar: bool,
    /// Its hook, as the API has it and in the words of a report.
    hook: Option<(&'static str, &'static str)>,
    minor: u32,
    /// The hook that the patch gives it.
    expected: &'static str,
}

const SLEEP: &str = r#"{"sleep":{"seconds":2}}"#;
const EXEC: &str = r#"{"exec":{"command":["sleep","2"]}}"#;
const PLAIN: Case =
    Case { about: "", kind: "Deployment", sidecar: false, hook: None, minor: 34, expected: SLEEP };

const CASES: [Case; 7] = [
    Case { about: "a Deployment", ..PLAIN },
    Case { about: "a StatefulSet", kind: "StatefulSet", ..PLAIN },
    Case { about: "a DaemonSet", kind: "DaemonSet", ..PLAIN },
    Case { about: "a CronJob", kind: "CronJob", ..PLAIN },
    Case { about: "a sidecar", sidecar: true, ..PLAIN },
    Case {
        about: "a hook that sleeps by a command",
        hook: Some((r#"{"exec":{"command":["sleep","1"]}}"#, "exec sleep 1")),
        ..PLAIN
    },
    Case {
        about: "an API server without the action",
        hook: Some((r#"{"sleep":{"seconds":1}}"#, "sleep 1 s")),
        minor: 29,
        expected: EXEC,
        ..PLAIN
    },
];

/// Asks the API server about each.
pub fn check(context: &Context, access: &Access) -> Result<()> {
    for case in CASES {
        let object = object(&case)?.to_string();
        feed(access, &["apply", "-f", "-"], &object)?;
        let judged = judge(context, access, &case, &object);
        feed(access, &["delete", "--ignore-not-found", "--wait=false", "-f", "-"], &object)?;
        judged.with_context(|| format!("the patch of {}", case.about))?;
    }
    manifest(access).context("the manifest of a pod")
}

fn judge(context: &Context, access: &Access, case: &Case, object: &str) -> Result<()> {
    let report = report(case)?;
    verify(case, &patched(access, text(&report, PatchForm::Kubectl)?)?)?;
    let directory = context.workspace.target().join("deploy-patches");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("object.json"), object)?;
    let kustomization = format!("resources:\n- object.json\n{}", text(&report, PatchForm::Kustomize)?);
    fs::write(directory.join("kustomization.yaml"), kustomization)?;
    let built = command::read(access.kubectl().arg("kustomize").arg(&directory))?;
    verify(case, &serde_saphyr::from_str(&built)?)?;
    // As it was made: an apply by the server's own rules would leave the hook that there was.
    feed(access, &["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &built)
}

fn text(report: &Termination, form: PatchForm) -> Result<&str> {
    let found = report.patches.iter().find(|patch| patch.form == form);
    found.map(|patch| patch.text.as_str()).with_context(|| format!("no {} in the report", form.as_str()))
}

/// Runs the command as somebody who copied it would, but dry.
fn patched(access: &Access, text: &str) -> Result<Value> {
    let script = format!(
        "kubectl() {{ \"$KUBECTL\" --kubeconfig \"$CONFIG\" \"$@\" --dry-run=server --output=json; }}\n{text}"
    );
    let mut shell = process::Command::new("sh");
    shell.arg("-c").arg(script).env("KUBECTL", &access.kubectl).env("CONFIG", &access.kubeconfig);
    Ok(serde_json::from_str(&command::read(&mut shell)?)?)
}

/// It has what it should, and all that it had.
fn verify(case: &Case, object: &Value) -> Result<()> {
    let template = if case.kind == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    let pod = object.pointer(template).map(|template| &template["spec"]).context("no template")?;
    let container = &pod[if case.sidecar { "initContainers" } else { "containers" }][0];
    ensure!(container["image"] == "localhost/app:1", "its image is gone: {container}");
    let hook: Value = serde_json::from_str(case.expected)?;
    ensure!(container["lifecycle"]["preStop"] == hook, "its hook is {}", container["lifecycle"]);
    ensure!(
        pod["terminationGracePeriodSeconds"] == 4,
        "its grace is {}",
        pod["terminationGracePeriodSeconds"]
    );
    Ok(())
}

/// A pod that nobody made but a manifest.
fn manifest(access: &Access) -> Result<()> {
    let report = report(&Case { kind: "Pod", ..PLAIN })?;
    let mut pod: Value = serde_saphyr::from_str(text(&report, PatchForm::Manifest)?)?;
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"] = json!({"name": NAME, "namespace": NAMESPACE});
    pod["spec"]["containers"][0]["image"] = json!("localhost/app:1");
    dry_run(access, &pod.to_string())
}

/// Something that makes pods, but none now.
fn object(case: &Case) -> Result<Value> {
    let labels = json!({"app": NAME});
    let hook = case.hook.map(|(hook, _)| serde_json::from_str::<Value>(hook)).transpose()?;
    let lifecycle = hook.map_or_else(|| json!({}), |hook| json!({"preStop": hook}));
    let mut app = json!({"name": "app", "image": "localhost/app:1"});
    let mut proxy = json!({"name": "proxy", "image": "localhost/app:1", "restartPolicy": "Always"});
    let patched = if case.sidecar { &mut proxy } else { &mut app };
    patched["lifecycle"] = lifecycle;
    let restart = if case.kind == "CronJob" { "Never" } else { "Always" };
    let pod = json!({
        "nodeSelector": {NAME: "nowhere"}, "terminationGracePeriodSeconds": 2, "restartPolicy": restart,
        "containers": [app], "initContainers": [proxy]
    });
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let spec = match case.kind {
        "CronJob" => {
            let job = json!({"spec": {"template": template}});
            json!({"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": job})
        }
        "DaemonSet" => json!({"selector": {"matchLabels": labels}, "template": template}),
        _ => json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template}),
    };
    let version = if case.kind == "CronJob" { "batch/v1" } else { "apps/v1" };
    let metadata = json!({"name": NAME, "namespace": NAMESPACE});
    Ok(json!({"apiVersion": version, "kind": case.kind, "metadata": metadata, "spec": spec}))
}

/// What is reported of a pod of it that ends as the recorded server did.
fn report(case: &Case) -> Result<Termination> {
    let mut engine = Engine::new(Settings { pods: true, ..Settings::default() });
    let recorded = RECORDING.lines().skip(1).map(serde_json::from_str);
    let recorded = recorded.collect::<Result<Vec<Input>, _>>()?;
    let stopped = recorded.iter().find_map(|input| match input {
        Input::Signal(signal) => Some(signal.at),
        _ => None,
    });
    let at = KernelInstant(stopped.context("a recording without a stop signal")?.0 - 1);
    for input in recorded {
        match input {
            Input::ContainerAdded { at, container, from_birth, .. } => {
                engine.handle(Input::ServerVersion { at, major: 1, minor: case.minor });
                engine.handle(Input::Pod { at, pod: Box::new(pod(case, None)) });
                let path = format!("/kubepods/burstable/pod{UID}/{ID}");
                engine.handle(Input::ContainerAdded { at, container, path, from_birth });
            }
            Input::Signal(_) => {
                engine.handle(Input::Pod { at, pod: Box::new(pod(case, Some(at))) });
                engine.handle(input);
            }
            input => engine.handle(input),
        }
    }
    last_report(engine).context("the recorded server's end is not reported")
}

fn last_report(mut engine: Engine) -> Option<Termination> {
    while let Some(due) = engine.poll_timeout() {
        engine.handle_timeout(due);
    }
    let commands = std::iter::from_fn(|| engine.next_command());
    let reports = commands.filter_map(|command| match command {
        Command::Report(report) => Some(*report),
        _ => None,
    });
    reports.last()
}

fn pod(case: &Case, deleted: Option<KernelInstant>) -> Pod {
    let (name, kind) = if case.sidecar { ("proxy", "sidecar") } else { ("app", "container") };
    let spec = Spec {
        kind: kind.into(),
        grace_seconds: Some(2),
        pre_stop: case.hook.map(|(_, words)| words.into()),
        ..Spec::default()
    };
    Pod {
        uid: UID.into(),
        namespace: NAMESPACE.into(),
        name: format!("{NAME}-0"),
        workload: Some(Workload { kind: case.kind.into(), name: NAME.into(), revision: None }),
        grace_seconds: Some(2),
        deletion: deleted.map(|began_at| Deletion { began_at, grace_seconds: 2 }),
        containers: vec![Container { name: name.into(), id: Some(ID.into()), spec, ..Container::default() }],
        ..Pod::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_has_both_patches() {
        for case in CASES {
            let report = report(&case).unwrap();
            let settings: Vec<_> = report.patches.iter().map(|patch| patch.settings.len()).collect();
            assert_eq!(settings, [2, 2], "{}: {:#?}", case.about, report.patches);
        }
    }
}
