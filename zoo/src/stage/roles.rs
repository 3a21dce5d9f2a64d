//! The parts that clients play. Each returns once the scene is set: the server has read what it is
//! to have read, the client has received what it is to have received.

use super::{ClientId, RunId, Stage, table};
use crate::client::{Script, Start, Step, get};
use anyhow::Result;
use std::time::Duration;

/// Longer than any case lasts, in milliseconds: such a request is never answered in time.
pub const NEVER: u64 = 600_000;

/// A request whose answer takes so many milliseconds.
pub fn slow(milliseconds: u64) -> Step {
    get(&format!("/slow?ms={milliseconds}"))
}

/// How long the server works on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Longer than the case lasts.
    Endless,
    /// Until a moment after its container got the stop signal, whenever that is.
    UntilStop,
}

impl Stage<'_> {
    /// Clients whose request the server has read and works on.
    pub fn in_flight(&mut self, server: RunId, count: usize, work: Work) -> Result<Vec<ClientId>> {
        let request = match work {
            Work::Endless => slow(NEVER),
            Work::UntilStop => get(&format!("/slow?gate={}", self.gate(server))),
        };
        let clients: Vec<_> =
            (0..count).map(|_| self.open(server, Script::now(vec![request.clone()]))).collect();
        self.wait_until_read(&clients, 1)?;
        Ok(clients)
    }

    /// Clients with a kept-alive connection on which one request was answered.
    pub fn idle(&mut self, server: RunId, count: usize) -> Result<Vec<ClientId>> {
        self.after_answer(server, count, vec![])
    }

    /// Clients that go on with these steps after one answered request.
    pub fn after_answer(&mut self, server: RunId, count: usize, steps: Vec<Step>) -> Result<Vec<ClientId>> {
        let script = || Script::now([vec![get("/"), Step::AwaitAnswers], steps.clone()].concat());
        let clients: Vec<_> = (0..count).map(|_| self.open(server, script())).collect();
        self.wait_until_answered(&clients)?;
        Ok(clients)
    }

    /// Clients that connect and never send anything.
    pub fn silent(&mut self, server: RunId, count: usize) -> Result<Vec<ClientId>> {
        let clients: Vec<_> = (0..count).map(|_| self.open(server, Script::now(vec![]))).collect();
        self.wait_for("silent clients to connect", |stage| {
            clients.iter().all(|id| stage.client(*id).record().connected.is_some())
        })?;
        Ok(clients)
    }

    /// A client that comes at each of these moments, with a request answered at once.
    pub fn late(&mut self, server: RunId, starts: impl IntoIterator<Item = Start>) -> Vec<ClientId> {
        starts.into_iter().map(|start| self.open(server, Script::at(start, vec![get("/")]))).collect()
    }

    /// Clients that come so many milliseconds after the last process has exited.
    pub fn after_exit(&mut self, server: RunId, milliseconds: &[u64]) -> Vec<ClientId> {
        let starts = milliseconds.iter().map(|time| Start::AfterExit(Duration::from_millis(*time)));
        self.late(server, starts)
    }

    /// Clients that come so many milliseconds after the stop signal.
    pub fn after_stop(&mut self, server: RunId, milliseconds: &[u64]) -> Vec<ClientId> {
        let starts = milliseconds.iter().map(|time| Start::AfterStop(Duration::from_millis(*time)));
        self.late(server, starts)
    }

    /// Waits until the server has read so many requests of each of these clients.
    pub fn wait_until_read(&mut self, clients: &[ClientId], requests: usize) -> Result<()> {
        self.wait_for("the server to read the requests", |stage| {
            clients.iter().all(|id| stage.client(*id).record().port != 0 && stage.reads(*id) >= requests)
        })
    }

    /// Waits until each of these clients has an answer to everything it asked.
    pub fn wait_until_answered(&mut self, clients: &[ClientId]) -> Result<()> {
        self.wait_for("answers", |stage| {
            clients.iter().all(|id| {
                let record = stage.client(*id).record();
                record.answered > 0 && record.outstanding() == 0
            })
        })
    }

    /// Waits until each of these clients has played its script.
    pub fn wait_until_played(&mut self, clients: &[ClientId]) -> Result<()> {
        self.wait_for("the clients to play their parts", |stage| {
            clients.iter().all(|id| stage.client(*id).has_played() || stage.client(*id).has_ended())
        })
    }

    /// Waits until each of these clients has played its script, and both sides have read everything.
    pub fn wait_until_taken(&mut self, server: RunId, clients: &[ClientId]) -> Result<()> {
        self.wait_until_played(clients)?;
        let ports: Vec<_> = clients.iter().map(|id| self.client(*id).record().port).collect();
        self.wait_until_quiet(server, &ports)
    }

    /// Waits until nothing is on its way between the server and these ports.
    pub fn wait_until_quiet(&mut self, server: RunId, ports: &[u16]) -> Result<()> {
        self.wait_for("both sides to read everything", |stage| {
            let run = stage.run(server);
            let (process, listener) = (run.process.id(), run.address().port());
            !ports.iter().any(|port| table::is_on_its_way(process, listener, *port))
        })
    }

    /// Waits until the server says this of each of these clients.
    pub fn wait_until_said(&mut self, server: RunId, word: &str, clients: &[ClientId]) -> Result<()> {
        self.wait_for(&format!("the server to say {word:?}"), |stage| {
            clients.iter().all(|id| {
                let port = stage.client(*id).record().port;
                port != 0 && stage.run(server).log().says(&format!("{word} {port}"))
            })
        })
    }
}
