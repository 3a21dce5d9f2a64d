//! Proxies in front of a slow upstream, which runs outside the container.

use super::Case;
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, Stage, Stop, Work};
use crate::tool::Tool;
use anyhow::Result;
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

const GRACEFUL: Stop = Stop { signal: Signal::QUIT, grace: Duration::from_millis(1500) };
const NGINX: &[Tool] = &[Tool::Nginx];
const HAPROXY: &[Tool] = &[Tool::Haproxy];

pub const CASES: &[Case] = &[
    Case::new("nginx-term", NGINX, "SIGTERM is the fast stop", nginx_fast),
    Case::new("nginx-quit", NGINX, "SIGQUIT is the graceful one", nginx_graceful),
    Case::new("nginx-quit-silent", NGINX, "SIGQUIT is held up by one that never sent anything", nginx_silent),
    Case::new("haproxy-term", HAPROXY, "SIGTERM is the hard stop: the default action", haproxy_hard),
    Case::new("haproxy-soft", HAPROXY, "SIGUSR1 from inside is the soft one", haproxy_soft),
];

fn nginx_fast(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx(stage.tools(), upstream))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 1));
    Ok(())
}

fn nginx_graceful(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx(stage.tools(), upstream))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::UntilStop)?;
    stage.stop(server, Stop { signal: Signal::QUIT, ..AMPLE })?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}

fn nginx_silent(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::nginx(stage.tools(), upstream))?;
    stage.silent(server, 1)?;
    // A later one is answered, so the silent one has been accepted too.
    stage.idle(server, 1)?;
    stage.stop(server, GRACEFUL)?;
    stage.expect(server, Expected::new(Cause::WaitedOnIdleConnections).signal(Disposition::Handled));
    Ok(())
}

fn haproxy_hard(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::haproxy(stage.tools(), upstream))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    // It has a handler for many signals, and none for this one.
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}

fn haproxy_soft(stage: &mut Stage<'_>) -> Result<()> {
    let upstream = stage.start_upstream()?;
    let server = stage.start(Program::haproxy(stage.tools(), upstream))?;
    let clients = stage.in_flight(server, 2, Work::UntilStop)?;
    stage.signal_from_inside(server, "USR1")?;
    stage.open_gate(server)?;
    stage.wait_until_answered(&clients)?;
    stage.await_exit(server)?;
    // No stop signal: it ends by itself, and the answers were there before.
    stage.expect(server, Expected::new(Cause::Clean));
    Ok(())
}
