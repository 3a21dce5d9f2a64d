//! The parts that clients play. Each returns once the scene is set: the server has read what it is to have read, the
//! client has received what it is to have received.

use super::{ClientId, LifeId, Stage};
use anyhow::Result;
use std::time::Duration;
use zoo::client::{Script, Start, Step, get};

/// Longer than any case lasts, in milliseconds: such a request is never answered in time.
const NEVER: u64 = 600_000;

/// How long the server works on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Longer than the case lasts.
    Endless,
    /// Until this gate is opened.
    Until(String),
}

impl Stage<'_> {
    /// A gate of its own: requests wait for it.
    pub fn gate(&mut self) -> Work {
        self.gates += 1;
        Work::Until(format!("gate-{}", self.gates))
    }

    /// Lets the requests go on that wait for it in this pod.
    pub fn open_gate(&mut self, life: LifeId, gate: &Work) -> Result<()> {
        let Work::Until(name) = gate else { return Ok(()) };
        let (pod, container) = (self.life(life).pod.name.clone(), self.life(life).container.clone());
        let path = format!("/gates/{name}");
        self.kubectl.run(&["exec", &pod, "--container", &container, "--", "touch", &path]).map(|_| ())
    }

    /// Clients whose request the server has read and works on.
    pub fn in_flight(&mut self, life: LifeId, count: usize, work: &Work) -> Result<Vec<ClientId>> {
        let request = match work {
            Work::Endless => get(&format!("/slow?ms={NEVER}")),
            Work::Until(gate) => get(&format!("/slow?gate={gate}")),
        };
        let script = || Script::now(vec![request.clone()]);
        let clients = (0..count).map(|_| self.open(life, script())).collect::<Result<Vec<_>>>()?;
        self.wait_for("the server to read the requests", |stage| {
            clients.iter().all(|id| {
                let port = stage.client(*id).record().port;
                port != 0 && stage.said(port).reads > 0
            })
        })?;
        Ok(clients)
    }

    /// Clients with a kept-alive connection on which one request was answered.
    pub fn idle(&mut self, life: LifeId, count: usize) -> Result<Vec<ClientId>> {
        let script = || Script::now(vec![get("/"), Step::AwaitAnswers]);
        let clients = (0..count).map(|_| self.open(life, script())).collect::<Result<Vec<_>>>()?;
        self.wait_for("answers", |stage| clients.iter().all(|id| stage.client(*id).record().answered > 0))?;
        Ok(clients)
    }

    /// Clients that come as soon as the container says this.
    pub fn after_line(&mut self, life: LifeId, count: usize, line: &'static str) -> Result<Vec<ClientId>> {
        let script = || Script::at(Start::AfterLine(line), vec![get("/")]);
        (0..count).map(|_| self.open(life, script())).collect()
    }

    /// A client that comes so long after the container's end.
    pub fn after_exit(&mut self, life: LifeId, delay: Duration) -> Result<ClientId> {
        self.open(life, Script::at(Start::AfterExit(delay), vec![get("/")]))
    }
}
