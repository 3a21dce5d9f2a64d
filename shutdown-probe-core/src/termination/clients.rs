//! What happened to the clients' connections while a termination went on.

use super::{Origin, PROCESSES, Termination};
use crate::identity::KernelInstant;
use crate::input::{Connection, Role};
use crate::kubernetes::source::Source;
use shutdown_probe_common::fate::Fate;
use std::net::SocketAddr;

/// How many late arrivals are remembered one by one.
const LATE_ARRIVALS: usize = 10_000;

impl Termination {
    /// A connection was opened.
    pub fn opened(&mut self, connection: &Connection, origin: Origin) {
        if connection.role == Role::Server
            && !self.is_over_for(connection)
            && self.ledger.opened(connection.cookie, connection.at)
            && !self.probes.opened(connection, self.began_at, origin)
        {
            self.arrived(connection.at, origin.source);
        }
    }

    /// A connection ended.
    pub fn ended(&mut self, connection: &Connection) {
        if self.is_over_for(connection) || !self.is_shutting_down() || self.probes.has(connection.cookie) {
            return;
        }
        if !self.ledger.ended(connection) {
            return;
        }
        self.changed = true;
        self.deliveries.follow(connection);
        let fate = connection.fate.0;
        if connection.role == Role::Server {
            if connection.accepted {
                self.reading.extend(connection.owner.filter(|_| self.reading.len() < PROCESSES));
            }
            let by_will = !connection.by_death && !matches!(fate, Fate::PeerClosed | Fate::PeerAborted);
            self.acted |= by_will && self.stop.is_some();
            let owner = connection.owner.and_then(|owner| self.received.get_mut(&owner));
            owner.into_iter().for_each(|received| received.let_go |= by_will);
        }
        if fate.is_severed() {
            self.timeline.severed(connection.at, fate, connection.peer);
        }
    }

    /// What came after the end of a connection changed its fate.
    pub fn revised(&mut self, connection: &Connection) {
        if self.probes.has(connection.cookie) {
            return;
        }
        let is_ours = self.ledger.knows(connection.cookie)
            || (!self.is_over_for(connection) && self.is_shutting_down());
        if is_ours && self.ledger.revised(connection) {
            self.changed = true;
            self.deliveries.settle(connection.cookie);
            if connection.fate.0.is_severed() {
                self.timeline.severed(connection.at, connection.fate.0, connection.peer);
            }
        }
    }

    /// A connection attempt was refused.
    pub fn refused(&mut self, at: KernelInstant, local: SocketAddr, peer: SocketAddr, origin: Origin) {
        let is_ours = at >= self.began_at && self.is_shutting_down();
        let is_client = is_ours && !self.probes.refused(at, peer, self.began_at, origin);
        if is_client && self.ledger.refused(at, local, peer) {
            self.changed = true;
            self.arrived(at, origin.source);
            self.timeline.severed(at, Fate::Refused, peer);
        }
    }

    /// A client came: late, or while the shutdown was but announced.
    fn arrived(&mut self, at: KernelInstant, source: Option<Source>) {
        self.last_arrival_at = self.last_arrival_at.max(Some(at));
        if !self.is_shutting_down() || self.stop.as_ref().is_some_and(|stop| at < stop.at) {
            self.opened_announced += 1;
            return;
        }
        let after = at.since(self.reference());
        self.late_total += 1;
        self.last_late = self.last_late.max(Some(after));
        if let Some(source) = source {
            *self.late_by_source.entry(source).or_default() += 1;
        }
        if self.late.len() < LATE_ARRIVALS {
            self.late.push((after, source));
        }
    }

    /// A connection of before the beginning, or of the container's next life.
    fn is_over_for(&self, connection: &Connection) -> bool {
        connection.at < self.began_at || self.restarted_at.is_some_and(|restart| connection.at >= restart)
    }
}
