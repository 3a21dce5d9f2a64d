//! A threading server of Python's standard library.

use super::Case;
use super::exit::exits;
use crate::client::{Script, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::{Program, Ready};
use crate::stage::{AMPLE, Stage, Stop, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1200));
const PYTHON: &[Tool] = &[Tool::Python];

pub const CASES: &[Case] = &[
    Case::new("python-no-handler", PYTHON, "no handler: SIGTERM kills it", no_handler),
    Case::new("python-no-handler-pid1", PYTHON, "no handler, PID 1: SIGTERM is ignored", no_handler_as_init),
    Case::new("python-ignore", PYTHON, "SIG_IGN", ignore),
    Case::new("python-exit", PYTHON, "the handler exits", exit),
    Case::new("python-drain", PYTHON, "the handler drains", drain),
    Case::new("python-late-handler-pid1", PYTHON, "SIGTERM comes before the handler is there", late_handler),
    Case::new("python-stream", PYTHON, "chunks of a generator, cut", stream).of_framing(),
];

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::python(stage.tools(), "none"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2).severed(Fate::Refused, 1));
    Ok(())
}

/// SIGTERM does nothing; the requests that are fast enough are answered before SIGKILL.
fn ignores(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = stage.start(program)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::IgnoredStopSignal).signal(Disposition::Ignored);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2).drained(1));
    Ok(())
}

fn no_handler_as_init(stage: &mut Stage<'_>) -> Result<()> {
    ignores(stage, Program::python(stage.tools(), "none").in_pid_namespace())
}

fn ignore(stage: &mut Stage<'_>) -> Result<()> {
    ignores(stage, Program::python(stage.tools(), "ignore"))
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::python(stage.tools(), "exit"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::python(stage.tools(), "drain"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, Stop::term(Duration::from_secs(3)))?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn late_handler(stage: &mut Stage<'_>) -> Result<()> {
    let mut program = Program::python(stage.tools(), "late-handler").in_pid_namespace();
    program.ready = Ready::Says("starting");
    let server = stage.start(program)?;
    stage.send_stop_signal(server, Stop::term(Duration::from_millis(2500)))?;
    stage.wait_for_line(server, "listening")?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.finish_stop(server)?;
    let expected = Expected::new(Cause::SignalBeforeReady).signal(Disposition::Ignored);
    // The idle one got its answer after the signal.
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2).drained(1));
    Ok(())
}

fn stream(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::python(stage.tools(), "exit"))?;
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, Script::now(vec![get("/stream")]))).collect();
    stage.wait_until_said(server, "parted", &clients)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 1, Work::Endless)?;
    exits(stage, server, &[(Fate::TruncatedResponse, 2), (Fate::UnansweredRequest, 1)])
}
