//! Containers that end without anybody deleting their pod.

use super::Case;
use super::careless::{audience, three_lost};
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, LifeId, Stage};
use anyhow::Result;
use serde_json::{Value, json};
use zoo::api::Termination;
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] = &[
    Case::new(
        "liveness",
        "the liveness probe fails: the kubelet stops the container and starts it again",
        liveness,
    ),
    Case::new(
        "liveness-grace",
        "its liveness probe has a grace of its own, shorter than the pod's",
        liveness_grace,
    ),
    Case::new("startup", "the startup probe never succeeds", startup),
    Case::new("oom", "the container takes more memory than it may", oom),
    Case::new("crash", "it exits by itself with requests in flight", crash),
    Case::new("crash-again", "it crashes in each of two lives", crash_again),
    Case::new("job", "a Job's pod has done its work", |stage| work_done(stage, Kind::Job)),
    Case::new("cron-job", "the same of a Job that a CronJob made", |stage| work_done(stage, Kind::CronJob)),
];

/// Two idle clients, three whose request is in flight, and a liveness probe that begins to fail.
fn falls_sick(stage: &mut Stage<'_>, workload: Workload, mut probe: Value) -> Result<LifeId> {
    probe["exec"] = json!({"command": ["test", "!", "-e", "/gates/sick"]});
    let web = stage.deploy_one(&workload.with_app("livenessProbe", probe))?;
    audience(stage, web)?;
    stage.begin_end(&[web]);
    stage.exec(web, &["touch", "/gates/sick"])?;
    stage.await_end(web)?;
    Ok(web)
}

fn liveness(stage: &mut Stage<'_>) -> Result<()> {
    let probe = json!({"periodSeconds": 1, "failureThreshold": 2});
    let web = falls_sick(stage, Workload::node(Kind::Deployment, "exit"), probe)?;
    let ending = Ending::exits("liveness_failed", Cause::ExitedWithoutDrain);
    stage.expect(web, ending.finding(three_lost).finding(|found| found.signal(Disposition::Handled)));
    Ok(())
}

fn liveness_grace(stage: &mut Stage<'_>) -> Result<()> {
    let probe = json!({"periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 3});
    let web = falls_sick(stage, Workload::node(Kind::Deployment, "none"), probe)?;
    let ending = Ending::stays("liveness_failed", Cause::IgnoredStopSignal).telling(three_seconds);
    stage.expect(web, ending.finding(three_lost).finding(|found| found.signal(Disposition::Ignored)));
    Ok(())
}

fn three_seconds(told: &Termination) -> Option<String> {
    let allowed = told.grace.allowed_seconds;
    (allowed != Some(3.0)).then(|| format!("a grace of 3 s, found {allowed:?}"))
}

fn startup(stage: &mut Stage<'_>) -> Result<()> {
    let probe = json!({"exec": {"command": ["false"]}, "periodSeconds": 4, "failureThreshold": 2});
    let workload = Workload::node(Kind::Deployment, "exit").with_app("startupProbe", probe);
    let web = stage.deploy_one(&workload)?;
    stage.begin_end(&[web]);
    audience(stage, web)?;
    stage.await_end(web)?;
    let ending = Ending::exits("startup_failed", Cause::ExitedWithoutDrain);
    stage.expect(web, ending.finding(three_lost).finding(|found| found.signal(Disposition::Handled)));
    Ok(())
}

fn oom(stage: &mut Stage<'_>) -> Result<()> {
    let hog = "(globalThis.hog ??= []).push(Buffer.alloc(16 << 20, 1))";
    let limit = json!({"limits": {"memory": "160Mi"}});
    let web =
        stage.deploy_one(&Workload::node_that_ends(Kind::Deployment, hog).with_app("resources", limit))?;
    audience(stage, web)?;
    stage.let_end(web)?;
    stage.await_end(web)?;
    stage.expect(web, Ending::killed("oom_killed", Cause::KilledWithoutStopSignal).finding(three_lost));
    Ok(())
}

/// It ends by itself with this code.
fn crashes(stage: &mut Stage<'_>, web: LifeId) -> Result<()> {
    audience(stage, web)?;
    stage.let_end(web)?;
    stage.await_end(web)?;
    stage.expect(web, Ending::by_itself("crashed", Cause::Crashed, 7).finding(three_lost));
    Ok(())
}

fn crash(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node_that_ends(Kind::Deployment, "process.exit(7)"))?;
    crashes(stage, web)
}

fn crash_again(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node_that_ends(Kind::Deployment, "process.exit(7)"))?;
    crashes(stage, web)?;
    let again = stage.next_life(web)?;
    crashes(stage, again)
}

/// Its pod has done its work.
fn work_done(stage: &mut Stage<'_>, kind: Kind) -> Result<()> {
    let workload = Workload::node_that_ends(kind, "process.exit(0)").with("/restartPolicy", json!("Never"));
    let web = stage.deploy_one(&workload)?;
    stage.idle(web, 2)?;
    stage.let_end(web)?;
    stage.await_end(web)?;
    stage.expect(web, Ending::by_itself("completed", Cause::Clean, 0));
    Ok(())
}
