//! What happens to the daemon itself, and to what it asks.

use super::Case;
use super::careless::{self, three_lost};
use crate::manifest::{Kind, Workload};
use crate::stage::{ClientId, Ending, LifeId, Stage, Work};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::time::Duration;
use zoo::expect::Cause;

pub const CASES: &[Case] = &[
    Case::new(
        "api-server-away",
        "a container crashes while the API server is away for a minute",
        api_server_away,
    )
    .alone(),
    Case::new("kubelet-away", "the kubelet is away while a preStop hook runs", kubelet_away).alone(),
    Case::new("runtime-away", "containerd is away when the pod is deleted", runtime_away).alone(),
    Case::new("daemon-rollout", "connections older than the daemon, and younger", daemon_rollout).alone(),
    Case::new("daemon-replaced", "the daemon is replaced while a preStop hook runs", daemon_replaced).alone(),
];

/// How long something is away.
const AWAY: Duration = Duration::from_secs(5);

fn api_server_away(stage: &mut Stage<'_>) -> Result<()> {
    // Nobody can open a gate without the API server: it ends at a time of its own.
    let end = "globalThis.end ??= setTimeout(() => process.exit(7), 20000)";
    let web = stage.deploy_one(&Workload::node_that_ends(Kind::Deployment, end))?;
    stage.idle(web, 2)?;
    let clients = stage.in_flight(web, 3, &Work::Endless)?;
    stage.let_end(web)?;
    stage.component("stop", "kube-apiserver")?;
    let gone = stage.await_end_of(web, &clients);
    let waited = stage.let_pass(Duration::from_secs(40));
    // Whatever came of it, the cluster is to be used again.
    stage.component("start", "kube-apiserver")?;
    stage.await_api_server()?;
    gone.and(waited).context("while the API server was away")?;
    stage.expect(web, Ending::by_itself("crashed", Cause::Crashed, 7).finding(three_lost));
    Ok(())
}

fn kubelet_away(stage: &mut Stage<'_>) -> Result<()> {
    let sleep = json!({"preStop": {"sleep": {"seconds": 10}}});
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit").with_app("lifecycle", sleep))?;
    let clients = careless::audience(stage, web)?;
    stage.delete(web, &[])?;
    stage.wait_until_announced(web)?;
    restart(stage, "kubelet", AWAY)?;
    ends(stage, web, &clients)
}

fn runtime_away(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    let clients = careless::audience(stage, web)?;
    stage.component("stop", "containerd")?;
    let deleted = stage.delete(web, &[]).and_then(|()| stage.let_pass(AWAY));
    // Whatever came of it, the cluster is to be used again.
    stage.component("start", "containerd")?;
    deleted?;
    ends(stage, web, &clients)
}

/// Stops a program of the node, and starts it again after a while, whatever happens meanwhile.
fn restart(stage: &mut Stage<'_>, program: &str, away: Duration) -> Result<()> {
    stage.component("stop", program)?;
    let passed = stage.let_pass(away);
    stage.component("start", program)?;
    passed
}

/// Only its clients can see its end: logs come through what was away.
fn ends(stage: &mut Stage<'_>, web: LifeId, clients: &[ClientId]) -> Result<()> {
    stage.await_end_of(web, clients)?;
    stage.await_removal(web)?;
    careless::expect_exit(stage, web, "pod_deleted");
    Ok(())
}

fn daemon_rollout(stage: &mut Stage<'_>) -> Result<()> {
    let old = stage.deploy_one(&Workload::patient_node(Kind::Deployment, "exit"))?;
    let idle = stage.idle(old, 2)?;
    stage.renew_daemon()?;
    // The daemon learns of an older connection with its next request.
    stage.ask_again(&idle)?;
    stage.in_flight(old, 3, &Work::Endless)?;
    stage.delete(old, &[])?;
    careless::exits(stage, old, "pod_deleted")
}

fn daemon_replaced(stage: &mut Stage<'_>) -> Result<()> {
    let sleep = json!({"preStop": {"sleep": {"seconds": 25}}});
    let workload = Workload::patient_node(Kind::Deployment, "exit").grace(60).with_app("lifecycle", sleep);
    let old = stage.deploy_one(&workload)?;
    let idle = stage.idle(old, 2)?;
    stage.delete(old, &[])?;
    stage.wait_until_announced(old)?;
    stage.renew_daemon()?;
    stage.ask_again(&idle)?;
    stage.in_flight(old, 3, &Work::Endless)?;
    careless::exits(stage, old, "pod_deleted")
}
