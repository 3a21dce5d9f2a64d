//! gRPC for Go at both ends: a call is a stream, and its library says what became of it.

use super::Case;
use crate::client::Protocol;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, RunId, Stage, Stop};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRPC: &[Tool] = &[Tool::Grpc];
const GRACE: Stop = Stop::term(Duration::from_millis(1500));

pub const CASES: &[Case] = &[
    Case::new("grpc-none", GRPC, "no handler: calls of every kind are cut", none).of_framing(),
    Case::new("grpc-stop", GRPC, "Stop closes every connection without GOAWAY", stop).of_framing(),
    Case::new("grpc-graceful", GRPC, "GracefulStop: GOAWAY, and what runs may finish", graceful).of_framing(),
    Case::new("grpc-graceful-grace", GRPC, "GracefulStop waits for a stream until SIGKILL", overtaken)
        .of_framing(),
];

/// The calls of one connection, and what is to be there of them before the scene goes on: how many
/// the server has read, and how many are answered.
type Calls<'a> = (&'a str, usize, usize);

fn call(stage: &mut Stage<'_>, server: RunId, connections: &[Calls<'_>]) -> Result<()> {
    let ports = stage.client_ports(connections.len())?;
    let calls: Vec<_> = ports.iter().copied().zip(connections.iter().map(|(calls, ..)| *calls)).collect();
    let clients = Program::grpc_clients(stage.tools(), stage.target(server).address, &calls);
    stage.start_other(server, &clients, Protocol::Http2, &ports)?;
    stage.wait_for("calls to be as designed", |stage| {
        ports.iter().zip(connections).all(|(port, (_, read, answered))| {
            let record = stage.told(*port);
            stage.log(server).reads(*port) == *read
                && record.answered == *answered
                && record.requests == *read
        })
    })?;
    stage.wait_until_silent(server, &ports)
}

/// Calls of every kind: one connection is idle, one waits for an answer, one has got a part of one,
/// one has thought better of it.
fn audience(stage: &mut Stage<'_>, server: RunId) -> Result<()> {
    let connections = [
        ("unary-now,unary-fail,stream-fail", 3, 3),
        ("unary-now,unary-wait,unary-wait", 3, 1),
        ("stream-wait,unary-wait,unary-now", 3, 1),
        ("unary-now,cancel-wait", 2, 1),
    ];
    call(stage, server, &connections)?;
    stage.wait_for_line(server, "withdrawn")
}

fn none(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::grpc(stage.tools(), "none"))?;
    audience(stage, server)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).or(Cause::StreamWithoutGoaway);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1).severed(Fate::TruncatedResponse, 1));
    Ok(())
}

fn stop(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::grpc(stage.tools(), "stop"))?;
    audience(stage, server)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).or(Cause::StreamWithoutGoaway);
    let expected = expected.signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1).severed(Fate::TruncatedResponse, 1));
    Ok(())
}

fn graceful(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::grpc(stage.tools(), "graceful"))?;
    let gate = stage.gate(server);
    let connections = [
        ("unary-now".to_string(), 1, 1),
        (format!("unary-gate={gate},unary-now"), 2, 1),
        (format!("unary-now,stream-gate={gate}"), 2, 1),
    ];
    let connections: Vec<_> =
        connections.iter().map(|(calls, read, done)| (&calls[..], *read, *done)).collect();
    call(stage, server, &connections)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn overtaken(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::grpc(stage.tools(), "graceful"))?;
    call(stage, server, &[("unary-now", 1, 1), ("stream-wait", 1, 0), ("unary-wait", 1, 0)])?;
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::GraceExceeded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1).severed(Fate::TruncatedResponse, 1));
    Ok(())
}
