//! Clients that are programs of others. They run outside every container, connect from ports that the
//! zoo gives them, and say what they see.

use super::{RunId, Stage};
use crate::client::{Protocol, Record, Seen, Target, witness};
use crate::process::{Process, Surroundings};
use crate::program::Program;
use anyhow::Result;
use std::time::Duration;

/// Time enough for a library to answer a control frame by one of its own.
const PAUSE: Duration = Duration::from_millis(20);

/// Such a program, and the connections it has.
#[derive(Debug)]
pub(super) struct Other {
    server: RunId,
    /// Its place among the processes outside.
    process: usize,
    target: Target,
    protocol: Protocol,
    ports: Vec<u16>,
}

impl Stage<'_> {
    /// Ports for the connections of such a program.
    pub fn client_ports(&self, count: usize) -> Result<Vec<u16>> {
        (0..count).map(|_| self.shared.ports.free_client()).collect()
    }

    /// Starts a program that connects to this server from these ports.
    pub fn start_other(
        &mut self,
        server: RunId,
        program: &Program,
        protocol: Protocol,
        ports: &[u16],
    ) -> Result<()> {
        self.outside.push(Process::start(program.build(0, None), Surroundings::default())?);
        let (process, target) = (self.outside.len() - 1, self.target(server));
        self.others.push(Other { server, process, target, protocol, ports: ports.to_vec() });
        Ok(())
    }

    /// Waits until such a program has nothing more to say from these ports of its own accord.
    pub fn wait_until_silent(&mut self, server: RunId, ports: &[u16]) -> Result<()> {
        // What was read may still be thought about: no event tells that nothing will come of it.
        for _ in 0..3 {
            self.wait_until_quiet(server, ports)?;
            self.let_pass(PAUSE)?;
        }
        self.wait_until_quiet(server, ports)
    }

    /// What such a program says of its connection from this port.
    pub fn told(&self, port: u16) -> Record {
        let other = self.others.iter().find(|other| other.ports.contains(&port));
        other.map(|other| self.told_by(other, port)).unwrap_or_default()
    }

    fn told_by(&self, other: &Other, port: u16) -> Record {
        witness::record(port, self.outside[other.process].log.timed_lines())
    }

    /// What such programs saw of their connections to this server.
    pub(super) fn seen_by_others(&self, server: RunId) -> impl Iterator<Item = Seen<'_>> {
        self.others.iter().filter(move |other| other.server == server).flat_map(move |other| {
            other.ports.iter().map(move |port| Seen {
                record: self.told_by(other, *port),
                target: &other.target,
                protocol: other.protocol,
                hostile: false,
            })
        })
    }
}
