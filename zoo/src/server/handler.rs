//! What the server does about SIGTERM: a real handler, which wakes a thread through a pipe.

use super::crowd::Crowd;
use super::{OnTerm, say};
use anyhow::{Context, Result};
use rustix::net::{Shutdown, shutdown};
use signal_hook::consts::SIGTERM;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Installs it, before the server says that it listens.
pub fn install(on_term: OnTerm, listener: &TcpListener, crowd: &Arc<Crowd>) -> Result<()> {
    let action: fn(&OwnedFd, &Crowd) = match on_term {
        OnTerm::Default | OnTerm::Forward => return Ok(()),
        OnTerm::Ignore => return ignore(),
        OnTerm::Exit => |_, _| std::process::exit(0),
        OnTerm::Drain => drain,
        OnTerm::WaitForIdle => wait_for_idle,
        OnTerm::CloseIdle => close_idle,
    };
    let mut signals = on_signal()?;
    let listener = listener.as_fd().try_clone_to_owned().context("duplicating the listener")?;
    let crowd = Arc::clone(crowd);
    std::thread::spawn(move || {
        while signals.read(&mut [0]).is_ok_and(|count| count > 0) {
            action(&listener, &crowd);
        }
    });
    Ok(())
}

/// A pipe that gets a byte for each SIGTERM.
pub fn on_signal() -> Result<std::io::PipeReader> {
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    signal_hook::low_level::pipe::register(SIGTERM, writer).context("handling SIGTERM")?;
    Ok(reader)
}

fn ignore() -> Result<()> {
    // SAFETY: SIG_IGN runs no code, so nothing can go wrong in a handler.
    let previous = unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    if previous == libc::SIG_ERR {
        return Err(std::io::Error::last_os_error()).context("ignoring SIGTERM");
    }
    Ok(())
}

/// Shutting a listener down closes it for the network at once, whoever else holds a descriptor.
fn close_listener(listener: &OwnedFd) {
    // It can fail only if it is closed already.
    let _closed = shutdown(listener, Shutdown::Both);
    say("closed");
}

fn drain(listener: &OwnedFd, crowd: &Crowd) {
    crowd.begin_draining();
    close_listener(listener);
    crowd.close_idle();
    crowd.wait_until_idle();
    std::process::exit(0);
}

fn wait_for_idle(listener: &OwnedFd, crowd: &Crowd) {
    close_listener(listener);
    crowd.wait_until_empty();
    std::process::exit(0);
}

fn close_idle(_: &OwnedFd, crowd: &Crowd) {
    crowd.close_idle();
    say("closed idle");
}
