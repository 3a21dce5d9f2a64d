//! The process that gets the signal is not the one that serves.

use super::Case;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, RunId, Stage, Stop, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1200));
const SHELL: &[Tool] = &[Tool::Node, Tool::Shell];
const TINI: &[Tool] = &[Tool::Node, Tool::Tini];
const DUMB_INIT: &[Tool] = &[Tool::Node, Tool::DumbInit];

pub const CASES: &[Case] = &[
    Case::new("shell", SHELL, "a shell dies of SIGTERM, its server is orphaned and killed", shell),
    Case::new("shell-pid1", SHELL, "a shell as PID 1 ignores SIGTERM", shell_as_init),
    Case::new("tini-drain-pid1", TINI, "tini forwards, the server drains", tini_drain),
    Case::new("dumb-init-none-pid1", DUMB_INIT, "dumb-init forwards, the server has no handler", dumb_init),
    Case::new("prefork-drain", &[], "a master forwards, its workers drain", prefork_drain),
    Case::new("prefork-exit-pid1", &[], "a master forwards, its workers exit", prefork_exit),
    Case::new("master-leaves", &[], "a master exits and leaves its workers to SIGKILL", master_leaves),
    Case::new("master-leaves-pid1", &[], "the same as PID 1", master_leaves_as_init),
];

fn shell(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain").under_shell())?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalNotForwarded).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn shell_as_init(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain").under_shell().in_pid_namespace())?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::StopSignalNotForwarded).signal(Disposition::Ignored);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn tini_drain(stage: &mut Stage<'_>) -> Result<()> {
    let server =
        stage.start(Program::node(stage.tools(), "drain").under(&["tini", "--"]).in_pid_namespace())?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    // tini blocks every signal and waits for them.
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Blocked).drained(2));
    Ok(())
}

fn dumb_init(stage: &mut Stage<'_>) -> Result<()> {
    let server =
        stage.start(Program::node(stage.tools(), "none").under(&["dumb-init"]).in_pid_namespace())?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Blocked);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

/// A master and two workers, all of them ready.
fn family(stage: &mut Stage<'_>, program: Program) -> Result<RunId> {
    let server = stage.start(program)?;
    stage.wait_for("both workers", |stage| stage.log(server).count("listening") == 2)?;
    Ok(server)
}

fn prefork_drain(stage: &mut Stage<'_>) -> Result<()> {
    let program = Program::own(stage.tools(), "--workers 2 --on-term forward --worker-on-term drain");
    let server = family(stage, program)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 4, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(4));
    Ok(())
}

fn prefork_exit(stage: &mut Stage<'_>) -> Result<()> {
    let program = Program::own(stage.tools(), "--workers 2 --on-term forward --worker-on-term exit");
    let server = family(stage, program.in_pid_namespace())?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 4, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 4));
    Ok(())
}

fn leaves(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = family(stage, program)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalNotForwarded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}

fn master_leaves(stage: &mut Stage<'_>) -> Result<()> {
    leaves(stage, Program::own(stage.tools(), "--workers 2 --on-term exit --worker-on-term drain"))
}

fn master_leaves_as_init(stage: &mut Stage<'_>) -> Result<()> {
    leaves(
        stage,
        Program::own(stage.tools(), "--workers 2 --on-term exit --worker-on-term drain").in_pid_namespace(),
    )
}
