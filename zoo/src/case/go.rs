//! Go's net/http, whose listeners are MPTCP sockets where the kernel has them.

use super::Case;
use super::http2::{ask, begins, waits};
use crate::client::{Script, Step, Target, get, has_multipath};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, NEVER, Stage, Stop, Work, slow};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1500));
const GO: &[Tool] = &[Tool::Go];

pub const CASES: &[Case] = &[
    Case::new("go-no-handler", GO, "no handler: the runtime dies of the signal", no_handler),
    Case::new("go-no-handler-pid1", GO, "no handler, PID 1: the runtime exits 2", no_handler_as_init),
    Case::new("go-shutdown", GO, "Shutdown finishes requests and closes idle connections", shutdown),
    Case::new("go-shutdown-pid1", GO, "the same as PID 1", shutdown_as_init),
    Case::new("go-shutdown-silent", GO, "Shutdown waits for one that never sent anything", shutdown_silent),
    Case::new("go-mptcp", GO, "clients that speak MPTCP: known or not, never a false loss", multipath),
    Case::new("go-mptcp-shutdown", GO, "Shutdown under clients that speak MPTCP", multipath_shutdown)
        .of_framing(),
    Case::new("go-mptcp-streams", GO, "HTTP/2 and cut answers over MPTCP: no false loss", multipath_streams)
        .of_framing(),
    Case::new("go-stream", GO, "a response cut in the middle", stream).of_framing(),
];

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    // The runtime has a handler of its own, which restores the default action and raises the signal.
    let expected = Expected::new(Cause::StopSignalKilledProcess);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 1));
    Ok(())
}

fn no_handler_as_init(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none").in_pid_namespace())?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    // The default action is none for PID 1, so the runtime exits: both names fit what is seen.
    let expected = Expected::new(Cause::StopSignalKilledProcess).or(Cause::ExitedWithoutDrain);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}

fn drains(stage: &mut Stage<'_>, program: Program) -> Result<()> {
    let server = stage.start(program)?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}

fn shutdown(stage: &mut Stage<'_>) -> Result<()> {
    drains(stage, Program::go(stage.tools(), "shutdown"))
}

fn shutdown_as_init(stage: &mut Stage<'_>) -> Result<()> {
    drains(stage, Program::go(stage.tools(), "shutdown").in_pid_namespace())
}

fn shutdown_silent(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "shutdown"))?;
    stage.silent(server, 1)?;
    // A later one is answered, so the silent one has been accepted too.
    stage.idle(server, 1)?;
    stage.stop(server, GRACE)?;
    stage.expect(server, Expected::new(Cause::WaitedOnIdleConnections).signal(Disposition::Handled));
    Ok(())
}

fn multipath(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    // A kernel without MPTCP has the same clients on plain TCP, where nothing may be unknown.
    let multipath = has_multipath();
    let target = Target { multipath, ..stage.target(server) };
    let idle: Vec<_> =
        (0..2).map(|_| stage.open_to(server, target.clone(), Script::now(vec![get("/")]))).collect();
    let busy: Vec<_> =
        (0..2).map(|_| stage.open_to(server, target.clone(), Script::now(vec![slow(NEVER)]))).collect();
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&busy, 1)?;
    stage.stop(server, AMPLE)?;
    let certain = if multipath { 0 } else { 2 };
    let expected = Expected::new(Cause::StopSignalKilledProcess);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, certain));
    Ok(())
}

fn multipath_shutdown(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "shutdown"))?;
    let target = Target { multipath: has_multipath(), ..stage.target(server) };
    let gated = get(&format!("/slow?gate={}", stage.gate(server)));
    let idle: Vec<_> =
        (0..2).map(|_| stage.open_to(server, target.clone(), Script::now(vec![get("/")]))).collect();
    let busy: Vec<_> =
        (0..2).map(|_| stage.open_to(server, target.clone(), Script::now(vec![gated.clone()]))).collect();
    // Neighbours on plain TCP are as certain as ever.
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&busy, 1)?;
    stage.stop(server, AMPLE)?;
    let certain = if target.multipath { 1 } else { 3 };
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(certain));
    Ok(())
}

fn multipath_streams(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    let target = Target { multipath: has_multipath(), ..stage.target(server) };
    let scripts = [
        Script::http2(vec![ask("/"), ask("/?bytes=60000")]),
        Script::http2(vec![ask("/"), waits(), waits()]),
        Script::http2(vec![begins(), ask("/")]),
        Script::now(vec![get("/"), Step::AwaitAnswers]),
        Script::now(vec![get(&format!("/stream?ms={NEVER}"))]),
    ];
    let clients = scripts.map(|script| stage.open_to(server, target.clone(), script));
    let [idle, busy, begun, kept, cut] = clients;
    stage.wait_until_answered(&[idle, kept])?;
    stage.wait_until_read(&[busy], 3)?;
    stage.wait_until_read(&[begun], 2)?;
    stage.wait_for("answers and beginnings", |stage| {
        let record = |client| stage.client(client).record();
        record(busy).answered == 1 && record(begun).answer_begun && record(cut).answer_begun
    })?;
    stage.in_flight(server, 1, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let (unanswered, truncated) = if target.multipath { (1, 0) } else { (2, 2) };
    let expected = Expected::new(Cause::StopSignalKilledProcess);
    let expected = expected.severed(Fate::UnansweredRequest, unanswered);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, truncated));
    Ok(())
}

fn stream(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    let script = || Script::now(vec![get(&format!("/stream?ms={NEVER}"))]);
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, script())).collect();
    stage.wait_for("the first half", |stage| {
        clients.iter().all(|id| stage.client(*id).record().answer_begun)
    })?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2));
    Ok(())
}
