//! A server's one life: its main process, how it was told to stop, how it ended.

use super::{PATIENCE, RunId, Stage};
use crate::cgroup::Group;
use crate::expect::Expected;
use crate::log::Log;
use crate::namespace::Network;
use crate::process::Process;
use crate::truth::Window;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// On loopback an end is seen at once. Whoever has seen none after so many rounds, each of which took
/// all that was there, has nobody to end the connection. Rounds, since a slow machine may pass over time.
const QUIET_ROUNDS: u32 = 15;
const ROUND: Duration = Duration::from_millis(20);

/// How a runtime stops a container.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Sent to the main process first.
    pub signal: Signal,
    /// How long it may take before SIGKILL.
    pub grace: Duration,
}

/// For servers that end in time: how long they take is not the question, on however slow a machine.
pub const AMPLE: Stop = Stop::term(Duration::from_secs(15));

impl Stop {
    /// SIGTERM.
    pub const fn term(grace: Duration) -> Self {
        Self { signal: Signal::TERM, grace }
    }
}

/// A server's one life.
#[derive(Debug)]
pub struct Run {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    pub(super) network: Option<Arc<Network>>,
    /// The certificate it shows, where it speaks TLS.
    pub(super) certificate: Option<PathBuf>,
    /// The v1 cgroup that limits its memory.
    pub(super) _limit: Option<Group>,
    pub(super) stop: Option<(Stop, Instant)>,
    pub(super) killed: Option<Instant>,
    /// When the scene had come so far that the server would end by itself.
    pub(super) ending: Option<Instant>,
    /// When the main process was seen to have exited.
    pub(super) main_exited: Option<Instant>,
    /// When nobody of the container was left.
    pub(super) gone: Option<Instant>,
    /// Whether the runtime had to kill others once the main process was gone.
    pub(super) rest_killed: bool,
    /// Whether requests that were to wait for the stop are answered.
    pub(super) gate_is_open: bool,
    pub(super) status: Option<ExitStatus>,
    pub(super) expected: Option<Expected>,
}

impl Run {
    /// A run whose main process has just been started.
    pub fn new(
        process: Process,
        address: SocketAddr,
        network: Option<Arc<Network>>,
        certificate: Option<PathBuf>,
        limit: Option<Group>,
    ) -> Self {
        Self {
            process,
            address,
            network,
            certificate,
            _limit: limit,
            stop: None,
            killed: None,
            ending: None,
            main_exited: None,
            gone: None,
            rest_killed: false,
            gate_is_open: false,
            status: None,
            expected: None,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The network namespace it lives in; `None`: the host's.
    pub fn network(&self) -> Option<Arc<Network>> {
        self.network.clone()
    }

    /// The certificate it shows, where it speaks TLS.
    pub fn certificate(&self) -> Option<PathBuf> {
        self.certificate.clone()
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        &self.process.log
    }

    /// Notes the exit of the main process, if it has exited.
    pub(super) fn look(&mut self) -> Result<()> {
        if self.main_exited.is_none()
            && let Some(status) = self.process.try_wait()?
        {
            self.main_exited = Some(Instant::now());
            self.status = Some(status);
        }
        Ok(())
    }

    /// When its end began, and when it was over.
    pub(super) fn window(&self) -> Option<Window> {
        let begin = self.stop.map(|(_, at)| at).or(self.killed).or(self.ending)?;
        Some(Window { begin, gone: self.gone? })
    }
}

impl Stage<'_> {
    /// The container is stopped as a runtime does it; then everybody sees what becomes of them.
    pub fn stop(&mut self, server: RunId, stop: Stop) -> Result<()> {
        self.send_stop_signal(server, stop)?;
        self.finish_stop(server)
    }

    /// Sends the stop signal and goes on at once.
    pub fn send_stop_signal(&mut self, server: RunId, stop: Stop) -> Result<()> {
        let run = self.run_mut(server);
        ensure!(run.status.is_none(), "the server had exited before it was told to");
        run.stop = Some((stop, Instant::now()));
        run.process.signal(stop.signal)?;
        let at = Instant::now();
        self.schedule_after_stop(server, at);
        Ok(())
    }

    /// Waits for the end of the grace period, at most, and kills what is left.
    pub fn finish_stop(&mut self, server: RunId) -> Result<()> {
        let (stop, at) = self.run(server).stop.context("no stop signal was sent")?;
        if !self.pump_until(at + stop.grace, |stage| stage.run(server).main_exited.is_some())? {
            return self.kill(server);
        }
        self.bury(server)
    }

    /// SIGKILL to the main process.
    pub fn kill(&mut self, server: RunId) -> Result<()> {
        let run = self.run_mut(server);
        let unannounced = run.stop.is_none();
        run.killed = Some(Instant::now());
        run.process.signal(Signal::KILL)?;
        if unannounced {
            self.schedule_after_stop(server, Instant::now());
        }
        self.await_exit(server)
    }

    /// Waits until the server ends, by itself unless it was killed. A process that dies closes its
    /// sockets before anybody learns of its exit, so the end is taken to begin with this call.
    pub fn await_exit(&mut self, server: RunId) -> Result<()> {
        self.run_mut(server).ending = Some(Instant::now());
        self.wait_for("the exit of the server", |stage| stage.run(server).main_exited.is_some())?;
        self.bury(server)
    }

    /// What a runtime does once the main process is gone: the rest is killed, the cgroup removed.
    fn bury(&mut self, server: RunId) -> Result<()> {
        self.containers[server.container].empty(server.run)?;
        let gone = self.run(server).gone.context("the container is not empty")?;
        self.schedule_after_exit(server, gone);
        self.settle(server)
    }

    /// Waits until each client of this server has seen its connection end, or is waiting in vain.
    fn settle(&mut self, server: RunId) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut quiet = 0;
        let mut open = usize::MAX;
        loop {
            self.pump(Instant::now() + ROUND)?;
            let of_this = || self.clients.iter().filter(|(run, _)| *run == server).map(|(_, client)| client);
            let own = of_this().filter(|client| client.is_due() && !client.has_ended()).count();
            let others = self.seen_by_others(server).filter(|seen| seen.record.end.is_none()).count();
            let now_open = own + others;
            let waiting = of_this().any(|client| client.wakes_at().is_some());
            quiet = if now_open != open || waiting { 0 } else { quiet + 1 };
            open = now_open;
            if open == 0 && !waiting || quiet == QUIET_ROUNDS {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{open} clients have not settled");
            }
        }
    }
}
