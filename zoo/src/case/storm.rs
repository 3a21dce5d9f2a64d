//! Requests without pause: nothing is arranged, chance decides who loses.

use super::Case;
use crate::client::{Script, Start, Step, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, RunId, Stage, slow};
use crate::tool::Tool;
use anyhow::Result;
use std::time::Duration;

/// More than anybody gets to send before the stop.
const REQUESTS: usize = 2_000;

pub const CASES: &[Case] = &[
    Case::new("storm-exit", &[], "steady load while the server exits", exit),
    Case::new("storm-drain", &[], "steady load while the server drains", drain),
    Case::new("storm-node", &[Tool::Node], "steady load while a Node service drains", node),
    Case::new("storm-sigkill", &[], "steady load while the server is killed", sigkill),
];

/// Clients that ask again as soon as they are answered, and some who come anew every few milliseconds.
fn storm(stage: &mut Stage<'_>, server: RunId) -> Result<()> {
    let again = |milliseconds| vec![vec![slow(milliseconds), Step::AwaitAnswers]; REQUESTS].concat();
    let clients: Vec<_> =
        (0..30).map(|index| stage.open(server, Script::now(again(3 * index + 1)))).collect();
    for milliseconds in (0..400).step_by(20) {
        let start = Start::AfterStop(Duration::from_millis(milliseconds));
        stage.open(server, Script::at(start, vec![get("/")]));
    }
    stage.wait_until_read(&clients, 3)
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    storm(stage, server)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled).racing());
    Ok(())
}

/// What is lost, if anything, crosses the close of an idle connection or comes too late.
fn drained() -> Expected {
    let expected = Expected::new(Cause::ListenerClosedWhileRouted).or(Cause::KeepaliveRace);
    let expected = expected.or(Cause::AcceptQueueDropped).or(Cause::ExitedWithoutDrain);
    expected.signal(Disposition::Handled).racing()
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    storm(stage, server)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, drained());
    Ok(())
}

fn node(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain"))?;
    storm(stage, server)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, drained());
    Ok(())
}

fn sigkill(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), ""))?;
    storm(stage, server)?;
    stage.kill(server)?;
    stage.expect(server, Expected::new(Cause::KilledWithoutStopSignal).racing());
    Ok(())
}
