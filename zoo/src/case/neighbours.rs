//! More than one container, listener or process: what is whose doing.

use super::Case;
use crate::client::{Script, Target, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::{Program, Ready};
use crate::stage::{AMPLE, RunId, Stage, Work};
use crate::tool::Tool;
use anyhow::{Context, Result};
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

pub const CASES: &[Case] = &[
    Case::new("neighbour", &[], "a neighbour that resets its own clients is not blamed", neighbour),
    Case::new("exec-helper", &[], "killing an exec'd helper ends nothing", exec_helper),
    Case::new("restart-in-place", &[], "the next server in the same cgroup, on the same port", restart),
    Case::new("twins", &[Tool::Ip], "the same address and port in two network namespaces", twins),
    Case::new("reuse-port", &[], "another container takes over the port", reuse_port),
    Case::new("socket-activation", &[], "the queue outlives the server", socket_activation),
    Case::new("nobody-listened", &[], "knocks at a port where nobody ever listened", nobody_listened),
    Case::new("nested", &[], "the server lives in a cgroup below the container's", nested),
];

fn exits() -> Expected {
    Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled)
}

fn drains() -> Expected {
    Expected::new(Cause::Clean).signal(Disposition::Handled)
}

fn neighbour(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term exit"))?;
    let other = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.in_flight(other, 2, Work::UntilStop)?;
    stage.send_stop_signal(server, AMPLE)?;
    let reset: Vec<_> = (0..3).map(|_| stage.open(other, Script::now(vec![get("/reset")]))).collect();
    stage.finish_stop(server)?;
    stage.wait_for("the neighbour's resets", |stage| reset.iter().all(|id| stage.client(*id).has_ended()))?;
    stage.stop(other, AMPLE)?;
    stage.expect(server, exits().severed(Fate::UnansweredRequest, 2));
    stage.expect(other, drains().drained(2));
    Ok(())
}

fn exec_helper(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    stage.in_flight(server, 1, Work::UntilStop)?;
    let helper = Program::command(&["sleep", "60"], Ready::AtOnce);
    for signal in [Signal::TERM, Signal::KILL] {
        stage.exec_and_signal(server, &helper, signal)?;
    }
    stage.idle(server, 1)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, drains().drained(1));
    Ok(())
}

fn restart(stage: &mut Stage<'_>) -> Result<()> {
    let port = stage.free_port()?;
    let program = |stage: &Stage<'_>, on_term: &str| {
        Program::own(stage.tools(), &format!("--on-term {on_term}")).on_port(port)
    };
    let first = stage.start(program(stage, "exit"))?;
    stage.keep_cgroup(first);
    stage.in_flight(first, 2, Work::Endless)?;
    stage.stop(first, AMPLE)?;
    let second = stage.restart(first, program(stage, "drain"))?;
    stage.in_flight(second, 3, Work::UntilStop)?;
    stage.stop(second, AMPLE)?;
    stage.expect(first, exits().severed(Fate::UnansweredRequest, 2));
    stage.expect(second, drains().drained(3));
    Ok(())
}

fn twins(stage: &mut Stage<'_>) -> Result<()> {
    let port = stage.free_port()?;
    let mut start = |on_term: &str| -> Result<RunId> {
        let network = stage.network()?;
        let program = Program::own(stage.tools(), &format!("--on-term {on_term}"));
        stage.start(program.on_port(port).in_network(&network))
    };
    let server = start("exit")?;
    let twin = start("drain")?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.in_flight(twin, 1, Work::UntilStop)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    stage.idle(twin, 2)?;
    stage.stop(twin, AMPLE)?;
    stage.expect(server, exits().severed(Fate::UnansweredRequest, 2).severed(Fate::Refused, 1));
    stage.expect(twin, drains().drained(1));
    Ok(())
}

fn reuse_port(stage: &mut Stage<'_>) -> Result<()> {
    let port = stage.free_port()?;
    let program = |stage: &Stage<'_>, on_term: &str| {
        Program::own(stage.tools(), &format!("--reuse-port --on-term {on_term}")).on_port(port)
    };
    let server = stage.start(program(stage, "exit"))?;
    stage.in_flight(server, 2, Work::Endless)?;
    let successor = stage.start(program(stage, "drain"))?;
    stage.stop(server, AMPLE)?;
    // Nobody is refused: the successor has the port.
    stage.idle(successor, 3)?;
    stage.stop(successor, AMPLE)?;
    stage.expect(server, exits().severed(Fate::UnansweredRequest, 2));
    stage.expect(successor, drains());
    Ok(())
}

fn socket_activation(stage: &mut Stage<'_>) -> Result<()> {
    let port = stage.free_port()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("making a listener to pass on")?;
    let program = |stage: &Stage<'_>, on_term: &str| -> Result<Program> {
        let passed = OwnedFd::from(listener.try_clone().context("duplicating the listener")?);
        let options = format!("--listen-fd {} --on-term {on_term}", passed.as_raw_fd());
        let mut program = Program::own(stage.tools(), &options).on_port(port);
        program.passed = Some(passed);
        Ok(program)
    };
    let server = stage.start(program(stage, "exit")?)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    // These wait in the queue until the next server takes it over. Nothing was refused.
    let mut next = program(stage, "exit")?;
    next.ready = Ready::AtOnce;
    let target = Target::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let waiting: Vec<_> =
        (0..2).map(|_| stage.open_to(server, target.clone(), Script::now(vec![get("/")]))).collect();
    stage.wait_until_played(&waiting)?;
    let successor = stage.start(next)?;
    stage.wait_until_answered(&waiting)?;
    for client in waiting {
        stage.client_mut(client).tell([crate::client::Step::Leave]);
    }
    stage.in_flight(successor, 1, Work::Endless)?;
    stage.stop(successor, AMPLE)?;
    stage.expect(server, exits().severed(Fate::UnansweredRequest, 2));
    stage.expect(successor, exits().severed(Fate::UnansweredRequest, 1));
    Ok(())
}

fn nobody_listened(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, stage.free_port()?));
    stage.in_flight(server, 1, Work::UntilStop)?;
    stage.send_stop_signal(server, AMPLE)?;
    let target = Target::new(nobody);
    let knocks: Vec<_> =
        (0..3).map(|_| stage.open_to(server, target.clone(), Script::now(vec![get("/")]))).collect();
    stage.wait_for("the refusals", |stage| knocks.iter().all(|id| stage.client(*id).has_ended()))?;
    stage.finish_stop(server)?;
    stage.expect(server, drains().drained(1));
    Ok(())
}

fn nested(stage: &mut Stage<'_>) -> Result<()> {
    let mut program = Program::own(stage.tools(), "--on-term exit");
    program.nested = Some("payload");
    let server = stage.start(program)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.after_exit(server, &[100]);
    stage.stop(server, AMPLE)?;
    stage.expect(server, exits().severed(Fate::UnansweredRequest, 2).severed(Fate::Refused, 1));
    Ok(())
}
