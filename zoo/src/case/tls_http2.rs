//! HTTP/2 inside TLS: control frames hide among requests, and only their size gives them away.

use super::Case;
use super::exit::exits;
use super::http2::{ask, streams, waits};
use crate::client::{Script, Step, http2};
use crate::program::Program;
use crate::stage::{NEVER, RunId, Stage};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const NODE: &[Tool] = &[Tool::Node, Tool::Openssl];
const UNANSWERED: Fate = Fate::UnansweredRequest;

pub const CASES: &[Case] = &[
    Case::new("tls-http2-idle", NODE, "idle after answers and every kind of control frame", idle)
        .of_framing(),
    Case::new("tls-http2-in-flight", NODE, "a request was the last word", in_flight).of_framing(),
    Case::new("tls-http2-ping", NODE, "a request in flight, and a PING acknowledged since", ping)
        .of_framing(),
    Case::new("tls-http2-short", NODE, "requests as short as control frames, waiting and answered", short)
        .of_framing(),
];

fn server(stage: &mut Stage<'_>) -> Result<RunId> {
    stage.start(Program::node(stage.tools(), "exit http2").with_tls(stage.tools()))
}

fn idle(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    // The client's WINDOW_UPDATE is the last word, or the server's answer.
    let large = streams(stage, server, vec![ask("/large?bytes=60000")], 1, false)?;
    streams(stage, server, vec![ask("/"), ask("/empty"), ask("/")], 3, false)?;
    let preface = Step::Control(http2::preface());
    let answered = [Step::Request(http2::request(1, "/"), 1), Step::AwaitAnswers];
    let pinged = [Step::Control(http2::ping()), Step::AwaitPong];
    let freed = [Step::Control(http2::window_update())];
    let greeted = [&[preface.clone()][..], &pinged].concat();
    let all = [&[preface][..], &answered, &pinged, &freed].concat();
    let clients = [greeted, all].map(|steps| stage.open(server, Script::frames(steps)));
    stage.wait_until_taken(server, &[&clients[..], &[large]].concat())?;
    exits(stage, server, &[])
}

fn in_flight(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let answered = [ask("/"), Step::AwaitAnswers];
    let one = streams(stage, server, [&answered[..], &[waits()]].concat(), 1, false)?;
    let many = streams(stage, server, [&answered[..], &[waits(), waits(), waits()]].concat(), 1, false)?;
    stage.wait_until_read(&[one, many], 2)?;
    streams(stage, server, [&answered[..], &answered].concat(), 2, false)?;
    exits(stage, server, &[(UNANSWERED, 2)])
}

fn ping(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let asked = [(1, "/".to_string()), (3, format!("/slow?ms={NEVER}"))];
    let [first, second] = asked.map(|(stream, path)| Step::Request(http2::request(stream, &path), 1));
    let steps = vec![Step::Control(http2::preface()), first, Step::AwaitAnswers, second];
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, Script::frames(steps.clone()))).collect();
    stage.wait_until_read(&clients, 2)?;
    for client in &clients {
        stage.client_mut(*client).tell([Step::Control(http2::ping()), Step::AwaitPong]);
    }
    stage.wait_until_taken(server, &clients)?;
    exits(stage, server, &[(UNANSWERED, 2)])
}

fn short(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let asked = |path| {
        let [first, second] = http2::short_requests(["/", path]).map(|request| Step::Request(request, 1));
        Script::frames(vec![Step::Control(http2::preface()), first, Step::AwaitAnswers, second])
    };
    let waiting = ["/?ms=9e5", "/?ms=90e4"].map(|path| stage.open(server, asked(path)));
    stage.wait_until_read(&waiting, 2)?;
    let answered = stage.open(server, asked("/okay"));
    stage.wait_until_read(&[answered], 2)?;
    stage.wait_until_answered(&[answered])?;
    exits(stage, server, &[(UNANSWERED, 2)])
}
