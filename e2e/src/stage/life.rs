//! One life of a container: from its start to its end, and what the case says of it.

use super::Stage;
use crate::manifest::{APP, PORT, Workload};
use crate::watch::Pod;
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Instant;
use zoo::api::Termination;
use zoo::client::{End, Record, Seen};
use zoo::expect::{Cause, Disposition, Expected};
use zoo::framing::{self, Framing};
use zoo::log::Log;
use zoo::truth::Said;

/// Which life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeId(pub(super) usize);

/// One life of a container.
#[derive(Debug)]
pub struct Life {
    pub pod: Pod,
    pub container: String,
    /// Of the container, in this life.
    pub id: String,
    pub workload: Workload,
    pub port: u16,
    pub log: Log,
    /// The end of the log is the end of the container.
    pub log_tells: bool,
    /// What writes the log.
    follower: Child,
    /// When the case did what ends it.
    pub acted: Option<Instant>,
    /// When its end was seen.
    pub gone: Option<Instant>,
    pub ending: Option<Ending>,
}

impl Drop for Life {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.follower.kill();
        let _status = self.follower.wait();
    }
}

/// How a life ends, by design, and what the daemon is to find.
#[derive(Clone, Debug)]
pub struct Ending {
    pub expected: Expected,
    /// The signal that the runtime asks with; none where it does not ask.
    pub stop_signal: Option<&'static str>,
    /// SIGKILL came from outside.
    pub killed: bool,
    /// Others of the container were killed once its main process was gone.
    pub rest_killed: bool,
    /// The main process's own exit code, where it exits.
    pub code: Option<i32>,
    /// The signal that ends it, where it is not SIGKILL from outside.
    pub killing_signal: Option<i32>,
    /// What else the daemon must say of it, in Kubernetes; the answer is what is wrong.
    pub told: Option<fn(&Termination) -> Option<String>>,
    /// Answers that it finished meanwhile for another container of its pod, which is no client of ours.
    pub drained_within: usize,
}

impl Ending {
    /// Asked by SIGTERM, it exits with 0.
    pub fn exits(trigger: &'static str, cause: Cause) -> Self {
        Self {
            expected: Expected::new(cause).trigger(trigger),
            stop_signal: Some("SIGTERM"),
            killed: false,
            rest_killed: false,
            code: Some(0),
            killing_signal: None,
            told: None,
            drained_within: 0,
        }
    }

    /// It finishes so many answers for another container of its pod.
    pub fn serving_within(self, answers: usize) -> Self {
        Self { drained_within: answers, ..self }.finding(|found| found.drained(answers))
    }

    /// Asked by SIGTERM, it stays until SIGKILL.
    pub fn stays(trigger: &'static str, cause: Cause) -> Self {
        Self { killed: true, code: None, ..Self::exits(trigger, cause) }
    }

    /// Not asked: it ends by itself with this code.
    pub fn by_itself(trigger: &'static str, cause: Cause, code: i32) -> Self {
        Self { stop_signal: None, code: Some(code), ..Self::exits(trigger, cause) }
    }

    /// Not asked: it is killed.
    pub fn killed(trigger: &'static str, cause: Cause) -> Self {
        Self { stop_signal: None, ..Self::stays(trigger, cause) }
    }

    /// Asked by SIGTERM, that signal kills it.
    pub fn by_signal(trigger: &'static str, cause: Cause, signal: i32) -> Self {
        let killed = Self { code: None, killing_signal: Some(signal), ..Self::exits(trigger, cause) };
        killed.finding(|found| found.signal(Disposition::Default))
    }

    /// Asked by another signal than SIGTERM.
    pub fn asked_by(self, signal: &'static str) -> Self {
        Self { stop_signal: Some(signal), ..self }
    }

    /// The daemon must say this of it, too.
    pub fn telling(self, wrong: fn(&Termination) -> Option<String>) -> Self {
        Self { told: Some(wrong), ..self }
    }

    /// Others of the container end with its main process.
    pub fn with_rest_killed(self) -> Self {
        Self { rest_killed: true, ..self }
    }

    /// Adds to what the daemon is to find.
    pub fn finding(self, add: impl FnOnce(Expected) -> Expected) -> Self {
        Self { expected: add(self.expected), ..self }
    }

    /// As `kubectl get pod` shows it.
    fn shown_code(&self) -> i64 {
        const BY_SIGNAL: i64 = 128;
        self.code.map_or(BY_SIGNAL + i64::from(self.killing_signal.unwrap_or(9)), i64::from)
    }
}

/// A Service may lead its clients to another pod. Those who were refused, or reset, met the one that was ending.
fn has_met(life: &Life, seen: &Seen<'_>) -> bool {
    let reset_unread = matches!(seen.record.end, Some((_, End::Reset))) && seen.record.outstanding() > 0;
    let by_service = !life.pod.addresses.contains(&seen.target.address.ip());
    let refused = matches!(seen.record.end, Some((_, End::Refused)));
    !by_service || life.log.reads(seen.record.port) > 0 || refused || reset_unread
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Witness {
    /// Where it came from.
    pub peer: SocketAddr,
    pub record: Record,
    /// What the servers say.
    pub said: Said,
    pub framing: Framing,
}

/// A case that has been played.
#[derive(Debug)]
pub struct Played {
    pub namespace: String,
    pub lives: Vec<PlayedLife>,
}

/// A life that is over, as plain data for the judge.
#[derive(Debug)]
pub struct PlayedLife {
    pub pod: Pod,
    pub container: String,
    pub id: String,
    pub workload: Workload,
    pub acted: Instant,
    pub gone: Instant,
    pub ending: Ending,
    pub clients: Vec<Witness>,
}

impl Stage<'_> {
    /// Begins to follow a container's log.
    pub(super) fn follow(
        &mut self,
        pod: &Pod,
        container: &str,
        id: &str,
        workload: &Workload,
    ) -> Result<LifeId> {
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let mut logs = self.kubectl.command();
        logs.args(["logs", "--follow", &pod.name, "--container", container]);
        let follower = logs.stdout(writer).stderr(Stdio::null()).spawn().context("kubectl logs")?;
        self.lives.push(Life {
            pod: pod.clone(),
            container: container.to_owned(),
            id: id.to_owned(),
            workload: workload.clone(),
            port: if container == APP { PORT } else { PORT + 1 },
            log: Log::new(reader)?,
            log_tells: true,
            follower,
            acted: None,
            gone: None,
            ending: None,
        });
        Ok(LifeId(self.lives.len() - 1))
    }

    /// Ends the case. Pods and Events stay until the stage is dropped.
    pub fn finish(&mut self) -> Result<Played> {
        for (_, client) in &mut self.clients {
            client.hang_up();
        }
        let lives = (0..self.lives.len()).map(LifeId).filter(|life| self.life(*life).ending.is_some());
        let lives = lives.map(|life| self.played(life)).collect::<Result<Vec<_>>>()?;
        ensure!(!lives.is_empty(), "the case says of nothing how it ends");
        Ok(Played { namespace: self.kubectl.namespace().to_owned(), lives })
    }

    fn played(&self, id: LifeId) -> Result<PlayedLife> {
        let life = self.life(id);
        let ending = life.ending.clone().context("a life without an ending")?;
        let now = self.watch.pod(&life.pod.uid);
        // A pod that was deleted by force takes its status along.
        if let Some(code) = now.and_then(|pod| pod.exit_code(&life.id)) {
            let wanted = ending.shown_code();
            ensure!(code == wanted, "{} ended with {code}, by design {wanted}", life.pod.name);
        }
        let seen = self.clients.iter().filter(|(owner, _)| *owner == id).map(|(_, client)| client.seen());
        let clients = seen.filter(|seen| has_met(life, seen)).map(|seen| {
            let peer =
                SocketAddr::new(seen.target.source.unwrap_or(seen.target.address.ip()), seen.record.port);
            let (said, framing) = (self.said(seen.record.port), framing::of(&seen));
            Witness { peer, record: seen.record, said, framing }
        });
        Ok(PlayedLife {
            pod: life.pod.clone(),
            container: life.container.clone(),
            id: life.id.clone(),
            workload: life.workload.clone(),
            acted: life.acted.context("nothing was done to a life")?,
            gone: life.gone.context("a life was not seen to end")?,
            clients: clients.collect(),
            ending,
        })
    }

    /// What servers say of a client.
    pub(super) fn said(&self, port: u16) -> Said {
        let logs = || self.lives.iter().map(|life| &life.log);
        let answers = || logs().filter_map(|log| log.answers(port));
        Said {
            reads: logs().map(|log| log.reads(port)).sum(),
            answers: answers().map(|(count, _)| count).sum(),
            answered: answers().map(|(_, at)| at).max(),
        }
    }

    /// The last lines of every log and the first clients, for a reader who wants to know what went wrong.
    pub fn last_words(&self) -> Vec<String> {
        let logs = self.lives.iter().flat_map(|life| {
            let lines = life.log.lines();
            let last = &lines[lines.len().saturating_sub(6)..];
            last.iter()
                .map(|line| format!("{}/{}: {line}", life.pod.name, life.container))
                .collect::<Vec<_>>()
        });
        let clients = self.clients.iter().take(12).map(|(_, client)| {
            let Record { port, requests, answered, end, .. } = client.record();
            format!("client {port}: {answered} of {requests} answered, {:?}", end.map(|(_, end)| end))
        });
        logs.chain(clients).collect()
    }
}
