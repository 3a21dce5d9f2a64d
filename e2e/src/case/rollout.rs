//! The story's Deployment, rolled out in the styles in which its service ended.

use super::Case;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[
    Case::new("rollout-no-handler", "SIGTERM does nothing to PID 1 without a handler", no_handler),
    Case::new("rollout-drain", "close, close idle, Connection: close, exit", drain),
];

/// How long after the announcement the stop signal has come for sure, on a busy machine too.
const SIGNALLED: Duration = Duration::from_millis(2500);

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "none").replicas(2).grace(5))?;
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
