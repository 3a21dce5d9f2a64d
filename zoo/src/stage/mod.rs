//! Where a case is played: containers, clients, and one loop that watches them all.
//!
//! Invariant: nothing here waits for time where it can wait for an event; every wait has a limit and
//! says what it waited for.

mod container;
mod curtain;
mod gate;
mod others;
mod pump;
mod roles;
mod run;
mod table;

pub use curtain::{Played, PlayedClient, PlayedContainer, PlayedRun};
pub use roles::{NEVER, Work, slow};
pub use run::{AMPLE, Run, Stop};

use crate::cgroup::Ground;
use crate::client::{Client, Script, Security, Target};
use crate::expect::Expected;
use crate::log::Log;
use crate::namespace::Network;
use crate::port::Ports;
use crate::process::Process;
use crate::tool::ToolBox;
use anyhow::{Context, Result};
use container::Container;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long anything may take that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What all cases share.
#[derive(Debug)]
pub struct Shared {
    /// Where containers are made.
    pub ground: Ground,
    /// Ports for servers and clients.
    pub ports: Arc<Ports>,
    /// Where the programs are.
    pub tools: ToolBox,
    /// Set by Ctrl-C: every case ends as soon as it can.
    pub interrupted: Arc<AtomicBool>,
}

impl Shared {
    /// The same in another place, for another daemon.
    pub fn beside(&self, name: &str) -> Result<Self> {
        Ok(Self {
            ground: Ground::make_another(name)?,
            ports: Arc::clone(&self.ports),
            tools: self.tools.clone(),
            interrupted: Arc::clone(&self.interrupted),
        })
    }
}

/// A server's one life in a container: from start to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId {
    container: usize,
    run: usize,
}

/// One client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(usize);

/// One case being played.
#[derive(Debug)]
pub struct Stage<'a> {
    shared: &'a Shared,
    name: &'static str,
    containers: Vec<Container>,
    clients: Vec<(RunId, Client)>,
    /// Processes outside every container, such as upstreams.
    outside: Vec<Process>,
    /// Those of them that are clients.
    others: Vec<others::Other>,
    /// This case's files.
    directory: PathBuf,
}

impl<'a> Stage<'a> {
    /// An empty stage.
    pub fn new(shared: &'a Shared, name: &'static str) -> Result<Self> {
        let directory = shared.tools.home.join("cases").join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)
                .with_context(|| format!("removing {}", directory.display()))?;
        }
        std::fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
        let (containers, clients) = (Vec::new(), Vec::new());
        let (outside, others) = (Vec::new(), Vec::new());
        Ok(Self { shared, name, containers, clients, outside, others, directory })
    }

    /// Where the programs are.
    pub fn tools(&self) -> &'a ToolBox {
        &self.shared.tools
    }

    /// A port to listen on that nobody has.
    pub fn free_port(&self) -> Result<u16> {
        self.shared.ports.server()
    }

    /// A network namespace for this case.
    pub fn network(&self) -> Result<Arc<Network>> {
        Ok(Arc::new(Network::make()?))
    }

    /// A file of this case's own that servers may serve as `/files/NAME`: zeros, which take no space.
    pub fn file(&self, name: &str, bytes: u64) -> Result<()> {
        let files = self.directory.join("files");
        std::fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        let file = std::fs::File::create(files.join(name)).with_context(|| format!("making {name}"))?;
        file.set_len(bytes).with_context(|| format!("making {name} {bytes} bytes long"))
    }

    /// Whether the user wants the zoo to end.
    fn is_interrupted(&self) -> bool {
        self.shared.interrupted.load(Ordering::Relaxed)
    }

    fn run(&self, id: RunId) -> &Run {
        &self.containers[id.container].runs[id.run]
    }

    fn run_mut(&mut self, id: RunId) -> &mut Run {
        &mut self.containers[id.container].runs[id.run]
    }

    /// What this server says.
    pub fn log(&self, server: RunId) -> &Log {
        self.run(server).log()
    }

    /// What a client of this server connects to.
    pub fn target(&self, server: RunId) -> Target {
        let run = self.run(server);
        let security = run.certificate().map(Security::new);
        Target { network: run.network(), security, ..Target::new(run.address()) }
    }

    /// A client of this server that plays a script.
    pub fn open(&mut self, server: RunId, script: Script) -> ClientId {
        self.open_to(server, self.target(server), script)
    }

    /// A client that connects elsewhere, but is counted with this server.
    pub fn open_to(&mut self, server: RunId, target: Target, script: Script) -> ClientId {
        self.clients.push((server, Client::new(target, script)));
        ClientId(self.clients.len() - 1)
    }

    /// The client itself.
    pub fn client(&self, id: ClientId) -> &Client {
        &self.clients[id.0].1
    }

    /// The same, to give it more to do.
    pub fn client_mut(&mut self, id: ClientId) -> &mut Client {
        &mut self.clients[id.0].1
    }

    /// How often some server of this case has said that it read a request of this client.
    pub fn reads(&self, id: ClientId) -> usize {
        let port = self.client(id).record().port;
        self.logs().map(|log| log.reads(port)).sum()
    }

    /// Says what the daemon is to find about this run.
    pub fn expect(&mut self, server: RunId, expected: Expected) {
        self.run_mut(server).expected = Some(expected);
    }
}
