//! Pods that have to make room: the node, the scheduler or the kubelet wants them gone.

use super::{Case, careless};
use crate::daemon::Daemon;
use crate::logind::Logind;
use crate::manifest::{Kind, Workload};
use crate::stage::{LifeId, Stage};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use std::time::Duration;
use zoo::api::Termination;
use zoo::expect::Cause;

pub const CASES: &[Case] = &[
    Case::new("preempted", "a pod of a higher priority needs the node's CPU", preempted).alone(),
    Case::new("tainted", "the node is given a taint that the pod does not tolerate", tainted).alone(),
    Case::new(
        "node-shutdown",
        "logind says that the node shuts down: the kubelet ends its pods",
        node_shutdown,
    )
    .alone(),
    Case::new("size-limit", "the pod fills a volume beyond its limit: the kubelet evicts it", size_limit),
];

/// More than half of any node.
const SHARE: u64 = 60;
const TAINT: &str = "e2e.shutdown-probe/away=yes:NoExecute";
const PRIORITY: &str = "e2e-urgent";
/// How long a pod holds up the shutdown of its node.
const SLOW_SECONDS: u32 = 25;
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

/// All pods end, and the daemon's when the last of the others has. One of those takes its time, so that the daemon can
/// be asked.
fn node_shutdown(stage: &mut Stage<'_>) -> Result<()> {
    let logind = Logind::listen()?;
    // The kubelet looks for the bus when it starts, and is gone for as long.
    stage.component("stop", "kubelet")?;
    stage.component("start", "kubelet")?;
    stage.wait_for("the kubelet to listen to logind", |_| logind.has_listeners())?;
    // Nobody makes them anew.
    let bare = |name| Workload::node(Kind::Pod, "exit").named(name);
    let web = stage.deploy_one(&bare("web"))?;
    let slow = Workload::command(Kind::Pod, &["sh", "-c", "trap '' TERM; echo listening; sleep 600"]);
    stage.deploy(&slow.named("slow").grace(SLOW_SECONDS))?;
    careless::audience(stage, web)?;
    stage.begin_end(&[web]);
    logind.prepare_for_shutdown(true)?;
    let told = stage.await_end(web).and_then(|()| is_told(stage, web));
    let waited = stage.let_pass(Duration::from_secs(SLOW_SECONDS.into()));
    // Whatever came of it, the node takes pods again.
    logind.prepare_for_shutdown(false)?;
    stage.await_nodes()?;
    // Its controller waits longer after each pod that the node has refused, unless there is something new.
    stage.renew_daemon()?;
    told.and(waited)?;
    let next = stage.deploy_one(&bare("next"))?;
    careless::audience(stage, next)?;
    stage.delete(next, &[])?;
    careless::exits(stage, next, "pod_deleted")
}

/// While the daemon lives: what it knows goes with it, but for Events, the journal, and what was scraped.
fn is_told(stage: &mut Stage<'_>, web: LifeId) -> Result<()> {
    let (_, id) = stage.identity(web);
    let daemon = Daemon::find(&stage.shared.kubectl)?;
    let addresses = daemon.addresses()?;
    let mut last = Vec::new();
    let complete = stage.wait_for("the termination to be complete", |_| {
        last = daemon.terminations(&addresses).unwrap_or_default();
        last.retain(|it| it.container.cgroup.contains(&id));
        !last.is_empty() && last.iter().all(Termination::is_complete)
    });
    complete.with_context(|| format!("{last:?}"))?;
    let [told] = last.as_slice() else { bail!("{} terminations of one container", last.len()) };
    let found = (told.trigger.as_str(), told.cause.as_str(), told.severed_total);
    let wanted = ("node_shutdown", Cause::ExitedWithoutDrain.as_str(), 3);
    ensure!(found == wanted, "expected {wanted:?}, found {found:?}");
    Ok(())
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
