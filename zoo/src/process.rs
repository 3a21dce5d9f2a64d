//! Starts a process inside a container, as a runtime does: it enters the cgroup before it executes,
//! as PID 1 of a PID namespace of its own if so asked.

use crate::log::Log;
use crate::namespace::{Network, on_own_thread};
use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

/// What surrounds a process.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The cgroups it enters.
    pub entrances: Vec<File>,
    /// Whether it is PID 1 of a new PID namespace, with a /proc of its own.
    pub as_init: bool,
    /// The network namespace it enters.
    pub network: Option<Arc<Network>>,
    /// A descriptor that it inherits, under the same number.
    pub passed: Option<OwnedFd>,
}

/// A process that the zoo started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    handle: OwnedFd,
    /// What it says.
    pub log: Log,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts it; both its outputs go to the log.
    pub fn start(mut command: Command, surroundings: Surroundings) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let as_init = surroundings.as_init;
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(move || enter(&surroundings)) };
        let child = if as_init { spawn_as_init(&mut command) } else { command.spawn().map_err(Into::into) };
        let child = child.with_context(|| format!("starting {name}"))?;
        let pid = Pid::from_raw(child.id() as i32).context("a process without an id")?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
        Ok(Self { child, handle, log: Log::new(reader)?, status: None })
    }

    /// Its id in the host's namespace.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A descriptor that becomes readable when it exits; `None` once it has been reaped.
    pub fn exit_notice(&self) -> Option<&OwnedFd> {
        self.status.is_none().then_some(&self.handle)
    }

    /// Sends it a signal; one that is gone already gets none.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending {signal:?} to process {}", self.id())),
        }
    }

    /// How it ended, if it has. Reaps it.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("waiting for a process")?;
        }
        Ok(self.status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Whoever is gone needs no killing.
            let _gone = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

/// Only the next children of the thread that unshares are in the new namespace, so it is thrown away.
fn spawn_as_init(command: &mut Command) -> Result<Child> {
    on_own_thread(|| {
        // SAFETY: only the PID namespace of this thread's children changes; no file descriptor does.
        unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.context("making a PID namespace")?;
        Ok(command.spawn()?)
    })
}

/// Runs in the child, between fork and exec.
fn enter(surroundings: &Surroundings) -> Result<(), Error> {
    // A session of its own: Ctrl-C at the terminal is for the zoo, which then stops in order.
    setsid()?;
    for entrance in &surroundings.entrances {
        if rustix::io::write(entrance, b"0")? != 1 {
            return Err(Error::from(ErrorKind::WriteZero));
        }
    }
    if let Some(network) = &surroundings.network {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    }
    if surroundings.as_init {
        // SAFETY: the child has one thread, and only its mounts become its own.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount(c"proc", c"/proc", c"proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    }
    if let Some(passed) = &surroundings.passed {
        fcntl_setfd(passed, FdFlags::empty())?;
    }
    Ok(())
}
