//! The service in its surroundings, as a container runtime would start it: a cgroup, and PID 1 of a PID namespace.
//!
//! Invariant: whatever becomes of us, nothing of it stays: dropping a [`Container`] kills all in it, and the
//! [`Ground`] has a guard for the case that we cannot even do that.

mod capability;
mod ground;
mod network;
mod output;
pub mod tree;

pub use capability::check as check_capabilities;
pub use ground::{Ground, guard};
pub use network::enter_own as enter_own_network;
pub use output::Output;

use super::options::Plan;
use crate::exit::{Exit, Failure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal, setsid};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use tokio::sync::watch;

/// The service, running or ended.
#[derive(Debug)]
pub struct Container {
    directory: PathBuf,
    main: u32,
    handle: OwnedFd,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// What it prints.
    pub output: Output,
}

/// What the thread that starts the process tells us.
type Started = io::Result<(u32, OwnedFd)>;

impl Container {
    /// Starts the service in a new cgroup of this name.
    ///
    /// # Errors
    /// [`Exit::NotMeasured`] where it cannot be started, with the reason.
    pub fn start(ground: &Ground, name: &str, plan: &Plan) -> Result<Self, Failure> {
        let directory = ground.directory().join(name);
        fs::create_dir(&directory).map_err(|error| cannot("make its cgroup", &error))?;
        let started = Self::start_in(directory.clone(), plan);
        started.map_err(|error| {
            let _ = tree::remove(&directory);
            let program = plan.args.command.first().map(|word| word.to_string_lossy()).unwrap_or_default();
            cannot(&format!("start {program}"), &error)
        })
    }

    fn start_in(directory: PathBuf, plan: &Plan) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = command(plan, writer)?;
        let entrance = File::options().write(true).open(directory.join("cgroup.procs"))?;
        let as_init = !plan.args.no_pid_namespace;
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor locks.
        unsafe { command.pre_exec(move || enter(&entrance, as_init)) };
        let (tell, told) = mpsc::channel();
        let (end, ended) = watch::channel(None);
        thread::Builder::new().name("container".into()).spawn(move || keep(command, as_init, &tell, &end))?;
        let (main, handle) = told.recv().map_err(io::Error::other)??;
        let output = Output::read(reader, plan.args.show_output)?;
        Ok(Self { directory, main, handle, ended, output })
    }

    /// Its cgroup's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process that was started, as our PID namespace numbers it.
    pub fn main(&self) -> u32 {
        self.main
    }

    /// A handle by which another thread can signal it.
    ///
    /// # Errors
    /// As for dup(2).
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.handle.try_clone()
    }

    /// How the main process ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Ready when the main process has ended.
    pub async fn ended(&self) {
        let mut ended = self.ended.clone();
        // The thread that waits for the process says how it ended before it goes.
        let _ = ended.wait_for(Option::is_some).await;
    }
}

/// Sends a process a signal, as a runtime does: from outside. One that is gone gets none.
///
/// # Errors
/// As for pidfd_send_signal(2).
pub fn send_signal(process: &OwnedFd, signal: u32) -> io::Result<()> {
    // rustix sends no real-time signal, but systemd in a container is stopped by one.
    // SAFETY: the descriptor is open for as long as it is borrowed, and no siginfo is given.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match io::Error::last_os_error() {
        _ if outcome == 0 => Ok(()),
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.directory) {
            eprintln!("shutdown-probe: {} is left behind: {error}", self.directory.display());
        }
    }
}

fn command(plan: &Plan, output: io::PipeWriter) -> io::Result<Command> {
    let (program, arguments) = plan.args.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(plan.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// Starts the process and waits for it. The thread lives as long as the process: the death signal that this asks
/// for comes when the *thread* ends that made the process, and only its next children are in a new PID namespace.
fn keep(
    mut command: Command,
    as_init: bool,
    tell: &mpsc::Sender<Started>,
    end: &watch::Sender<Option<ExitStatus>>,
) {
    let started = spawn(&mut command, as_init);
    // It holds the writing ends of the output.
    drop(command);
    let (mut child, started) = match started {
        Ok((child, handle)) => (Some(child.id()).zip(Some(child)), Ok(handle)),
        Err(error) => (None, Err(error)),
    };
    let id = child.as_ref().map(|(id, _)| *id).unwrap_or_default();
    let _ = tell.send(started.map(|handle| (id, handle)));
    if let Some((_, child)) = &mut child {
        // A child that can be waited for is waited for once: here.
        let status = child.wait().unwrap_or_default();
        let _ = end.send(Some(status));
    }
}

fn spawn(command: &mut Command, as_init: bool) -> io::Result<(Child, OwnedFd)> {
    if as_init {
        // SAFETY: only the PID namespace of this thread's children changes; no file descriptor does.
        unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?;
    }
    let child = command.spawn()?;
    let id = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    Ok((child, pidfd_open(id, PidfdFlags::empty())?))
}

/// Runs in the child, between fork and exec.
fn enter(entrance: &File, as_init: bool) -> io::Result<()> {
    // A session of its own: Ctrl-C at the terminal is for us, who then stop it in order.
    setsid()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::io::write(entrance, b"0")? != 1 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    if as_init {
        // SAFETY: the child has one thread, and only its mounts become its own.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount(c"proc", c"/proc", c"proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    }
    Ok(())
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such program".to_owned(),
        io::ErrorKind::PermissionDenied => format!("{error}; is it executable, and are we root?"),
        _ => error.to_string(),
    };
    Failure::new(Exit::NotMeasured, format!("cannot {what}: {reason}"))
}
