//! Pods that have to make room: the node, the scheduler or the kubelet wants them gone.

use super::{Case, careless};
use crate::manifest::{Kind, Workload};
use crate::stage::{LifeId, Stage};
use anyhow::{Context as _, Result};
use serde_json::json;

pub const CASES: &[Case] = &[
    Case::new("preempted", "a pod of a higher priority needs the node's CPU", preempted).alone(),
    Case::new("tainted", "the node is given a taint that the pod does not tolerate", tainted).alone(),
    Case::new("size-limit", "the pod fills a volume beyond its limit: the kubelet evicts it", size_limit),
];

/// More than half of any node.
const SHARE: u64 = 60;
const TAINT: &str = "e2e.shutdown-probe/away=yes:NoExecute";
const PRIORITY: &str = "e2e-urgent";
const SPILL: &str = "/spill";

fn exiting(name: &'static str) -> Workload {
    Workload::node(Kind::Deployment, "exit").named(name)
}

fn preempted(stage: &mut Stage<'_>) -> Result<()> {
    let node = stage.node()?;
    let cpus = stage.kubectl.run(&["get", "node", &node, "-o", "jsonpath={.status.allocatable.cpu}"])?;
    let request = format!("{}m", milli_cpus(&cpus)? * SHARE / 100);
    let large = |name| {
        exiting(name)
            .with_app("resources", json!({"requests": {"cpu": request}}))
            .with("/nodeSelector", json!({"kubernetes.io/hostname": node}))
    };
    stage.kubectl.apply(&json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": PRIORITY},
        "value": 1_000_000, "description": "a case of shutdown-probe's tests",
    }))?;
    let web = stage.deploy_one(&large("web"))?;
    careless::audience(stage, web)?;
    stage.begin_end(&[web]);
    let urgent = large("urgent").with("/priorityClassName", json!(PRIORITY));
    let displaced = stage.kubectl.apply(&urgent.object()).and_then(|()| stage.await_end(web));
    // Whatever came of it, it is of the whole cluster.
    stage.kubectl.run(&["delete", "priorityclass", PRIORITY])?;
    displaced?;
    careless::exits(stage, web, "preempted")
}

/// `2` or `1930m`.
fn milli_cpus(text: &str) -> Result<u64> {
    let number = |text: &str| text.parse::<u64>().with_context(|| format!("{text:?} is no number of CPUs"));
    match text.strip_suffix('m') {
        Some(milli) => number(milli),
        None => Ok(number(text)? * 1_000),
    }
}

fn tainted(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&exiting("web"))?;
    careless::audience(stage, web)?;
    let node = stage.node_of(web)?;
    stage.begin_end(&[web]);
    let tainted = stage.kubectl.run(&["taint", "node", &node, TAINT]).and_then(|_| stage.await_end(web));
    // Whatever came of it, the node takes pods again.
    stage.kubectl.run(&["taint", "node", &node, &format!("{TAINT}-")])?;
    tainted?;
    careless::exits(stage, web, "evicted")
}

fn size_limit(stage: &mut Stage<'_>) -> Result<()> {
    let workload = exiting("web")
        .with("/volumes", json!([{"name": "spill", "emptyDir": {"sizeLimit": "1Mi"}}]))
        .with_app("volumeMounts", json!([{"name": "spill", "mountPath": SPILL}]));
    let web = stage.deploy_one(&workload)?;
    careless::audience(stage, web)?;
    fill(stage, web)?;
    careless::exits(stage, web, "evicted")
}

fn fill(stage: &mut Stage<'_>, web: LifeId) -> Result<()> {
    stage.begin_end(&[web]);
    stage.exec(web, &["dd", "if=/dev/zero", &format!("of={SPILL}/much"), "bs=1M", "count=8"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_whole_or_thousandths() {
        assert_eq!((milli_cpus("2").unwrap(), milli_cpus("1930m").unwrap()), (2_000, 1_930));
        assert!(milli_cpus("").is_err());
    }
}
