//! gunicorn and uvicorn: masters, workers, and graceful stops of their own making.

use super::Case;
use crate::client::Script;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, Stage, Stop, Work, slow};
use crate::tool::Tool;
use anyhow::Result;
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;

const SERVERS: &[Tool] = &[Tool::PythonServers];

pub const CASES: &[Case] = &[
    Case::new("gunicorn-term", SERVERS, "graceful: the workers finish", gunicorn_graceful),
    Case::new("gunicorn-backlog", SERVERS, "graceful, but the accept queue is reset", gunicorn_backlog),
    Case::new("gunicorn-int", SERVERS, "SIGINT interrupts the workers, which answer 500", gunicorn_quick),
    Case::new("uvicorn-term", SERVERS, "drains, then raises SIGTERM on itself", uvicorn_graceful),
    Case::new("uvicorn-timeout", SERVERS, "answers 500 to what outlasts its own timeout", uvicorn_timeout),
];

fn gunicorn_graceful(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::gunicorn(stage.tools()))?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn gunicorn_backlog(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::gunicorn(stage.tools()))?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    // Both workers are busy: these lie in the accept queue.
    let queued: Vec<_> = (0..3).map(|_| stage.open(server, Script::now(vec![slow(0)]))).collect();
    stage.wait_until_played(&queued)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::AcceptQueueDropped).signal(Disposition::Handled).unread_were_queued();
    stage.expect(server, expected.drained(2).severed(Fate::NeverAccepted, 3));
    Ok(())
}

fn gunicorn_quick(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::gunicorn(stage.tools()))?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, Stop { signal: Signal::INT, ..AMPLE })?;
    // A complete answer of any status is an answer.
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn uvicorn_graceful(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::uvicorn(stage.tools(), ""))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}

fn uvicorn_timeout(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::uvicorn(stage.tools(), "--timeout-graceful-shutdown 1"))?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}
