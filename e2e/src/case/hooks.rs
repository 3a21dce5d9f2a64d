//! preStop hooks that do not work, and pods without time.

use super::Case;
use super::careless::{self, audience, three_lost};
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, Stage};
use anyhow::Result;
use serde_json::{Value, json};
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[
    Case::new("pre-stop-fails", "a preStop command that cannot be run: the stop signal comes at once", fails),
    Case::new(
        "pre-stop-hangs",
        "a preStop command that outlasts the grace: two more seconds are given",
        hangs,
    ),
    Case::new("grace-zero", "terminationGracePeriodSeconds: 0: the API forgets the pod at once", grace_zero),
    Case::new("grace-one", "terminationGracePeriodSeconds: 1, and a drain that takes longer", grace_one),
];

fn hook(command: &[&str]) -> Value {
    json!({"preStop": {"exec": {"command": command}}})
}

fn exits_careless(stage: &mut Stage<'_>, workload: &Workload) -> Result<()> {
    let web = stage.deploy_one(workload)?;
    audience(stage, web)?;
    stage.delete(web, &[])?;
    careless::exits(stage, web, "pod_deleted")
}

fn fails(stage: &mut Stage<'_>) -> Result<()> {
    let lifecycle = hook(&["/no/such/program"]);
    exits_careless(stage, &Workload::node(Kind::Deployment, "exit").with_app("lifecycle", lifecycle))
}

fn hangs(stage: &mut Stage<'_>) -> Result<()> {
    let lifecycle = hook(&["sleep", "600"]);
    exits_careless(stage, &Workload::node(Kind::Deployment, "exit").grace(3).with_app("lifecycle", lifecycle))
}

fn grace_zero(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "none").grace(0))?;
    audience(stage, web)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let ending = Ending::stays("force_deleted", Cause::IgnoredStopSignal).finding(three_lost);
    stage.expect(web, ending.finding(|found| found.signal(Disposition::Ignored)));
    Ok(())
}

fn grace_one(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "drain").grace(1))?;
    audience(stage, web)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let ending = Ending::stays("pod_deleted", Cause::GraceExceeded).finding(three_lost);
    stage.expect(web, ending.finding(|found| found.signal(Disposition::Handled)));
    Ok(())
}
