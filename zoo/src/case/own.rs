//! Ways to end that any server may have, played by the zoo's own.

use super::Case;
use crate::client::{Script, Start, Step, Target, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, NEVER, Stage, Stop, Work, slow};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

const GRACE: Stop = Stop::term(Duration::from_millis(1200));

pub const CASES: &[Case] = &[
    Case::new("drain", &[], "a full drain", drain),
    Case::new("exit", &[], "the handler exits", exit),
    Case::new("slow-drain", &[], "the drain outlasts the grace period", slow_drain),
    Case::new("wait-for-idle", &[], "the drain waits for idle connections until SIGKILL", wait_for_idle),
    Case::new("wait-for-idle-left", &[], "the same, but the clients leave in time", wait_for_idle_left),
    Case::new("keepalive-race", &[], "requests cross the FIN of a drain", keepalive_race),
    Case::new("keepalive-race-gone", &[], "requests cross the FIN of a dead process", keepalive_race_gone),
    Case::new(
        "clients-gave-up",
        &[],
        "clients that abort or leave, before and while it drains",
        clients_gave_up,
    ),
    Case::new("health-checks", &[], "connections that come and go, and one the server resets", health_checks),
    Case::new("crowd", &[], "300 requests in flight", crowd),
    Case::new("ipv6", &[], "a listener on ::1", ipv6),
    Case::new("dual-stack", &[], "IPv4 clients of a listener on ::", dual_stack),
    Case::new("after-the-linger", &[], "refused, but long after", after_the_linger),
];

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(3));
    Ok(())
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.after_exit(server, &[50, 1000]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3).severed(Fate::Refused, 2));
    Ok(())
}

fn slow_drain(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, GRACE)?;
    let expected = Expected::new(Cause::GraceExceeded).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2).drained(1));
    Ok(())
}

fn wait_for_idle(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term wait-for-idle"))?;
    stage.idle(server, 3)?;
    stage.stop(server, GRACE)?;
    stage.expect(server, Expected::new(Cause::WaitedOnIdleConnections).signal(Disposition::Handled));
    Ok(())
}

fn wait_for_idle_left(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term wait-for-idle"))?;
    let clients = stage.idle(server, 3)?;
    stage.send_stop_signal(server, AMPLE)?;
    stage.wait_for_line(server, "closed")?;
    for client in clients {
        stage.client_mut(client).tell([Step::Leave]);
    }
    stage.finish_stop(server)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn keepalive_race(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.after_answer(server, 2, vec![Step::AwaitFin, get("/"), Step::LookBack])?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::KeepaliveRace).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::RequestAfterClose, 2).drained(1));
    Ok(())
}

fn keepalive_race_gone(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    stage.after_answer(server, 2, vec![Step::AwaitFin, get("/"), Step::LookBack])?;
    let pause = Step::Wait(Duration::from_millis(500));
    stage.after_answer(server, 1, vec![Step::AwaitFin, pause, get("/"), Step::LookBack])?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::KeepaliveRace).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::RequestAfterClose, 3));
    Ok(())
}

fn clients_gave_up(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    let before = stage.in_flight(server, 2, Work::UntilStop)?;
    for client in &before {
        stage.client_mut(*client).tell([Step::Abort]);
    }
    stage.wait_until_played(&before)?;
    stage.after_answer(server, 2, vec![Step::Leave])?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    let during = stage.in_flight(server, 2, Work::UntilStop)?;
    stage.send_stop_signal(server, AMPLE)?;
    stage.wait_for_line(server, "closed")?;
    for client in during {
        stage.client_mut(client).tell([Step::Abort]);
    }
    stage.finish_stop(server)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(1));
    Ok(())
}

fn health_checks(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    let checks: Vec<_> = (0..5).map(|_| stage.open(server, Script::now(vec![Step::Leave]))).collect();
    let reset = stage.open(server, Script::now(vec![get("/reset")]));
    stage.wait_until_played(&checks)?;
    stage.wait_for("the server's reset", |stage| stage.client(reset).has_ended())?;
    stage.idle(server, 1)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}

fn crowd(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    stage.idle(server, 50)?;
    stage.in_flight(server, 300, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 300));
    Ok(())
}

fn ipv6(stage: &mut Stage<'_>) -> Result<()> {
    let program = Program::own(stage.tools(), "").on_address(Ipv6Addr::LOCALHOST);
    let server = stage.start(program)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2).severed(Fate::Refused, 1));
    Ok(())
}

fn dual_stack(stage: &mut Stage<'_>) -> Result<()> {
    let program = Program::own(stage.tools(), "").on_address(Ipv6Addr::UNSPECIFIED);
    let port = stage.free_port()?;
    let server = stage.start(program.on_port(port))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let target = Target::new(address);
    let in_flight = Script::now(vec![slow(NEVER)]);
    let late = Script::at(Start::AfterExit(Duration::from_millis(100)), vec![get("/")]);
    let client = stage.open_to(server, target.clone(), in_flight);
    stage.open_to(server, target, late);
    stage.wait_until_read(&[client], 1)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).signal(Disposition::Default);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 1).severed(Fate::Refused, 1));
    Ok(())
}

fn after_the_linger(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.idle(server, 1)?;
    stage.after_exit(server, &[4500]);
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled));
    Ok(())
}
