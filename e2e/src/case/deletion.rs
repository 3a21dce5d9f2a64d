//! Pods that somebody deletes.

use super::Case;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, LifeId, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new("delete", "kubectl delete pod", delete),
    Case::new("delete-grace", "kubectl delete pod --grace-period=1, and no handler", short_grace),
    Case::new(
        "delete-force",
        "kubectl delete pod --force --grace-period=0: the API forgets it while it serves",
        force,
    ),
    Case::new("delete-again", "deleted once more, with --grace-period=1, while it waits", delete_again),
    Case::new("delete-forced", "deleted once more, with --force, while it waits", delete_forced),
    Case::new("scale-down", "kubectl scale --replicas=0", scale_down),
    Case::new("evict", "the eviction API", evict),
    Case::new("drain-node", "kubectl drain", drain_node).alone(),
];

/// Between one deletion and the next: the stop signal has come.
const BETWEEN: Duration = Duration::from_secs(3);

/// Two idle clients, three whose request is in flight, and a handler that exits at once.
fn careless(stage: &mut Stage<'_>, workload: Workload) -> Result<LifeId> {
    let web = stage.deploy_one(&workload)?;
    stage.idle(web, 2)?;
    stage.in_flight(web, 3, &Work::Endless)?;
    Ok(web)
}

fn loses_three(stage: &mut Stage<'_>, web: LifeId, trigger: &'static str) -> Result<()> {
    stage.await_end(web)?;
    let ending = Ending::exits(trigger, Cause::ExitedWithoutDrain);
    let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3);
    stage.expect(web, ending.finding(find));
    Ok(())
}

fn exiting() -> Workload {
    Workload::node(Kind::Deployment, "exit")
}

fn delete(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, exiting())?;
    stage.delete(web, &[])?;
    loses_three(stage, web, "pod_deleted")
}

fn killed_three(stage: &mut Stage<'_>, web: LifeId, trigger: &'static str) -> Result<()> {
    stage.await_end(web)?;
    let ending = Ending::stays(trigger, Cause::IgnoredStopSignal);
    let find = |found: Expected| found.signal(Disposition::Ignored).severed(Fate::UnansweredRequest, 3);
    stage.expect(web, ending.finding(find));
    Ok(())
}

fn short_grace(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, Workload::node(Kind::Deployment, "none"))?;
    stage.delete(web, &["--grace-period=1"])?;
    killed_three(stage, web, "pod_deleted")
}

fn force(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, Workload::node(Kind::Deployment, "none"))?;
    stage.delete(web, &["--force", "--grace-period=0"])?;
    killed_three(stage, web, "force_deleted")
}

/// Somebody loses his patience.
fn deleted_twice(stage: &mut Stage<'_>, options: &[&str], trigger: &'static str) -> Result<()> {
    let web = careless(stage, Workload::node(Kind::Deployment, "none"))?;
    stage.delete(web, &[])?;
    stage.wait_until_announced(web)?;
    stage.let_pass(BETWEEN)?;
    let pod = stage.pod_name(web);
    stage.kubectl.run(&[&["delete", "pod", &pod, "--wait=false"], options].concat())?;
    killed_three(stage, web, trigger)
}

fn delete_again(stage: &mut Stage<'_>) -> Result<()> {
    deleted_twice(stage, &["--grace-period=1"], "pod_deleted")
}

fn delete_forced(stage: &mut Stage<'_>) -> Result<()> {
    deleted_twice(stage, &["--grace-period=0", "--force"], "force_deleted")
}

fn scale_down(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, exiting())?;
    stage.end_by(&[web], &["scale", "deployment/web", "--replicas=0"])?;
    loses_three(stage, web, "scaled_down")
}

fn evict(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, exiting())?;
    stage.evict(web)?;
    loses_three(stage, web, "evicted")
}

fn drain_node(stage: &mut Stage<'_>) -> Result<()> {
    let web = careless(stage, exiting().named("drained"))?;
    let node = stage.node_of(web)?;
    let drained =
        stage.end_by(&[web], &["drain", &node, "--pod-selector=app=drained", "--force", "--timeout=60s"]);
    // Whatever came of it, the node takes pods again.
    stage.kubectl.run(&["uncordon", &node])?;
    drained?;
    loses_three(stage, web, "evicted")
}
