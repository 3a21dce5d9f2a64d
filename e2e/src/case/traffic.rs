//! Clients of a Service, whom kube-proxy leads to its pods, while the pods are replaced.

use super::Case;
use crate::manifest::{Kind, PORT, Workload, service};
use crate::stage::{Ending, Stage};
use anyhow::Result;
use serde_json::json;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;
use zoo::api::Termination;
use zoo::client::{Script, Step, get};
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[Case::new(
    "service-rollout",
    "the listener is closed while kube-proxy still leads clients to it: they are refused",
    service_rollout,
)];

/// Between one client and the next.
const PERIOD: Duration = Duration::from_millis(5);

/// Listening, as the kernel's table says it: a probe that connects would be a client, too.
fn listens() -> serde_json::Value {
    let pattern = format!(":{PORT:04X} 00000000:0000 0A");
    json!({"exec": {"command": ["grep", "-q", pattern, "/proc/net/tcp"]}, "periodSeconds": 1})
}

fn service_rollout(stage: &mut Stage<'_>) -> Result<()> {
    stage.kubectl.apply(&service("web"))?;
    let workload = Workload::node(Kind::Deployment, "drain").with_app("readinessProbe", listens());
    let web = stage.deploy_one(&workload)?;
    // One answer that is still owed keeps the old pod up for a while, with its listener closed.
    let gate = stage.gate();
    stage.in_flight(web, 1, &gate)?;
    let target = stage.service_target(web, "web")?;
    stage.wait_until_routed(web, &target)?;
    stage.roll_out(&[web])?;
    let until_closed = |stage: &mut Stage<'_>, stop: &dyn Fn(&Stage<'_>) -> bool| -> Result<()> {
        while !stop(stage) {
            stage.open_to(web, target.clone(), Script::now(vec![get("/"), Step::AwaitAnswers, Step::Leave]));
            stage.let_pass(PERIOD)?;
        }
        Ok(())
    };
    until_closed(stage, &|stage| stage.says(web, "closed"))?;
    // A second in which the rules may still lead to the old one.
    let end = std::time::Instant::now() + Duration::from_secs(1);
    until_closed(stage, &|_| std::time::Instant::now() > end)?;
    stage.open_gate(web, &gate)?;
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
