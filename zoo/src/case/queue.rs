//! Bytes that the server never took: in the accept queue, in the receive buffer, or half a request.

use super::Case;
use crate::client::{Script, Step, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::server::Reply;
use crate::stage::{AMPLE, NEVER, Stage, Work, slow};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

pub const CASES: &[Case] = &[
    Case::new("never-accepted", &[], "requests in the accept queue", never_accepted),
    Case::new("never-read", &[], "accepted, and never read", never_read),
    Case::new("unread-behind", &[], "a second request behind one in work", unread_behind),
    Case::new("upload", &[], "a large body, half of it sent", upload),
    Case::new("half-a-head", &[], "half a request head: nobody can know", half_a_head),
    Case::new("put-off", &[], "handshakes that the listener has put off until data comes", put_off),
    Case::new("blocked-write", &[], "the answer finds no room, and its writer waits", blocked_write)
        .of_framing(),
    Case::new("half-closed", &[], "a client that half-closed and waits", half_closed),
];

fn never_accepted(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--never-accept --on-term exit"))?;
    let queued: Vec<_> = (0..3).map(|_| stage.open(server, Script::now(vec![get("/")]))).collect();
    stage.wait_until_played(&queued)?;
    stage.silent(server, 2)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::AcceptQueueDropped).signal(Disposition::Handled).unread_were_queued();
    stage.expect(server, expected.severed(Fate::NeverAccepted, 3));
    Ok(())
}

fn never_read(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--never-read --on-term exit"))?;
    let unread: Vec<_> = (0..3).map(|_| stage.open(server, Script::now(vec![get("/")]))).collect();
    let silent = stage.silent(server, 1)?;
    stage.wait_until_played(&unread)?;
    stage.wait_until_said(server, "accepted", &[unread, silent].concat())?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnreadRequest, 3));
    Ok(())
}

fn unread_behind(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let clients = stage.in_flight(server, 2, Work::Endless)?;
    for client in &clients {
        stage.client_mut(*client).tell([get("/second")]);
    }
    stage.wait_until_played(&clients)?;
    stage.stop(server, AMPLE)?;
    // Two requests are lost on each, but the one that was read may have executed: that fate counts.
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn upload(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let mut half = b"POST /upload HTTP/1.1\r\nHost: zoo\r\nContent-Length: 200000\r\n\r\n".to_vec();
    half.resize(half.len() + 100_000, b'x');
    let client = stage.open(server, Script::now(vec![Step::Request(half, 1)]));
    stage.wait_until_read(&[client], 1)?;
    stage.wait_until_played(&[client])?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1));
    Ok(())
}

fn half_a_head(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let half = stage.open(server, Script::now(vec![Step::Half(b"GET /half HTTP/1.1\r\nHo".to_vec())]));
    stage.wait_until_played(&[half])?;
    stage.in_flight(server, 1, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1));
    Ok(())
}

fn put_off(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--defer --on-term exit"))?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::Endless)?;
    stage.silent(server, 1)?;
    // They believe to be connected, and ask when nobody listens any more.
    let late = stage.silent(server, 2)?;
    stage.send_stop_signal(server, AMPLE)?;
    stage.finish_stop(server)?;
    for client in &late {
        stage.client_mut(*client).tell([get("/")]);
    }
    stage.wait_for("their resets", |stage| late.iter().all(|id| stage.client(*id).has_ended()))?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled).unread_were_queued();
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1).severed(Fate::NeverAccepted, 2));
    Ok(())
}

fn blocked_write(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let bytes = 30_000_000;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
    let ask = get(Reply::new().write(&head).fill(bytes).path());
    let script = Script::now(vec![Step::LookAway, ask, Step::AwaitArrival]);
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, script.clone())).collect();
    stage.wait_until_read(&clients, 1)?;
    stage.wait_until_played(&clients)?;
    stage.stop(server, AMPLE)?;
    for client in &clients {
        stage.client_mut(*client).tell([Step::LookBack]);
    }
    stage.wait_for("what was written", |stage| clients.iter().all(|id| stage.client(*id).has_ended()))?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2));
    Ok(())
}

fn half_closed(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let client = stage.open(server, Script::now(vec![slow(NEVER), Step::HalfClose]));
    stage.wait_until_read(&[client], 1)?;
    stage.wait_until_played(&[client])?;
    stage.in_flight(server, 1, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1));
    Ok(())
}
