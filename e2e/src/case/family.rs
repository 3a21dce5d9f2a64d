//! Pods with an address of each family.

use super::pods::drains_by;
use super::{Case, careless};
use crate::daemon::Daemon;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, Stage, Work};
use anyhow::{Context as _, Result};
use shutdown_probe_common::fate::Fate;
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new("dual-stack", "clients of IPv4 and IPv6 lose requests of one listener", dual_stack),
    Case::new(
        "dual-stack-drain",
        "clients of IPv6 get their answers while the pod is going",
        dual_stack_drain,
    ),
];

fn dual_stack(stage: &mut Stage<'_>) -> Result<()> {
    let daemon = Daemon::find(&stage.shared.kubectl)?;
    for address in daemon.addresses_of_each()?.concat() {
        daemon.get(&address, "/readyz").context("the daemon listens to both families")?;
    }
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit").dual_stack())?;
    let way = stage.target_6(web)?;
    stage.idle_by(web, &way, 2)?;
    stage.in_flight_by(web, &way, 2, &Work::Endless)?;
    careless::audience(stage, web)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 5);
    stage.expect(web, Ending::exits("pod_deleted", Cause::ExitedWithoutDrain).finding(find));
    Ok(())
}

fn dual_stack_drain(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "drain").dual_stack())?;
    let way = stage.target_6(web)?;
    drains_by(stage, web, &way)
}
