//! The story's Node service, in the styles in which it ended.

use super::Case;
use crate::client::Start;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, RunId, Stage, Stop, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1500));
const NODE: &[Tool] = &[Tool::Node];

pub const CASES: &[Case] = &[
    Case::new("node-no-handler", NODE, "no handler: SIGTERM kills it", no_handler),
    Case::new("node-no-handler-pid1", NODE, "no handler, PID 1: SIGTERM does nothing", no_handler_as_init),
    Case::new("node-exit", NODE, "the handler calls process.exit(0)", exit),
    Case::new("node-exit-pid1", NODE, "the same as PID 1", exit_as_init),
    Case::new("node-close", NODE, "server.close() waits on what becomes idle later", close),
    Case::new("node-close-idle", NODE, "server.close() ends what is idle already", close_idle),
    Case::new("node-drain", NODE, "close, close idle, Connection: close, exit", drain),
    Case::new("node-drain-late", NODE, "drains, while clients still come", drain_late),
    Case::new("node-pre-stop", NODE, "clients stop coming before the signal is sent", pre_stop),
];

/// Three requests in flight, two idle connections.
fn audience(stage: &mut Stage<'_>, server: RunId, work: Work) -> Result<()> {
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, work).map(|_| ())
}

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none"))?;
    audience(stage, server, Work::Endless)?;
    stage.after_exit(server, &[50, 400]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 2));
    Ok(())
}

fn no_handler_as_init(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none").in_pid_namespace())?;
    audience(stage, server, Work::Endless)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.after_stop(server, &[300]);
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::IgnoredStopSignal).signal(Disposition::Ignored);
    // It goes on serving as if nothing had been said.
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).drained(3));
    Ok(())
}

fn exits(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = stage.start(program)?;
    audience(stage, server, Work::Endless)?;
    stage.silent(server, 1)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 1));
    Ok(())
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    exits(stage, Program::node(stage.tools(), "exit"))
}

fn exit_as_init(stage: &mut Stage<'_>) -> Result<()> {
    exits(stage, Program::node(stage.tools(), "exit").in_pid_namespace())
}

fn close(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "close"))?;
    audience(stage, server, Work::UntilStop)?;
    stage.stop(server, GRACE)?;
    // Nothing is lost, but it takes a SIGKILL: the three wait for their keep-alive timeout of 5 s.
    let expected = Expected::new(Cause::WaitedOnIdleConnections).signal(Disposition::Handled);
    stage.expect(server, expected.drained(3));
    Ok(())
}

fn close_idle(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "close"))?;
    stage.idle(server, 3)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain"))?;
    audience(stage, server, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}

fn drain_late(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain"))?;
    audience(stage, server, Work::UntilStop)?;
    stage.late(server, [Start::AfterLine("closed"), Start::AfterLine("closed")]);
    stage.after_exit(server, &[300]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ListenerClosedWhileRouted).signal(Disposition::Handled);
    stage.expect(server, expected.drained(3).severed(Fate::Refused, 3));
    Ok(())
}

fn pre_stop(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain"))?;
    // The container is to go, and the runtime waits: the proxies still send clients its way.
    for _ in 0..5 {
        stage.idle(server, 1)?;
        stage.let_pass(Duration::from_millis(60))?;
    }
    audience(stage, server, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}
