//! Pods that somebody deletes.

use super::Case;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use zoo::expect::{Cause, Disposition};

pub const CASES: &[Case] =
    &[Case::new("delete", "kubectl delete pod; the handler calls process.exit(0)", delete)];

fn delete(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    stage.idle(web, 2)?;
    stage.in_flight(web, 3, &Work::Endless)?;
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let ending = Ending::exits("pod_deleted", Cause::ExitedWithoutDrain);
    stage.expect(
        web,
        ending.finding(|found| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3)),
    );
    Ok(())
}
