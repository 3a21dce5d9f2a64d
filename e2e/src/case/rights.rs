//! The daemon's own pod with less than it needs: it says what is missing, and why it does not start.

use super::{Case, careless};
use crate::daemon::{DAEMON_SET, NAMESPACE, SELECTOR};
use crate::manifest::{Kind, Workload};
use crate::stage::Stage;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

pub const CASES: &[Case] =
    &[Case::new("least-rights", "the daemon without each of what its pod is given", least_rights).alone()];

/// Something that the pod is given.
struct Right {
    name: &'static str,
    /// The field of the container's specification that is without it, and its value.
    field: &'static str,
    value: fn() -> Value,
    /// What the daemon says then.
    said: &'static str,
}

const RIGHTS: [Right; 4] = [
    Right {
        name: "CAP_BPF",
        field: "securityContext/capabilities/add",
        value: || json!(["PERFMON"]),
        said: "CAP_BPF and CAP_PERFMON (or root) are needed",
    },
    Right {
        name: "CAP_PERFMON",
        field: "securityContext/capabilities/add",
        value: || json!(["BPF"]),
        said: "CAP_BPF and CAP_PERFMON (or root) are needed",
    },
    Right {
        name: "user 0",
        field: "securityContext/runAsUser",
        value: || json!(65_534),
        said: "CAP_BPF and CAP_PERFMON (or root) are needed",
    },
    Right { name: "the cgroup tree", field: "volumeMounts", value: || json!([]), said: "cgroup v2" },
];

fn least_rights(stage: &mut Stage<'_>) -> Result<()> {
    let daemon_set = stage.kubectl.within(NAMESPACE).json(&["get", DAEMON_SET])?;
    let template = &daemon_set["spec"]["template"];
    RIGHTS.iter().try_for_each(|right| is_missed(stage, right, template).context(right.name))?;
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    careless::audience(stage, web)?;
    stage.delete(web, &[])?;
    careless::exits(stage, web, "pod_deleted")
}

fn patch(stage: &Stage<'_>, path: &str, value: &Value) -> Result<()> {
    let daemon = stage.kubectl.within(NAMESPACE);
    let patch = json!([{"op": "replace", "path": path, "value": value}]).to_string();
    daemon.run(&["patch", DAEMON_SET, "--type=json", "--patch", &patch]).map(|_| ())
}

/// Whatever comes of it, the daemon has its pod's template again.
fn is_missed(stage: &mut Stage<'_>, right: &Right, template: &Value) -> Result<()> {
    let daemon = stage.kubectl.within(NAMESPACE);
    patch(stage, &format!("/spec/template/spec/containers/0/{}", right.field), &(right.value)())?;
    let mut pod = None;
    let failed = stage.wait_for("the daemon to fail", |stage| {
        pod = failing_pod(stage);
        pod.is_some()
    });
    let said = pod.map(|pod| daemon.run(&["logs", &pod]));
    patch(stage, "/spec/template", template)?;
    stage.await_daemon()?;
    failed?;
    let said = said.context("no pod failed")??;
    ensure!(said.contains(right.said), "it is to say {:?}, found:\n{said}", right.said);
    Ok(())
}

/// A pod of the daemon's that is not to end, and that has ended with an error.
fn failing_pod(stage: &Stage<'_>) -> Option<String> {
    let daemon = stage.kubectl.within(NAMESPACE);
    let pods = daemon.json(&["get", "pods", "--selector", SELECTOR]).ok()?;
    let has_failed = |pod: &&Value| {
        let ends = ["state", "lastState"].into_iter().filter_map(|state| {
            pod.pointer(&format!("/status/containerStatuses/0/{state}/terminated/exitCode"))
        });
        pod.pointer("/metadata/deletionTimestamp").is_none() && ends.into_iter().any(|code| *code != 0)
    };
    let pod = pods["items"].as_array()?.iter().find(has_failed)?;
    pod.pointer("/metadata/name").and_then(Value::as_str).map(String::from)
}
