//! Who looks on while the server works: nobody, the daemon, or one of its peers.

use super::arena::Arena;
use super::daemon::{Daemon, Framing};
use super::kernel_objects;
use super::process::Process;
use anyhow::{Result, bail};
use rustix::process::Signal;
use serde::Serialize;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Between the loading of its programs and their being attached, and after.
const SETTLE: Duration = Duration::from_secs(1);
/// Between the end of an observer and the next measurement.
const CALM: Duration = Duration::from_millis(300);

/// What peers take for granted, made in a mount namespace that ends with them.
const WITH_TRACEFS: &str = "\
grep -q ' /sys/kernel/tracing tracefs ' /proc/mounts || mount -t tracefs none /sys/kernel/tracing
grep -q ' /sys/kernel/debug debugfs ' /proc/mounts || mount -t debugfs none /sys/kernel/debug
exec \"$@\"";

/// As near to the daemon's two busy hooks as a one-liner gets.
const COUNT_TWO: &str = "\
tracepoint:sock:inet_sock_set_state { @states = count(); }
tracepoint:tcp:tcp_rcv_space_adjust { @reads = count(); }";
const EMPTY: &str = "tracepoint:tcp:tcp_rcv_space_adjust { }";

/// `Nothing` is the control: what two equal measurements differ by is noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    Nothing,
    Daemon,
    /// Without framing.
    DaemonOfBytes,
    Bpftrace,
    Tcplife,
    Tcpstates,
}

impl Observer {
    pub const ALL: [Self; 6] =
        [Self::Nothing, Self::Daemon, Self::DaemonOfBytes, Self::Bpftrace, Self::Tcplife, Self::Tcpstates];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing (control)",
            Self::Daemon => "shutdown-probe",
            Self::DaemonOfBytes => "the same, --protocols none",
            Self::Bpftrace => "bpftrace, two counters",
            Self::Tcplife => "tcplife",
            Self::Tcpstates => "tcpstates",
        }
    }

    pub fn is_peer(self) -> bool {
        !matches!(self, Self::Nothing | Self::Daemon | Self::DaemonOfBytes)
    }

    /// What has to be installed for it.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Daemon | Self::DaemonOfBytes => None,
            Self::Bpftrace => Some("bpftrace"),
            Self::Tcplife => Some("tcplife"),
            Self::Tcpstates => Some("tcpstates"),
        }
    }

    pub fn is_installed(self, arena: &Arena) -> bool {
        self.program().is_none_or(|program| arena.has(program))
    }

    /// Returns when it sees everything.
    ///
    /// # Errors
    /// When it does not start.
    pub fn attach(self, arena: &Arena) -> Result<Attached> {
        match self {
            Self::Nothing => Ok(Attached::Nothing),
            Self::Daemon => daemon(arena, Framing::On),
            Self::DaemonOfBytes => daemon(arena, Framing::Off),
            Self::Bpftrace => peer(arena, &["bpftrace", "-e", COUNT_TWO]),
            Self::Tcplife | Self::Tcpstates => peer(arena, &[self.program().unwrap_or_default()]),
        }
    }
}

fn daemon(arena: &Arena, framing: Framing) -> Result<Attached> {
    let daemon = Daemon::start(arena, framing)?;
    sleep(SETTLE);
    Ok(Attached::Daemon(daemon))
}

/// The cheapest program there can be, at the hook that runs most: what is measured of it is the price of
/// measuring. Nothing: there is no bpftrace to make it.
pub fn attach_empty(arena: &Arena) -> Result<Option<Process>> {
    if !Observer::Bpftrace.is_installed(arena) {
        return Ok(None);
    }
    start(arena, &["bpftrace", "-e", EMPTY]).map(Some)
}

fn peer(arena: &Arena, words: &[&str]) -> Result<Attached> {
    start(arena, words).map(Attached::Peer)
}

fn start(arena: &Arena, words: &[&str]) -> Result<Process> {
    let mut command: Command = arena.command("unshare", &arena.outside())?;
    command.args(["--mount", "--", "sh", "-c", WITH_TRACEFS, "sh"]).args(words);
    let mut process = Process::start(words[0], command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let deadline = Instant::now() + PATIENCE;
    while kernel_objects::held_by(process.id())?.programs.is_empty() {
        process.check()?;
        if Instant::now() > deadline {
            bail!("{} loads no eBPF program", words[0]);
        }
        sleep(Duration::from_millis(20));
    }
    sleep(SETTLE);
    process.check()?;
    Ok(process)
}

/// An observer at work.
#[derive(Debug)]
pub enum Attached {
    Nothing,
    Daemon(Daemon),
    Peer(Process),
}

impl Attached {
    /// Ends it. Nothing that a peer would write at its end is wanted, and a busy machine may keep it from ending on
    /// a milder signal.
    ///
    /// # Errors
    /// When it had ended by itself, so that what was measured is something else.
    pub fn detach(self) -> Result<()> {
        match self {
            Self::Nothing => return Ok(()),
            Self::Daemon(daemon) => daemon.end(Signal::TERM)?,
            Self::Peer(process) => process.end(Signal::KILL)?,
        };
        sleep(CALM);
        Ok(())
    }
}
