//! Where counting bytes is fooled: the last bytes do not tell who owes whom.

use super::Case;
use crate::client::{Script, Step, get, get_with, http2};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, ClientId, NEVER, RunId, Stage};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

pub const CASES: &[Case] = &[
    Case::new("stream-cut", &[], "chunked responses cut in the middle", stream_cut).of_framing(),
    Case::new("length-cut", &[], "responses shorter than their Content-Length", length_cut).of_framing(),
    Case::new("stream-drained", &[], "a chunked response that ends in time", stream_drained),
    Case::new("continue", &[], "100 Continue is no answer", continued).of_framing(),
    Case::new("pipelined", &[], "the first of two pipelined requests is answered", pipelined).of_framing(),
    Case::new("undelivered", &[], "a whole response is lost by a reset", undelivered),
    Case::new("slow-reader", &[], "a whole response is delivered after the exit", slow_reader),
    Case::new("websocket-quiet", &[], "the client's pong was the last word", websocket).of_framing(),
    Case::new("http2-idle", &[Tool::Node], "the client's WINDOW_UPDATE was the last word", http2_idle)
        .of_framing(),
    Case::new("http2-in-flight", &[Tool::Node], "the server's PING ack was the last word", http2_in_flight)
        .of_framing(),
];

fn open_all(stage: &mut Stage<'_>, server: RunId, count: usize, steps: &[Step]) -> Vec<ClientId> {
    (0..count).map(|_| stage.open(server, Script::now(steps.to_vec()))).collect()
}

/// Two clients whose answer has begun and will not end.
fn cut(stage: &mut Stage<'_>, path: &str) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let clients = open_all(stage, server, 2, &[get(path)]);
    stage.wait_until_said(server, "parted", &clients)?;
    stage.wait_for("the first half", |stage| {
        clients.iter().all(|id| stage.client(*id).record().answer_begun)
    })?;
    stage.idle(server, 1)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2));
    Ok(())
}

fn stream_cut(stage: &mut Stage<'_>) -> Result<()> {
    cut(stage, &format!("/stream?ms={NEVER}"))
}

fn length_cut(stage: &mut Stage<'_>) -> Result<()> {
    cut(stage, &format!("/part?bytes=5000&ms={NEVER}"))
}

fn stream_drained(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    let request = get(&format!("/stream?gate={}", stage.gate(server)));
    let clients = open_all(stage, server, 2, &[request]);
    stage.wait_until_said(server, "parted", &clients)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn continued(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let request = get_with(&format!("/continue?ms={NEVER}"), "Expect: 100-continue\r\n");
    let clients = open_all(stage, server, 2, &[request]);
    stage.wait_until_said(server, "continued", &clients)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn pipelined(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let both =
        format!("GET / HTTP/1.1\r\nHost: zoo\r\n\r\nGET /slow?ms={NEVER} HTTP/1.1\r\nHost: zoo\r\n\r\n");
    let clients = open_all(stage, server, 2, &[Step::Request(both.into_bytes(), 2)]);
    stage.wait_until_read(&clients, 2)?;
    stage.wait_for("the first answers", |stage| {
        clients.iter().all(|id| stage.client(*id).record().answered == 1)
    })?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn undelivered(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let large = get("/large-then-deaf?bytes=150000");
    let clients = open_all(stage, server, 1, &[Step::LookAway, large]);
    stage.wait_until_said(server, "answered", &clients)?;
    // Bytes that nobody reads make the close a reset, which takes the rest of the answer along.
    stage.client_mut(clients[0]).tell([get("/second")]);
    stage.wait_until_played(&clients)?;
    stage.stop(server, AMPLE)?;
    stage.client_mut(clients[0]).tell([Step::LookBack]);
    stage.wait_for("the reset", |stage| stage.client(clients[0]).has_ended())?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UndeliveredResponse, 1));
    Ok(())
}

fn slow_reader(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let clients = open_all(stage, server, 1, &[Step::LookAway, get("/large?bytes=150000")]);
    stage.wait_until_said(server, "answered", &clients)?;
    stage.stop(server, AMPLE)?;
    stage.client_mut(clients[0]).tell([Step::LookBack]);
    stage.wait_for("the rest of the answer", |stage| stage.client(clients[0]).has_ended())?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn websocket(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let upgrade = get_with("/websocket", "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    // RFC 6455, 5.5.3: an empty pong, masked as a client's frames are.
    let pong = Step::Control(vec![0x8a, 0x80, 1, 2, 3, 4]);
    let clients = open_all(stage, server, 2, &[upgrade, Step::AwaitAnswers, pong]);
    stage.wait_until_said(server, "frame", &clients)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn http2_clients(stage: &mut Stage<'_>, server: RunId, steps: &[Step]) -> Vec<ClientId> {
    let steps = [&[Step::Control(http2::preface())], steps].concat();
    (0..2).map(|_| stage.open(server, Script::frames(steps.clone()))).collect()
}

fn http2_idle(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let request = Step::Request(http2::request(1, "/"), 1);
    let steps = [request, Step::AwaitAnswers, Step::Control(http2::window_update())];
    let clients = http2_clients(stage, server, &steps);
    stage.wait_until_taken(server, &clients)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default));
    Ok(())
}

fn http2_in_flight(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let request = Step::Request(http2::request(1, &format!("/slow?ms={NEVER}")), 1);
    let clients = http2_clients(stage, server, &[request]);
    stage.wait_until_read(&clients, 1)?;
    for client in &clients {
        stage.client_mut(*client).tell([Step::Control(http2::ping()), Step::AwaitPong]);
    }
    stage.wait_until_played(&clients)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}
