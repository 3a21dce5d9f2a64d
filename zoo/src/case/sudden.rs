//! Ends without a stop signal.

use super::Case;
use crate::client::{Script, get};
use crate::expect::{Cause, Expected};
use crate::program::Program;
use crate::stage::{RunId, Stage, Work};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

pub const CASES: &[Case] = &[
    Case::new("sigkill", &[], "SIGKILL without warning", sigkill),
    Case::new("sigkill-pid1", &[], "the same as PID 1", sigkill_as_init),
    Case::new("crash-abort", &[], "abort() under load", crash_abort),
    Case::new("crash-exit", &[], "exit(1) under load", crash_exit),
    Case::new("crash-fault", &[], "a segmentation fault under load", crash_fault),
    Case::new("finish-under-load", &[], "exit(0) under load", finish_under_load),
    Case::new("finish-idle", &[], "exit(0) by itself, with idle connections only", finish_idle),
    Case::new("brief", &[], "a container of 20 ms", brief),
    Case::new("oom", &[], "the memory cgroup's OOM killer", oom),
];

fn killed(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = stage.start(program)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.kill(server)?;
    let expected = Expected::new(Cause::KilledWithoutStopSignal);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 1));
    Ok(())
}

fn sigkill(stage: &mut Stage<'_>) -> Result<()> {
    killed(stage, Program::own(stage.tools(), ""))
}

fn sigkill_as_init(stage: &mut Stage<'_>) -> Result<()> {
    killed(stage, Program::own(stage.tools(), "").in_pid_namespace())
}

/// Two requests in flight and a third one that ends the server: all three are lost.
fn ended_by_request(stage: &mut Stage<'_>, program: Program, path: &str) -> Result<RunId> {
    let server = stage.start(program)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.open(server, Script::now(vec![get(path)]));
    stage.await_exit(server)?;
    Ok(server)
}

fn crashes(stage: &mut Stage<'_>, path: &str) -> Result<()> {
    let server = ended_by_request(stage, Program::own(stage.tools(), ""), path)?;
    stage.expect(server, Expected::new(Cause::Crashed).severed(Fate::UnansweredRequest, 3));
    Ok(())
}

fn crash_abort(stage: &mut Stage<'_>) -> Result<()> {
    crashes(stage, "/crash?how=abort")
}

fn crash_exit(stage: &mut Stage<'_>) -> Result<()> {
    crashes(stage, "/crash?how=exit")
}

fn crash_fault(stage: &mut Stage<'_>) -> Result<()> {
    crashes(stage, "/crash?how=fault")
}

fn finish_under_load(stage: &mut Stage<'_>) -> Result<()> {
    crashes(stage, "/crash?how=finish")
}

fn finish_idle(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--lifetime 800"))?;
    stage.idle(server, 2)?;
    stage.await_exit(server)?;
    stage.expect(server, Expected::new(Cause::Clean));
    Ok(())
}

fn brief(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--lifetime 20"))?;
    stage.await_exit(server)?;
    stage.expect(server, Expected::new(Cause::Clean));
    Ok(())
}

fn oom(stage: &mut Stage<'_>) -> Result<()> {
    let mut program = Program::own(stage.tools(), "");
    program.memory_limit = Some(64 << 20);
    let server = ended_by_request(stage, program, "/eat")?;
    let expected = Expected::new(Cause::KilledWithoutStopSignal).trigger("oom_killed");
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}
