//! HTTP/2 frame by frame: control frames that are no requests, and requests in unusual clothes.

use super::Case;
use super::http2::{ask, begins, streams, waits};
use crate::client::{Script, Step, http2};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, ClientId, NEVER, RunId, Stage, Stop};
use crate::tool::Tool;
use anyhow::Result;
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const NODE: &[Tool] = &[Tool::Node];
const GO: &[Tool] = &[Tool::Go];
const NGINX: &[Tool] = &[Tool::Nginx];

pub const CASES: &[Case] = &[
    Case::new("http2-control-last", NODE, "every control frame a client may end with", control_last)
        .of_framing(),
    Case::new("http2-odd-frames", NODE, "CONTINUATION, padding, priorities, unknown frames", odd_frames)
        .of_framing(),
    Case::new(
        "http2-server-first",
        NODE,
        "the server's SETTINGS come before the client's preface",
        server_first,
    )
    .of_framing(),
    Case::new("http2-stalled", NODE, "a stream whose window the client never opens", stalled).of_framing(),
    Case::new(
        "nginx-http2-slow",
        NGINX,
        "a slow reader, whose PING is answered before what waits",
        nginx_slow,
    )
    .of_framing(),
    Case::new("go-http2", GO, "Go's HTTP/2 in clear, beside HTTP/1 on the same port", go).of_framing(),
    Case::new("go-http2-shutdown", GO, "Shutdown sends GOAWAY and finishes", go_shutdown).of_framing(),
    Case::new("nginx-http2-term", NGINX, "streams through a proxy, cut by the fast stop", nginx_fast)
        .of_framing(),
    Case::new("nginx-http2-quit", NGINX, "streams through a proxy, finished by the graceful one", nginx_quit)
        .of_framing(),
];

/// A client that sends these frames after its preface.
fn frames(stage: &mut Stage<'_>, server: RunId, steps: &[Step]) -> ClientId {
    let steps = [&[Step::Control(http2::preface())], steps].concat();
    stage.open(server, Script::frames(steps))
}

fn control_last(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let last = [
        http2::window_update(),
        http2::priority(3),
        http2::unknown_frame(),
        [http2::window_update(), http2::priority(5), http2::window_update()].concat(),
    ];
    let ping = [Step::Control(http2::ping()), Step::AwaitPong];
    for frame in last {
        let after = [Step::Control(frame)];
        let answered = [Step::Request(http2::request(1, "/"), 1), Step::AwaitAnswers];
        let waiting = [Step::Request(http2::request(1, &format!("/slow?ms={NEVER}")), 1)];
        let idle = frames(stage, server, &[&answered, &after[..]].concat());
        stage.wait_until_taken(server, &[idle])?;
        let busy = frames(stage, server, &waiting);
        stage.wait_until_read(&[busy], 1)?;
        // A PING first, so that the server has answered something since the request.
        stage.client_mut(busy).tell([&ping[..], &after[..]].concat());
        stage.wait_until_taken(server, &[busy])?;
    }
    // The server asks whether the client is there, which is the last that it hears of it.
    let pinged = [Step::Request(http2::request(1, "/ping"), 1), Step::AwaitAnswers];
    let pinged = frames(stage, server, &pinged);
    stage.wait_until_said(server, "ponged", &[pinged])?;
    stage.wait_until_taken(server, &[pinged])?;
    // Nothing but SETTINGS, its acknowledgement and a PING: never a request.
    let greeting = frames(stage, server, &ping);
    stage.wait_until_taken(server, &[greeting])?;
    lost(stage, server, Cause::StopSignalKilledProcess, &[(Fate::UnansweredRequest, 4)])
}

fn odd_frames(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let never = format!("/slow?ms={NEVER}");
    let odd = |path: &str| {
        let first = http2::continued_request(1, path, 16);
        let second = [http2::unknown_frame(), http2::padded_request(3, path, 255)].concat();
        [first, second, http2::padded_post(5, path, 9)]
    };
    let whole: Vec<_> = odd("/").into_iter().map(|frame| Step::Request(frame, 1)).collect();
    let idle = frames(stage, server, &whole);
    let waiting: Vec<_> = odd(&never).into_iter().map(|frame| Step::Request(frame, 1)).collect();
    let busy = frames(stage, server, &waiting);
    // Byte by byte, the last one alone without an answer. No CONTINUATION: Node's library counts the parts in which its
    // header comes, and takes eight.
    let [_, second, _] = odd("/");
    let [.., last] = odd(&never);
    let bytes = [http2::request(1, "/"), second, last].concat();
    let pieces = bytes.chunks(1).map(|byte| Step::Control(byte.to_vec()));
    let pieces: Vec<_> = pieces.chain([Step::Request(Vec::new(), 3)]).collect();
    let bytewise = frames(stage, server, &pieces);
    stage.wait_until_answered(&[idle])?;
    stage.wait_until_read(&[busy, bytewise], 3)?;
    stage.wait_until_taken(server, &[idle, busy, bytewise])?;
    stage.wait_for("two answers", |stage| stage.client(bytewise).record().answered == 2)?;
    lost(stage, server, Cause::StopSignalKilledProcess, &[(Fate::UnansweredRequest, 2)])
}

fn server_first(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    // RFC 9113, 3.4: neither side waits for the other's preface.
    let heard = [Step::LookAway, Step::AwaitArrival, Step::LookBack, Step::Control(http2::preface())];
    let script = |last: Step| Script::frames([&heard[..], &[last]].concat());
    let idle = stage.open(server, script(Step::Request(http2::request(1, "/"), 1)));
    let waiting = http2::request(1, &format!("/slow?ms={NEVER}"));
    let busy = stage.open(server, script(Step::Request(waiting, 1)));
    let begun = http2::request(1, &format!("/stream?ms={NEVER}"));
    let cut = stage.open(server, script(Step::Request(begun, 1)));
    stage.wait_until_read(&[idle, busy, cut], 1)?;
    stage.wait_until_answered(&[idle])?;
    stage.wait_for("a beginning", |stage| stage.client(cut).record().answer_begun)?;
    stage.wait_until_taken(server, &[idle, busy, cut])?;
    let losses = [(Fate::UnansweredRequest, 1), (Fate::TruncatedResponse, 1)];
    lost(stage, server, Cause::StopSignalKilledProcess, &losses)
}

fn stalled(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    // More than the window that every stream has at first.
    let large = Step::Request(http2::request(1, "/large?bytes=200000"), 1);
    let stalled: Vec<_> = (0..2).map(|_| frames(stage, server, std::slice::from_ref(&large))).collect();
    stage.wait_until_read(&stalled, 1)?;
    stage.wait_for("beginnings", |stage| stalled.iter().all(|id| stage.client(*id).record().answer_begun))?;
    stage.wait_until_taken(server, &stalled)?;
    lost(stage, server, Cause::StopSignalKilledProcess, &[(Fate::TruncatedResponse, 2)])
}

fn nginx_slow(stage: &mut Stage<'_>) -> Result<()> {
    stage.file("large", 50 << 20)?;
    // Nothing is passed on: any port does.
    let server = stage.start(Program::nginx_http2(stage.tools(), 1).without_sendfile())?;
    let ask = |stream| Step::Request(http2::request(stream, "/files/large"), 1);
    let opening = [http2::wide_windows(), http2::ping()].concat();
    let steps = [Step::LookAway, Step::Control(opening), ask(1), ask(3), Step::AwaitArrival];
    let clients: Vec<_> = (0..2).map(|_| frames(stage, server, &steps)).collect();
    stage.wait_until_played(&clients)?;
    // Whenever there is room again, the answer to the PING goes before the frames that found none.
    for client in &clients {
        for _ in 0..100 {
            let pause = Step::Wait(Duration::from_millis(2));
            stage.client_mut(*client).tell([Step::Control(http2::ping()), Step::Glance(50_000), pause]);
        }
    }
    stage.wait_until_played(&clients)?;
    lost(stage, server, Cause::ExitedWithoutDrain, &[(Fate::TruncatedResponse, 2)])?;
    for client in &clients {
        stage.client_mut(*client).tell([Step::LookBack]);
    }
    stage.wait_for("what was written", |stage| clients.iter().all(|id| stage.client(*id).has_ended()))
}

fn go(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    streams(stage, server, vec![ask("/"), waits(), begins()], 1, true)?;
    streams(stage, server, vec![waits(), ask("/"), waits()], 1, false)?;
    streams(stage, server, vec![ask("/?bytes=60000"), ask("/")], 2, false)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, crate::stage::Work::Endless)?;
    let losses = [(Fate::TruncatedResponse, 1), (Fate::UnansweredRequest, 2)];
    lost(stage, server, Cause::StopSignalKilledProcess, &losses)
}

fn go_shutdown(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "shutdown"))?;
    let gated = ask(&format!("/slow?gate={}", stage.gate(server)));
    streams(stage, server, vec![ask("/")], 1, false)?;
    for _ in 0..2 {
        streams(stage, server, vec![gated.clone(), ask("/"), gated.clone()], 1, false)?;
    }
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn nginx_fast(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx_http2(stage.tools(), upstream))?;
    let idle = stage.open(server, Script::http2(vec![ask("/"), ask("/")]));
    let busy = stage.open(server, Script::http2(vec![ask("/"), waits(), waits()]));
    let cut = stage.open(server, Script::http2(vec![begins(), waits()]));
    stage.wait_until_answered(&[idle])?;
    stage.wait_until_read(&[busy, cut], 2)?;
    stage.wait_for("an answer and a beginning", |stage| {
        stage.client(busy).record().answered == 1 && stage.client(cut).record().answer_begun
    })?;
    stage.wait_until_taken(server, &[idle, busy, cut])?;
    let losses = [(Fate::UnansweredRequest, 1), (Fate::TruncatedResponse, 1)];
    lost(stage, server, Cause::ExitedWithoutDrain, &losses)
}

fn nginx_quit(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx_http2(stage.tools(), upstream))?;
    let gated = ask(&format!("/slow?gate={}", stage.gate(server)));
    let idle = stage.open(server, Script::http2(vec![ask("/")]));
    let busy: Vec<_> = (0..2)
        .map(|_| stage.open(server, Script::http2(vec![ask("/"), gated.clone(), gated.clone()])))
        .collect();
    stage.wait_until_answered(&[idle])?;
    stage.wait_until_read(&busy, 2)?;
    stage.stop(server, Stop { signal: Signal::QUIT, ..AMPLE })?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn lost(stage: &mut Stage<'_>, server: RunId, cause: Cause, losses: &[(Fate, usize)]) -> Result<()> {
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(cause).or(Cause::StreamWithoutGoaway);
    let expected = losses.iter().fold(expected, |expected, (fate, count)| expected.severed(*fate, *count));
    stage.expect(server, expected);
    Ok(())
}
