//! TLS of both versions, from several hands: what can be told from records alone.

use super::Case;
use super::exit::exits;
use crate::client::{Script, Security, Step, Target, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, ClientId, NEVER, RunId, Stage, Stop, Work, slow};
use crate::tool::Tool;
use anyhow::Result;
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;

const NODE: &[Tool] = &[Tool::Node, Tool::Openssl];
const GO: &[Tool] = &[Tool::Go, Tool::Openssl];
const NGINX: &[Tool] = &[Tool::Nginx, Tool::Openssl];
const UNANSWERED: Fate = Fate::UnansweredRequest;
/// More than any socket's buffers hold, in bytes.
const LARGE: u64 = 50 << 20;

pub const CASES: &[Case] = &[
    Case::new("tls12-node", NODE, "TLS 1.2: handshakes, answers, requests in flight", node_old).of_framing(),
    Case::new("tls-mutual", NODE, "client certificates: the client's words are the last", mutual)
        .of_framing(),
    Case::new("tls-lines", NODE, "lines as short as control frames, both versions", lines).of_framing(),
    Case::new("tls-go", GO, "Go's TLS, both versions", go).of_framing(),
    Case::new("tls-nginx-term", NGINX, "nginx in front with TLS, the fast stop", nginx_fast).of_framing(),
    Case::new("tls-nginx-quit", NGINX, "nginx in front with TLS, the graceful stop", nginx_graceful)
        .of_framing(),
    Case::new("tls-nginx-file", NGINX, "a file cut in the middle of a record", nginx_file).of_framing(),
];

fn lines(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "exit lines").with_tls(stage.tools()))?;
    let line = |text: &str| Step::Request(format!("{text}\r\n").into_bytes(), 1);
    let mut idle = Vec::new();
    let mut busy = Vec::new();
    for old in [true, false] {
        let target = target(stage, server, |security| security.old = old);
        let mut open = |steps: Vec<Step>| stage.open_to(server, target.clone(), Script::lines(steps));
        for text in ["SET a 1", "SET this is longer than any control frame of HTTP/2"] {
            let answered = [line(text), Step::AwaitAnswers];
            idle.push(open([&answered[..], &answered, &answered].concat()));
            busy.push(open([&answered[..], &[line("WAIT")]].concat()));
        }
        open(vec![Step::AwaitSecurity]);
        busy.push(open(vec![Step::AwaitSecurity, line("WAIT")]));
    }
    stage.wait_until_answered(&idle)?;
    stage.wait_until_taken(server, &[&idle[..], &busy].concat())?;
    stage.wait_for("the last lines", |stage| {
        busy.iter().all(|id| stage.reads(*id) == stage.client(*id).record().requests)
    })?;
    exits(stage, server, &[(UNANSWERED, busy.len())])
}

/// The server's address, spoken to as `change` says.
fn target(stage: &Stage<'_>, server: RunId, change: impl Fn(&mut Security)) -> Target {
    let mut target = stage.target(server);
    target.security.iter_mut().for_each(change);
    target
}

/// One client after its handshake, one after an answer, one after two, and two whose request is being
/// worked on: the first of their connection, and the second.
fn audience(stage: &mut Stage<'_>, server: RunId, target: &Target) -> Result<()> {
    let mut open = |steps: &[Step]| stage.open_to(server, target.clone(), Script::now(steps.to_vec()));
    let spare = open(&[Step::AwaitSecurity]);
    let answered = [get("/"), Step::AwaitAnswers];
    let idle = [open(&answered), open(&[answered.clone(), answered.clone()].concat())];
    let first = open(&[slow(NEVER)]);
    let second = open(&[&answered[..], &[slow(NEVER)]].concat());
    stage.wait_until_taken(server, &[spare, idle[0], idle[1], second])?;
    stage.wait_until_answered(&idle)?;
    stage.idle(server, 1)?;
    wait_for_work(stage, &[first, second])
}

/// Waits until the server works on the last request of each. A proxy's upstream says what it reads;
/// what a proxy answers by itself nobody says.
fn wait_for_work(stage: &mut Stage<'_>, clients: &[ClientId]) -> Result<()> {
    stage.wait_for("work", |stage| {
        clients.iter().all(|id| {
            let record = stage.client(*id).record();
            stage.client(*id).has_played() && record.outstanding() == 1 && stage.reads(*id) > 0
        })
    })?;
    stage.wait_until_read(clients, 1)
}

fn node_old(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "exit").with_tls(stage.tools()))?;
    let old = target(stage, server, |security| security.old = true);
    audience(stage, server, &old)?;
    stage.wait_for("the server to read", |stage| stage.log(server).count("read ") == 7)?;
    exits(stage, server, &[(UNANSWERED, 2)])
}

fn mutual(stage: &mut Stage<'_>) -> Result<()> {
    let server =
        stage.start(Program::node(stage.tools(), "exit").with_tls(stage.tools()).with_mutual_tls())?;
    for old in [false, true] {
        let known = target(stage, server, |security| (security.old, security.mutual) = (old, true));
        let script = |steps: &[Step]| Script::now(steps.to_vec());
        let spare = stage.open_to(server, known.clone(), script(&[Step::AwaitSecurity]));
        let idle = stage.open_to(server, known.clone(), script(&[get("/"), Step::AwaitAnswers]));
        let busy = stage.open_to(server, known, script(&[slow(NEVER)]));
        stage.wait_until_said(server, "secured", &[spare])?;
        stage.wait_until_taken(server, &[spare])?;
        stage.wait_until_answered(&[idle])?;
        stage.wait_until_read(&[busy], 1)?;
    }
    exits(stage, server, &[(UNANSWERED, 2)])
}

fn go(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none").with_tls(stage.tools()))?;
    for old in [false, true] {
        let target = target(stage, server, |security| security.old = old);
        audience(stage, server, &target)?;
    }
    stage.wait_for("the server to read", |stage| stage.log(server).count("read ") == 14)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::StopSignalKilledProcess).severed(UNANSWERED, 4));
    Ok(())
}

fn nginx_fast(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    // A server that forgets: no tickets, no sessions.
    let program = Program::nginx_tls(stage.tools(), upstream, "ssl_session_tickets off;");
    let server = stage.start(program)?;
    for old in [false, true] {
        let target = target(stage, server, |security| security.old = old);
        audience(stage, server, &target)?;
    }
    stage.stop(server, AMPLE)?;
    // The upstream says what it reads, which is not all that nginx reads.
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled).reads_unsaid();
    stage.expect(server, expected.severed(UNANSWERED, 4));
    Ok(())
}

fn nginx_graceful(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx_tls(stage.tools(), upstream, ""))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, Stop { signal: Signal::QUIT, ..AMPLE })?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn nginx_file(stage: &mut Stage<'_>) -> Result<()> {
    stage.file("large", LARGE)?;
    let server = stage.start(Program::nginx_tls(stage.tools(), 1, ""))?;
    let steps = vec![Step::AwaitSecurity, Step::LookAway, get("/files/large"), Step::AwaitArrival];
    let clients: Vec<_> = (0..2).map(|_| stage.open(server, Script::now(steps.clone()))).collect();
    stage.wait_until_played(&clients)?;
    stage.idle(server, 1)?;
    stage.stop(server, AMPLE)?;
    for client in &clients {
        stage.client_mut(*client).tell([Step::LookBack]);
    }
    stage
        .wait_for("the ends of the files", |stage| clients.iter().all(|id| stage.client(*id).has_ended()))?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2));
    Ok(())
}
