//! The daemon that is measured.

use super::arena::Arena;
use super::http;
use super::kernel_objects::{self, Held};
use super::process::Process;
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the daemon follows what connections say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    On,
    Off,
}

impl Framing {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::On => &[],
            Self::Off => &["--protocols", "none"],
        }
    }
}

/// A running daemon whose programs are attached, and which is no container itself.
#[derive(Debug)]
pub struct Daemon {
    pub process: Process,
    address: SocketAddr,
}

impl Daemon {
    /// # Errors
    /// When it is not ready within a few seconds; with what it logged.
    pub fn start(arena: &Arena, framing: Framing) -> Result<Self> {
        let address = http::free_address()?;
        let log = arena.directory().join("daemon.log");
        let mut command = arena.command(&arena.daemon_program, &arena.outside())?;
        command.args(["run", "--standalone", "--linger", "1s", "--listen", &address.to_string()]);
        command.arg("--watch-cgroup").arg(arena.watched()).args(framing.arguments());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let mut daemon = Self { process: Process::start("shutdown-probe", &mut command)?, address };
        daemon.wait().with_context(|| format!("the daemon said: {}", logged(&log)))?;
        Ok(daemon)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.process.check()?;
            let Err(error) = http::get(self.address, "/readyz") else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(error.context("the daemon is not ready"));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// # Errors
    /// When it does not answer.
    pub fn scrape(&self) -> Result<String> {
        http::get(self.address, "/metrics")
    }

    /// Its programs, maps and links.
    ///
    /// # Errors
    /// When it has none.
    pub fn held(&self) -> Result<Held> {
        let held = kernel_objects::held_by(self.process.id())?;
        ensure!(!held.programs.is_empty(), "the daemon holds no eBPF programs");
        Ok(held)
    }

    /// # Errors
    /// When it had ended before.
    pub fn end(self, signal: Signal) -> Result<ExitStatus> {
        self.process.end(signal)
    }
}

fn logged(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}
