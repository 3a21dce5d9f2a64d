//! The end of a case: what was played, as plain data for the judge.

use super::{Run, RunId, Stage};
use crate::client::Seen;
use crate::expect::Expected;
use crate::framing::{self, Framing};
use crate::truth::{LINGER, Said, Window, fates};
use anyhow::{Context, Result};
use rustix::process::Signal;
use shutdown_probe_common::fate::Fate;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

/// A whole case.
#[derive(Debug)]
pub struct Played {
    /// Its containers.
    pub containers: Vec<PlayedContainer>,
}

/// A container.
#[derive(Debug)]
pub struct PlayedContainer {
    /// Its cgroup, below the v2 root.
    pub path: String,
    /// The servers that lived in it, one after another.
    pub runs: Vec<PlayedRun>,
}

/// A server's one life.
#[derive(Debug)]
pub struct PlayedRun {
    /// When it ended.
    pub window: Window,
    /// The stop signal that was sent.
    pub stop_signal: Option<&'static str>,
    /// Whether the main process got SIGKILL from outside.
    pub killed: bool,
    /// Whether others of the container were killed once the main process was gone.
    pub rest_killed: bool,
    /// The main process's exit status.
    pub code: Option<i32>,
    /// The signal that ended the main process.
    pub signal: Option<i32>,
    /// What the case says.
    pub expected: Expected,
    /// What the clients say.
    pub clients: Vec<PlayedClient>,
}

/// What became of one client.
#[derive(Clone, Debug)]
pub struct PlayedClient {
    /// Its address and port.
    pub peer: String,
    /// When its connection ended, if it did.
    pub ended: Option<Instant>,
    /// The fates of which the daemon may find one. None: no part of the termination.
    pub fates: Vec<Fate>,
    /// What it knows of framing.
    pub framing: Framing,
    /// Whether it came after the end had begun and before the linger was over.
    pub late: bool,
}

impl Stage<'_> {
    /// Ends the case.
    pub fn finish(mut self) -> Result<Played> {
        for (_, client) in &mut self.clients {
            client.hang_up();
        }
        let containers = (0..self.containers.len()).map(|container| self.played_container(container));
        Ok(Played { containers: containers.collect::<Result<_>>()? })
    }

    /// The last lines of every log and the first clients, for a reader who wants to know what
    /// went wrong.
    pub fn last_words(&self) -> Vec<String> {
        let last = |lines: &[String]| lines[lines.len().saturating_sub(12)..].to_vec();
        let clients = self.clients.iter().take(12).map(|(_, client)| format!("{:?}", client.record()));
        self.logs().flat_map(|log| last(log.lines())).chain(clients).collect()
    }

    fn played_container(&self, container: usize) -> Result<PlayedContainer> {
        let stage = &self.containers[container];
        let runs = (0..stage.runs.len()).map(|run| self.played_run(RunId { container, run }));
        Ok(PlayedContainer {
            path: self.shared.ground.container_path(&stage.name),
            runs: runs.collect::<Result<_>>()?,
        })
    }

    fn played_run(&self, id: RunId) -> Result<PlayedRun> {
        let run = self.run(id);
        let window = run.window().context("a server was never stopped")?;
        let expected = run.expected.clone().context("nothing is expected of a server")?;
        let status = run.status.context("a server's exit status is unknown")?;
        let own = self.clients.iter().filter(|(server, _)| *server == id).map(|(_, client)| client.seen());
        let clients =
            own.chain(self.seen_by_others(id)).map(|seen| self.played_client(run, &expected, window, seen));
        let clients = clients.collect();
        Ok(PlayedRun {
            window,
            stop_signal: run.stop.map(|(stop, _)| signal_name(stop.signal)),
            killed: run.killed.is_some(),
            rest_killed: run.rest_killed,
            code: status.code(),
            signal: status.signal(),
            clients,
            expected,
        })
    }

    fn played_client(&self, run: &Run, expected: &Expected, window: Window, seen: Seen<'_>) -> PlayedClient {
        let Seen { record, target, .. } = &seen;
        let mut construction = expected.construction;
        construction.opaque |= target.multipath;
        construction.hostile |= seen.hostile;
        // A knock at a port of nobody's is no business of the server's.
        let knocked_here = target.address.port() == run.address().port();
        let came = record.started.filter(|_| knocked_here);
        let fates =
            came.map_or_else(Vec::new, |_| fates(record, self.said(record.port), window, construction));
        PlayedClient {
            peer: SocketAddr::new(target.address.ip(), record.port).to_string(),
            ended: record.end.map(|(at, _)| at),
            fates,
            framing: framing::of(&seen),
            late: came.is_some_and(|at| at >= window.begin && at <= window.gone + LINGER),
        }
    }

    fn said(&self, port: u16) -> Said {
        let answers = || self.logs().filter_map(|log| log.answers(port));
        Said {
            reads: self.logs().map(|log| log.reads(port)).sum(),
            answers: answers().map(|(count, _)| count).sum(),
            answered: answers().map(|(_, at)| at).max(),
        }
    }
}

fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::TERM => "SIGTERM",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::KILL => "SIGKILL",
        Signal::USR1 => "SIGUSR1",
        _ => "another signal",
    }
}
