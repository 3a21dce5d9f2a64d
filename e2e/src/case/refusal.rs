//! An API that does not say what it is asked: what the kernel saw is told all the same, and what is missing is said.

use super::Case;
use crate::daemon::{DAEMON_SET, Daemon, NAMESPACE};
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shutdown_probe_common::fate::Fate;
use std::time::{Duration, Instant};
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new("no-rights", "the daemon's role is not bound, and bound later", no_rights).alone(),
    Case::new("token-refused", "the daemon's token is valid no more, and renewed later", token_refused)
        .alone(),
    Case::new("wrong-node", "the daemon is told another node's name", wrong_node).alone(),
];

/// Longer than the watch waits before it tries again.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(300);
/// For how long the API server remembers that it took a token.
const REMEMBERED: Duration = Duration::from_secs(20);
/// The kubelet looks after a pod's token every minute or two, and the daemon after the file once a minute.
const RENEWED: Duration = Duration::from_secs(240);
const ACCOUNT: &str = "serviceaccount/shutdown-probe";
const ROLE_BINDING: &str = "clusterrolebinding/shutdown-probe";

fn no_rights(stage: &mut Stage<'_>) -> Result<()> {
    let binding = as_it_was_made(stage.kubectl.json(&["get", ROLE_BINDING])?);
    stage.kubectl.run(&["delete", ROLE_BINDING])?;
    let played = stage.renew_daemon().and_then(|()| is_told_namelessly(stage, "kubernetes_pods"));
    // Whatever came of it, the others are to be judged by name.
    stage.kubectl.apply(&binding)?;
    played?;
    await_verdict(stage, "kubernetes_pods", "attached")?;
    is_told_as_usual(stage)
}

/// Without what the API server adds to an object.
fn as_it_was_made(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["name", "labels", "annotations"].contains(&field.as_str()));
    }
    object
}

/// A token is of one account: not of another that has its name. The kubelet, which gives the daemon its token, asks for
/// another when it has forgotten this one.
fn token_refused(stage: &mut Stage<'_>) -> Result<()> {
    let daemon = stage.kubectl.within(NAMESPACE);
    let account = as_it_was_made(daemon.json(&["get", ACCOUNT])?);
    let pod = daemon.run(&["get", "pods", "-o", "name"])?;
    daemon.run(&["delete", ACCOUNT])?;
    daemon.apply(&account)?;
    stage.let_pass(REMEMBERED)?;
    let web = careless(stage, &Workload::node(Kind::Deployment, "exit"))?;
    let owners = await_verdict(stage, "kubernetes_owners", "broken")?;
    let events = await_verdict(stage, "kubernetes_own_events", "broken")?;
    for verdict in [owners, events] {
        let reason = verdict["reason"].as_str().unwrap_or_default();
        ensure!(reason.starts_with("401 Unauthorized"), "the reason is to be 401, found {reason:?}");
    }
    stage.component("stop", "kubelet")?;
    stage.component("start", "kubelet")?;
    let deadline = Instant::now() + RENEWED;
    while await_verdict(stage, "kubernetes_own_events", "attached").is_err() {
        ensure!(Instant::now() < deadline, "the daemon never had another token");
    }
    ensure!(daemon.run(&["get", "pods", "-o", "name"])? == pod, "the daemon was started anew");
    // Its Event waited for the token.
    let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3);
    stage.expect(web, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(find));
    Ok(())
}

fn wrong_node(stage: &mut Stage<'_>) -> Result<()> {
    let daemon = stage.kubectl.within(NAMESPACE);
    daemon.run(&["set", "env", DAEMON_SET, "NODE_NAME=nowhere"])?;
    let renewed = stage.await_daemon();
    let played = renewed.and_then(|()| is_told_namelessly(stage, "kubernetes_node_name"));
    daemon.run(&["rollout", "undo", DAEMON_SET])?;
    stage.await_daemon()?;
    played?;
    await_verdict(stage, "kubernetes_node_name", "attached")?;
    is_told_as_usual(stage)
}

fn careless(stage: &mut Stage<'_>, workload: &Workload) -> Result<LifeId> {
    let web = stage.deploy_one(workload)?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    Ok(web)
}

/// The daemon is ready, and tells what the kernel saw under the pod's uid.
fn is_told_namelessly(stage: &mut Stage<'_>, need: &str) -> Result<()> {
    let verdict = await_verdict(stage, need, "broken")?;
    ensure!(
        verdict["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
        "no reason is given: {verdict}"
    );
    let web = careless(stage, &Workload::node(Kind::Pod, "exit").named("nameless"))?;
    let (uid, id) = stage.identity(web);
    let daemon = Daemon::find(&stage.shared.kubectl)?;
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let mut found = daemon.terminations(&daemon.addresses()?)?;
        found.retain(|it| it.container.cgroup.contains(&id) && it.is_complete());
        if !found.is_empty() {
            break found;
        }
        ensure!(Instant::now() < deadline, "a termination was not told");
        std::thread::sleep(PAUSE);
    };
    let [told] = found.as_slice() else { anyhow::bail!("{} terminations of one container", found.len()) };
    let known = told.container.pod.as_ref().map(|pod| pod.uid.as_str());
    ensure!(known == Some(uid.as_str()), "the pod's uid is {uid}, found {known:?}");
    ensure!(told.severed_total == 3, "3 severed connections, found {}", told.severed_total);
    ensure!(told.trigger == "container_stopped", "nobody says why, found {}", told.trigger);
    is_said_once(&daemon, need)
}

fn is_told_as_usual(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, &Workload::node(Kind::Deployment, "exit"))?;
    let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3);
    stage.expect(web, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(find));
    Ok(())
}

/// What `/probes` says of this need, on every node.
fn await_verdict(stage: &Stage<'_>, need: &str, verdict: &str) -> Result<Value> {
    let daemon = Daemon::find(&stage.shared.kubectl)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let address = daemon.addresses()?.pop().context("no daemon")?;
        let probes: Value = serde_json::from_str(&daemon.get(&address, "/probes")?)?;
        let all = probes.as_array().or_else(|| probes["probes"].as_array());
        let found = all.into_iter().flatten().find(|probe| probe["probe"] == need);
        if let Some(found) = found.filter(|found| found["verdict"] == verdict) {
            return Ok(found.clone());
        }
        ensure!(Instant::now() < deadline, "{need} never became {verdict}: {found:?}");
        std::thread::sleep(PAUSE);
    }
}

/// However often it is refused.
fn is_said_once(daemon: &Daemon, need: &str) -> Result<()> {
    let log = daemon.kubectl().run(&["logs", DAEMON_SET])?;
    let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains(need)).count();
    ensure!(warnings == 1, "{need} is warned of {warnings} times:\n{log}");
    Ok(())
}
