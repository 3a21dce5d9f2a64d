//! The scene that many cases share: clients that wait for answers, and a service that ends without a thought for them.

use crate::stage::{ClientId, Ending, LifeId, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use zoo::expect::{Cause, Disposition, Expected};

/// Two idle clients, and three whose request is never answered.
pub fn audience(stage: &mut Stage<'_>, life: LifeId) -> Result<Vec<ClientId>> {
    let idle = stage.idle(life, 2)?;
    let waiting = stage.in_flight(life, 3, &Work::Endless)?;
    Ok([idle, waiting].concat())
}

/// The three lose their request.
pub fn three_lost(found: Expected) -> Expected {
    found.severed(Fate::UnansweredRequest, 3)
}

/// Waits until the service has ended at its stop signal, and expects that three were lost.
pub fn exits(stage: &mut Stage<'_>, life: LifeId, trigger: &'static str) -> Result<()> {
    stage.await_end(life)?;
    expect_exit(stage, life, trigger);
    Ok(())
}

/// It has ended at its stop signal, and three were lost.
pub fn expect_exit(stage: &mut Stage<'_>, life: LifeId, trigger: &'static str) {
    let ending = Ending::exits(trigger, Cause::ExitedWithoutDrain).finding(three_lost);
    stage.expect(life, ending.finding(|found| found.signal(Disposition::Handled)));
}
