//! Connections that live long by design: event streams, long polls, WebSockets, lines.

use super::Case;
use super::exit::{exits, open, server};
use crate::client::{Script, Step, get, get_with};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::server::Reply;
use crate::stage::{NEVER, RunId, Stage, Stop, Work, slow};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const NODE: &[Tool] = &[Tool::Node];
const GRACE: Stop = Stop::term(Duration::from_millis(1500));
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
// RFC 6455, 5.2 and 5.5, masked as a client's frames are: a text, and a close of status 1000.
const TEXT: [u8; 8] = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
const CLOSE: [u8; 8] = [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2];

pub const CASES: &[Case] = &[
    Case::new("sse-cut", NODE, "event streams and long polls, cut", events_cut).of_framing(),
    Case::new("sse-grace", NODE, "the drain waits for event streams until SIGKILL", events_until_kill)
        .of_framing(),
    Case::new("websocket-traffic", &[], "frames have gone both ways; nothing is owed", websocket_traffic)
        .of_framing(),
    Case::new("websocket-closing", &[], "the client's close was the last word", websocket_closing)
        .of_framing(),
    Case::new("upgrade-declined", &[], "an upgrade answered by 200 changes nothing", upgrade_declined)
        .of_framing(),
    Case::new("line-protocol", &[], "neither HTTP nor TLS: the plain rule", line_protocol).of_framing(),
];

/// Two event streams on which something comes all the time.
fn listeners(stage: &mut Stage<'_>, server: RunId) -> Result<()> {
    let clients = open(stage, server, 2, &[get("/events")]);
    stage.wait_until_read(&clients, 1)?;
    stage.wait_for("events", |stage| clients.iter().all(|id| stage.client(*id).record().answer_begun))
}

fn events_cut(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "exit"))?;
    listeners(stage, server)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.idle(server, 2)?;
    exits(stage, server, &[(Fate::TruncatedResponse, 2), (Fate::UnansweredRequest, 2)])
}

fn events_until_kill(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain"))?;
    listeners(stage, server)?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.idle(server, 1)?;
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::GraceExceeded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2).drained(1));
    Ok(())
}

fn websocket_traffic(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let upgrade = |path: &str| get_with(path, UPGRADE);
    let silent = open(stage, server, 1, &[upgrade("/websocket"), Step::AwaitAnswers]);
    let told = open(stage, server, 2, &[upgrade("/websocket?push=3"), Step::AwaitAnswers]);
    let text = Step::Control(TEXT.to_vec());
    let talking = open(stage, server, 2, &[upgrade("/websocket?push=1"), Step::AwaitAnswers, text]);
    stage.wait_until_said(server, "frame", &talking)?;
    stage.wait_until_answered(&[silent, told].concat())?;
    stage.wait_for("the echoes", |stage| {
        talking.iter().all(|id| stage.client(*id).record().bytes_upgraded >= 6 + TEXT.len())
    })?;
    // Upgraded connections beside one of plain HTTP, whose request is lost.
    stage.in_flight(server, 1, Work::Endless)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}

fn websocket_closing(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let close = Step::Control(CLOSE.to_vec());
    let clients = open(stage, server, 2, &[get_with("/websocket", UPGRADE), Step::AwaitAnswers, close]);
    stage.wait_until_said(server, "frame", &clients)?;
    exits(stage, server, &[])
}

fn upgrade_declined(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let declined = get_with(Reply::ok().path(), UPGRADE);
    let idle = open(stage, server, 1, &[declined.clone(), Step::AwaitAnswers]);
    let busy = open(stage, server, 1, &[declined, Step::AwaitAnswers, slow(NEVER)]);
    let waiting = open(stage, server, 1, &[get_with(&format!("/slow?ms={NEVER}"), UPGRADE)]);
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&busy, 2)?;
    stage.wait_until_read(&waiting, 1)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}

fn line_protocol(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--lines --on-term exit"))?;
    let line = |text: &str| Step::Request(format!("{text}\r\n").into_bytes(), 1);
    let idle = Script::lines(vec![line("SET a 1"), Step::AwaitAnswers, line("GET a"), Step::AwaitAnswers]);
    let busy = Script::lines(vec![line("SET a 1"), Step::AwaitAnswers, line("WAIT")]);
    let idle: Vec<_> = (0..2).map(|_| stage.open(server, idle.clone())).collect();
    let busy: Vec<_> = (0..2).map(|_| stage.open(server, busy.clone())).collect();
    stage.wait_until_played(&idle)?;
    stage.wait_until_read(&busy, 2)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}
