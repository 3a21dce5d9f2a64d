//! HTTP/2 in clear, as a client library speaks it: what became of each stream of each connection.

use super::Case;
use crate::client::{Ask, Script, Step, http2};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, ClientId, NEVER, RunId, Stage, Stop};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1500));
const NODE: &[Tool] = &[Tool::Node];

pub const CASES: &[Case] = &[
    Case::new("http2-mixed", NODE, "streams answered, begun, waiting and reset on one connection", mixed)
        .of_framing(),
    Case::new("http2-crowded", NODE, "150 streams at once on a connection", crowded).of_framing(),
    Case::new("http2-old-stream", NODE, "a stream older than 300 answered ones", old_stream).of_framing(),
    Case::new("http2-bodies", NODE, "large and empty answers, uploads finished and not", bodies).of_framing(),
    Case::new("http2-goaway", NODE, "GOAWAY, and what is in flight finishes", goaway).of_framing(),
    Case::new("http2-goaway-grace", NODE, "GOAWAY, and what is in flight outlasts the grace period", late)
        .of_framing(),
    Case::new("http2-after-goaway", NODE, "a request that crossed the GOAWAY", after_goaway).of_framing(),
];

/// A request on a stream of its own.
pub fn ask(path: &str) -> Step {
    Step::Ask(Ask::get(path))
}

/// One whose answer never comes.
pub fn waits() -> Step {
    ask(&format!("/slow?ms={NEVER}"))
}

/// One whose answer begins and never ends.
pub fn begins() -> Step {
    ask(&format!("/stream?ms={NEVER}"))
}

/// A client that opens these streams at once; returns when so many are answered and, if `begun`,
/// some other answer has begun, and when the server has read all of them.
pub fn streams(
    stage: &mut Stage<'_>,
    server: RunId,
    steps: Vec<Step>,
    answered: usize,
    begun: bool,
) -> Result<ClientId> {
    let asked = steps.iter().filter(|step| matches!(step, Step::Ask(_))).count();
    let client = stage.open(server, Script::http2(steps));
    stage.wait_for("streams to be as designed", |stage| {
        let client = stage.client(client);
        let record = client.record();
        client.has_played() && record.answered == answered && record.answer_begun == begun
    })?;
    stage.wait_until_read(&[client], asked)?;
    stage.wait_until_taken(server, &[client])?;
    Ok(client)
}

/// The process was killed by the signal, with these losses.
fn killed(stage: &mut Stage<'_>, server: RunId, losses: &[(Fate, usize)]) -> Result<()> {
    stage.stop(server, AMPLE)?;
    // The process went, and it had streams of which it took no leave: both names fit.
    let expected = Expected::new(Cause::StopSignalKilledProcess).or(Cause::StreamWithoutGoaway);
    let expected = expected.signal(Disposition::Default);
    let expected = losses.iter().fold(expected, |expected, (fate, count)| expected.severed(*fate, *count));
    stage.expect(server, expected);
    Ok(())
}

fn mixed(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let all = vec![ask("/"), waits(), begins(), ask("/"), waits(), waits()];
    let some = streams(stage, server, all, 2, true)?;
    stage.client_mut(some).tell([Step::Cancel(4)]);
    streams(stage, server, vec![waits(), ask("/"), waits()], 1, false)?;
    streams(stage, server, vec![ask("/"), ask("/empty")], 2, false)?;
    // Asked, and thought better of it: nothing is owed.
    let none = streams(stage, server, vec![waits(), ask("/"), waits()], 1, false)?;
    stage.client_mut(none).tell([Step::Cancel(0), Step::Cancel(2)]);
    stage.wait_until_played(&[some, none])?;
    // The answer to the next one shows that the server has taken the resets.
    for (client, answered) in [(some, 3), (none, 2)] {
        stage.client_mut(client).tell([ask("/")]);
        stage.wait_for("one more answer", |stage| stage.client(client).record().answered == answered)?;
    }
    killed(stage, server, &[(Fate::TruncatedResponse, 1), (Fate::UnansweredRequest, 1)])
}

fn crowded(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    // The first answer brings the server's SETTINGS, and with them leave to ask for so much.
    let greeted = |steps: Vec<Step>| [vec![ask("/"), Step::AwaitAnswers], steps].concat();
    streams(stage, server, greeted(vec![waits(); 150]), 1, false)?;
    let mostly_answered = [vec![ask("/"); 75], vec![waits()], vec![ask("/"); 75]].concat();
    streams(stage, server, greeted(mostly_answered), 151, false)?;
    streams(stage, server, greeted(vec![ask("/"); 150]), 151, false)?;
    killed(stage, server, &[(Fate::UnansweredRequest, 2)])
}

fn old_stream(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    for (first, begun) in [(waits(), false), (begins(), true)] {
        let client = streams(stage, server, vec![first], 0, begun)?;
        for answered in (30..=300).step_by(30) {
            stage.client_mut(client).tell(vec![ask("/"); 30]);
            stage.wait_for("later answers", |stage| stage.client(client).record().answered == answered)?;
        }
    }
    killed(stage, server, &[(Fate::UnansweredRequest, 1), (Fate::TruncatedResponse, 1)])
}

fn bodies(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    let upload = |path: &str, unfinished| Step::Ask(Ask { path: path.into(), body: 5000, unfinished });
    // More than half of its window was used, so the client's WINDOW_UPDATE is the last word.
    streams(stage, server, vec![ask("/large?bytes=60000")], 1, false)?;
    streams(stage, server, vec![ask("/empty"), upload("/", false)], 2, false)?;
    // Answered before the upload is over: nothing is owed to a client that goes on.
    streams(stage, server, vec![upload("/", true)], 1, false)?;
    streams(stage, server, vec![upload(&format!("/slow?ms={NEVER}"), true), ask("/empty")], 1, false)?;
    streams(stage, server, vec![upload(&format!("/slow?ms={NEVER}"), false)], 0, false)?;
    killed(stage, server, &[(Fate::UnansweredRequest, 2)])
}

/// A drain with one idle connection and two with these streams.
fn drains(stage: &mut Stage<'_>, server: RunId, work: &[Step], stop: Stop) -> Result<()> {
    streams(stage, server, vec![ask("/")], 1, false)?;
    for _ in 0..2 {
        streams(stage, server, [work, &[ask("/")]].concat(), 1, false)?;
    }
    stage.stop(server, stop)
}

fn goaway(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain http2"))?;
    let gated = ask(&format!("/slow?gate={}", stage.gate(server)));
    drains(stage, server, &[gated.clone(), gated], AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn late(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain http2"))?;
    let gated = ask(&format!("/slow?gate={}", stage.gate(server)));
    drains(stage, server, &[gated, waits()], GRACE)?;
    let expected = Expected::new(Cause::GraceExceeded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}

fn after_goaway(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain http2"))?;
    let never = format!("/slow?ms={NEVER}");
    let first = vec![Step::Control(http2::preface()), Step::Request(http2::request(1, &never), 1)];
    let crossing = stage.open(server, Script::frames(first.clone()));
    let other = stage.open(server, Script::frames(first));
    stage.wait_until_read(&[crossing, other], 1)?;
    stage.send_stop_signal(server, GRACE)?;
    stage.wait_for_line(server, "closed")?;
    // The server had said which stream is its last; this one is never looked at.
    stage.client_mut(crossing).tell([Step::Request(http2::request(3, "/"), 1)]);
    stage.wait_until_played(&[crossing])?;
    stage.finish_stop(server)?;
    let expected = Expected::new(Cause::GraceExceeded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}
