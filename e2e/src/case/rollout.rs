//! The story's Deployment, rolled out in the styles in which its service ended.

use super::Case;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::Result;
use serde_json::json;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;
use zoo::api::Termination;
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[
    Case::new("rollout-no-handler", "SIGTERM does nothing to PID 1 without a handler", no_handler),
    Case::new("rollout-exit", "the handler calls process.exit(0)", exit),
    Case::new("rollout-close", "server.close() waits on what becomes idle later", close),
    Case::new("rollout-drain", "close, close idle, Connection: close, exit", drain),
    Case::new("rollout-pre-stop", "the same after a preStop sleep, in which clients still come", pre_stop),
    Case::new("rollout-stateful-set", "one pod after the other", stateful_set),
    Case::new("rollout-daemon-set", "the old pod goes before the new one comes", daemon_set),
];

/// How long after the announcement the stop signal has come for sure, on a busy machine too.
const SIGNALLED: Duration = Duration::from_millis(2500);

/// How much later than one watch another may hear of something, on a busy machine too.
const HEARD: Duration = Duration::from_millis(700);

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "none").replicas(2).grace(10))?;
    let gate = stage.gate();
    for pod in &pods {
        stage.idle(*pod, 2)?;
        stage.in_flight(*pod, 3, &Work::Endless)?;
        stage.in_flight(*pod, 2, &gate)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.wait_until_announced(*pod)?;
    }
    stage.let_pass(SIGNALLED)?;
    // It goes on serving as if nothing had been said.
    for pod in &pods {
        stage.open_gate(*pod, &gate)?;
    }
    let ending = Ending::stays("rollout", Cause::IgnoredStopSignal)
        .finding(|found| found.signal(Disposition::Ignored).severed(Fate::UnansweredRequest, 3).drained(2));
    finish(stage, &pods, &ending)
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "exit").replicas(2))?;
    exits(stage, &pods)
}

fn exits(stage: &mut Stage<'_>, pods: &[LifeId]) -> Result<()> {
    for pod in pods {
        stage.idle(*pod, 2)?;
        stage.in_flight(*pod, 3, &Work::Endless)?;
    }
    stage.roll_out(pods)?;
    let ending = Ending::exits("rollout", Cause::ExitedWithoutDrain);
    let ending =
        ending.finding(|found| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3));
    finish(stage, pods, &ending)
}

fn close(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "close").grace(4))?;
    let gate = stage.gate();
    for pod in &pods {
        stage.in_flight(*pod, 3, &gate)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.wait_until_announced(*pod)?;
    }
    stage.let_pass(SIGNALLED)?;
    for pod in &pods {
        stage.open_gate(*pod, &gate)?;
    }
    // Nothing is lost, but it takes a SIGKILL: the three wait for their keep-alive timeout of 5 s.
    let ending = Ending::stays("rollout", Cause::WaitedOnIdleConnections);
    finish(stage, &pods, &ending.finding(|found| found.signal(Disposition::Handled).drained(3)))
}

fn pre_stop(stage: &mut Stage<'_>) -> Result<()> {
    let sleep = json!({"preStop": {"sleep": {"seconds": 3}}});
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "drain").with_app("lifecycle", sleep))?;
    let gate = stage.gate();
    for pod in &pods {
        stage.idle(*pod, 2)?;
        stage.in_flight(*pod, 3, &gate)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.wait_until_announced(*pod)?;
        // The daemon hears of it when we do, or a little later.
        stage.let_pass(HEARD)?;
        // Proxies that have not heard of it yet.
        stage.idle(*pod, 2)?;
        stage.wait_for_line(*pod, "closed")?;
        stage.open_gate(*pod, &gate)?;
    }
    let ending = Ending::exits("rollout", Cause::Clean).telling(announced_for_three_seconds);
    finish(stage, &pods, &ending.finding(|found| found.signal(Disposition::Handled).drained(3)))
}

/// The hook's three seconds, the two who came in them, and the revision that was replaced.
fn announced_for_three_seconds(told: &Termination) -> Option<String> {
    let announced = told.announced.as_ref().map(|it| (it.connections, it.stop_signal_after_seconds));
    let is_right = matches!(announced, Some((2, Some(after))) if (2.5..8.0).contains(&after));
    let revision = told.container.workload.as_ref().and_then(|it| it.revision.as_deref());
    (!is_right || revision != Some("1"))
        .then(|| format!("2 connections in 3 s of revision 1, found {announced:?} of {revision:?}"))
}

fn stateful_set(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::StatefulSet, "exit").replicas(2))?;
    exits(stage, &pods)
}

fn daemon_set(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::DaemonSet, "exit"))?;
    exits(stage, &pods)
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "drain").replicas(2))?;
    let gate = stage.gate();
    for pod in &pods {
        stage.idle(*pod, 2)?;
        stage.in_flight(*pod, 3, &gate)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.wait_for_line(*pod, "closed")?;
        stage.open_gate(*pod, &gate)?;
    }
    let ending =
        Ending::exits("rollout", Cause::Clean).finding(|found| found.signal(Disposition::Handled).drained(3));
    finish(stage, &pods, &ending)
}

fn finish(stage: &mut Stage<'_>, pods: &[LifeId], ending: &Ending) -> Result<()> {
    for pod in pods {
        stage.await_end(*pod)?;
        stage.expect(*pod, ending.clone());
    }
    Ok(())
}
