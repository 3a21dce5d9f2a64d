//! What the cases of the zoo have not, for they wait for no scrape.

use crate::case::Case;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

/// Longer than two scrapes.
const SIGHT: Duration = Duration::from_millis(2500);

/// The case `exit`, but scraped before it ends: only so is it seen that counters begin anew after a restart of the
/// daemon.
pub const EXIT_IN_SIGHT: Case = Case::new("exit", &[], "the handler exits, after a scrape", exit);

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.let_pass(SIGHT)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}
