//! What becomes of the end of an answer when its server, and then its pod's network, is gone.

use super::Case;
use super::pods::SIDE_PORT;
use crate::manifest::{Kind, Workload};
use crate::stage::{ClientId, Ending, LifeId, Stage};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;
use zoo::client::{Script, Step, get};
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[
    Case::new("slow-reader", "the pod's network goes before the end of an answer", slow_reader),
    Case::new("slow-reader-kept", "another container keeps the network until it is there", slow_reader_kept),
];

/// More than a client that looks away has room for.
const LARGE: &str = "/large?bytes=150000";

/// Longer than it takes to receive what can still come.
const HOPE: Duration = Duration::from_secs(2);

/// A service that exits as soon as it is asked to, and a client that does not read the answer which the kernel has.
fn with_slow_reader(stage: &mut Stage<'_>, workload: &Workload) -> Result<(LifeId, ClientId)> {
    let web = stage.deploy_one(workload)?;
    let slow = stage.open(web, Script::now(vec![Step::LookAway, get(LARGE)]))?;
    stage.wait_for_line(web, "answered")?;
    stage.delete(web, &[])?;
    stage.wait_for("the service's end", |stage| stage.is_gone(web))?;
    Ok((web, slow))
}

fn slow_reader(stage: &mut Stage<'_>) -> Result<()> {
    let (web, slow) = with_slow_reader(stage, &Workload::node(Kind::Deployment, "exit"))?;
    stage.await_end(web)?;
    stage.await_removal(web)?;
    stage.client_mut(slow).tell([Step::LookBack, Step::Wait(HOPE), Step::Leave]);
    stage.wait_for("the client to give up", |stage| stage.client(slow).has_ended())?;
    let find = |found: Expected| {
        found.signal(Disposition::Handled).network_goes().severed(Fate::UndeliveredResponse, 1)
    };
    stage.expect(web, Ending::exits("pod_deleted", Cause::NetworkWithdrawn).finding(find));
    Ok(())
}

fn slow_reader_kept(stage: &mut Stage<'_>) -> Result<()> {
    let keeper = ["node", "/zoo/server.js", "none"];
    let workload = Workload::node(Kind::Deployment, "exit").grace(5).beside("keeper", &keeper, SIDE_PORT);
    let (web, slow) = with_slow_reader(stage, &workload)?;
    stage.client_mut(slow).tell([Step::LookBack]);
    stage.wait_until_answered(&[slow])?;
    stage.await_end(web)?;
    let find = |found: Expected| found.signal(Disposition::Handled);
    stage.expect(web, Ending::exits("pod_deleted", Cause::Clean).finding(find));
    Ok(())
}
