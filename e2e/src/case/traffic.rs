//! Clients of a Service, whom kube-proxy leads to its pods, while the pods are replaced.

use super::Case;
use crate::manifest::{Kind, PORT, Workload, service};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::{Result, ensure};
use serde_json::json;
use shutdown_probe_common::fate::Fate;
use std::time::{Duration, Instant};
use zoo::api::Termination;
use zoo::client::{Script, Step, Target, get};
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[
    Case::new(
        "service-rollout",
        "the listener is closed while kube-proxy may still lead clients to it: whoever is refused is counted",
        service_rollout,
    ),
    Case::new(
        "service-rollout-ipv6",
        "the same for clients of IPv6, while those of IPv4 are led as well",
        service_rollout_6,
    ),
    Case::new(
        "service-lag",
        "kube-proxy hears of nothing while the pods are replaced: its clients are refused",
        service_lag,
    )
    .alone(),
];

/// Between one client and the next.
const PERIOD: Duration = Duration::from_millis(5);

/// Listening, as the kernel's table says it: a probe that connects would be a client, too.
fn listens(table: &str) -> serde_json::Value {
    let pattern = format!(":{PORT:04X} 0*:0000 0A");
    let file = format!("/proc/net/{table}");
    json!({"exec": {"command": ["grep", "-q", pattern, file]}, "periodSeconds": 1})
}

/// A pod that clients reach through the Service, and one of them whose answer is still owed.
struct Scene {
    web: LifeId,
    gate: Work,
    target: Target,
}

fn set(
    stage: &mut Stage<'_>,
    workload: Workload,
    table: &str,
    way: impl Fn(&Stage<'_>, LifeId) -> Result<Target>,
) -> Result<Scene> {
    stage.kubectl.apply(&service("web"))?;
    let workload = workload.with_app("readinessProbe", listens(table));
    let web = stage.deploy_one(&workload)?;
    // It keeps the old pod up for a while, with its listener closed.
    let gate = stage.gate();
    stage.in_flight(web, 1, &gate)?;
    let target = stage.service_target("web", &way(stage, web)?)?;
    stage.wait_until_routed(web, &target)?;
    Ok(Scene { web, gate, target })
}

fn set_usual(stage: &mut Stage<'_>) -> Result<Scene> {
    set(stage, Workload::node(Kind::Deployment, "drain"), "tcp", |stage, web| stage.target(web))
}

fn service_rollout(stage: &mut Stage<'_>) -> Result<()> {
    let scene = set_usual(stage)?;
    replace(stage, &scene)
}

fn service_rollout_6(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Deployment, "drain").dual_stack();
    let scene = set(stage, workload, "tcp6", |stage, web| stage.target_6(web))?;
    replace(stage, &scene)
}

fn service_lag(stage: &mut Stage<'_>) -> Result<()> {
    let scene = set_usual(stage)?;
    stage.component("stop", "kube-proxy")?;
    let replaced = replace(stage, &scene);
    // Whatever came of it, the cluster is to be used again.
    stage.component("start", "kube-proxy")?;
    replaced?;
    ensure!(stage.refused(scene.web) > 0, "nobody was led to the closed listener");
    Ok(())
}

/// Replaces the pod under clients that come all the time.
fn replace(stage: &mut Stage<'_>, Scene { web, gate, target }: &Scene) -> Result<()> {
    let web = *web;
    stage.roll_out(&[web])?;
    let come_until = |stage: &mut Stage<'_>, stop: &dyn Fn(&Stage<'_>) -> bool| -> Result<()> {
        while !stop(stage) {
            let script = Script::now(vec![get("/"), Step::AwaitAnswers, Step::Leave]);
            stage.open_to(web, target.clone(), script);
            stage.let_pass(PERIOD)?;
        }
        Ok(())
    };
    come_until(stage, &|stage| stage.says(web, "closed"))?;
    // A second in which the rules may still lead to the old one.
    let end = Instant::now() + Duration::from_secs(1);
    come_until(stage, &|_| Instant::now() > end)?;
    stage.open_gate(web, gate)?;
    stage.await_end(web)?;
    let refused = stage.refused(web);
    let cause = if refused > 0 { Cause::ListenerClosedWhileRouted } else { Cause::Clean };
    let ending = Ending::exits("rollout", cause).finding(|found| found.signal(Disposition::Handled));
    let ending = match refused {
        0 => ending,
        count => ending.finding(|found| found.severed(Fate::Refused, count)),
    };
    // Those whom the kernel had taken in already, and nobody accepted any more.
    let ending = ending.finding(|found| found.racing().or(Cause::AcceptQueueDropped));
    stage.expect(web, ending.telling(routing));
    Ok(())
}

/// The Service that led to it let go of it, and late clients came from this node. What nobody can count is not counted.
fn routing(told: &Termination) -> Option<String> {
    let Some(routing) = &told.routing else { return Some("nothing is said of routing".into()) };
    let is_right = routing.services == ["web"]
        && routing.not_ready_after_seconds.is_some()
        && routing.removed_after_seconds >= routing.not_ready_after_seconds
        && routing.lag_seconds.is_some_and(|lag| lag >= 0.0)
        && routing.unanswered_attempts == "not_measured";
    let sources: Vec<_> = told.late_by_source.iter().filter(|(_, count)| **count > 0).collect();
    let late = told.late_connections_total;
    let is_from_here = sources.iter().all(|(source, count)| *source == "same_node" && **count == late);
    (!is_right || !is_from_here).then(|| format!("routing: {routing:?}, late from {sources:?}"))
}
