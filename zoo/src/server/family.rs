//! A master that listens and children that serve: the listener is shared, the master itself never
//! touches a connection.

use super::handler::on_signal;
use super::{OnTerm, ServerArgs, say};
use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command};

/// Starts the children and waits for the signal, or for all of them to end.
pub fn run(listener: OwnedFd, arguments: &ServerArgs) -> Result<()> {
    fcntl_setfd(&listener, FdFlags::empty()).context("passing the listener on")?;
    let signals = match arguments.on_term {
        OnTerm::Forward | OnTerm::Exit => Some(on_signal()?),
        _ => None,
    };
    let mut children = Vec::new();
    for _ in 0..arguments.workers {
        children.push(start_worker(&listener, arguments.worker_on_term)?);
    }
    drop(listener);
    if let Some(mut signals) = signals
        && signals.read(&mut [0]).context("waiting for a signal")? > 0
    {
        if arguments.on_term == OnTerm::Exit {
            // Leaves its children behind.
            return Ok(());
        }
        say("forwarding");
        for child in &children {
            let child = Pid::from_raw(child.id() as i32).context("a child without an id")?;
            kill_process(child, Signal::TERM).context("forwarding SIGTERM")?;
        }
    }
    for mut child in children {
        child.wait().context("waiting for a child")?;
    }
    Ok(())
}

fn start_worker(listener: &OwnedFd, on_term: OnTerm) -> Result<Child> {
    let program = std::env::current_exe().context("finding this program")?;
    let on_term = on_term.to_possible_value().context("an option without a name")?;
    let mut command = Command::new(program);
    command.args(["server", "--on-term", on_term.get_name(), "--listen-fd"]);
    command.arg(listener.as_raw_fd().to_string()).spawn().context("starting a child")
}
