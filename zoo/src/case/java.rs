//! The JVM, which always handles SIGTERM and exits with 143.

use super::{Case, exit};
use crate::client::{Script, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, Stage, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const JAVA: &[Tool] = &[Tool::Java];

pub const CASES: &[Case] = &[
    Case::new("java-no-hook", JAVA, "no shutdown hook: the JVM exits at once", no_hook),
    Case::new("java-no-hook-pid1", JAVA, "the same as PID 1", no_hook_as_init),
    Case::new("java-drain", JAVA, "a shutdown hook drains", drain),
    Case::new("java-stream", JAVA, "chunks without end, cut", stream).of_framing(),
];

fn exits(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = stage.start(program)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn no_hook(stage: &mut Stage<'_>) -> Result<()> {
    exits(stage, Program::java(stage.tools(), "none"))
}

fn no_hook_as_init(stage: &mut Stage<'_>) -> Result<()> {
    exits(stage, Program::java(stage.tools(), "none").in_pid_namespace())
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::java(stage.tools(), "drain"))?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn stream(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::java(stage.tools(), "none"))?;
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, Script::now(vec![get("/stream")]))).collect();
    stage.wait_until_said(server, "parted", &clients)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 1, Work::Endless)?;
    exit::exits(stage, server, &[(Fate::TruncatedResponse, 2), (Fate::UnansweredRequest, 1)])
}
