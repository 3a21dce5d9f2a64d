//! Who comes: a client, or a probe of the kubelet, to which nothing is lost.
//!
//! The kubelet probes a pod's readiness to its end. Its connections come from the node, as do those of clients that the
//! node forwards under its own address. As many of them as the probes explain are the probes'; what comes more often
//! is a client's.

use crate::identity::{KernelInstant, SocketCookie};
use crate::input::Connection;
use crate::kubernetes::source::Source;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// What is known of a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// Where its address is; nothing without Kubernetes.
    pub source: Option<Source>,
    /// It came from the node to a port that the kubelet probes this often.
    pub probe_period: Option<Duration>,
}

/// How many probes are remembered by their connection.
const REMEMBERED: usize = 4_096;

/// The kubelet's probes in one termination.
#[derive(Debug, Default)]
pub(super) struct Probes {
    connections: BTreeSet<SocketCookie>,
    refused: BTreeSet<(SocketAddr, KernelInstant)>,
    total: u64,
}

impl Probes {
    /// A connection was opened. Whether that is a probe's.
    pub fn opened(&mut self, connection: &Connection, began_at: KernelInstant, origin: Origin) -> bool {
        let is_probe = self.is_explained(connection.at, began_at, origin);
        if is_probe && self.connections.len() < REMEMBERED {
            self.connections.insert(connection.cookie);
        }
        is_probe
    }

    /// An attempt was refused. Whether that was a probe's; one told twice is the same.
    pub fn refused(
        &mut self,
        at: KernelInstant,
        peer: SocketAddr,
        began_at: KernelInstant,
        origin: Origin,
    ) -> bool {
        if self.refused.contains(&(peer, at)) {
            return true;
        }
        let is_probe = self.is_explained(at, began_at, origin);
        if is_probe && self.refused.len() < REMEMBERED {
            self.refused.insert((peer, at));
        }
        is_probe
    }

    fn is_explained(&mut self, at: KernelInstant, began_at: KernelInstant, origin: Origin) -> bool {
        let Some(period) = origin.probe_period else { return false };
        let due = at.since(began_at).as_nanos() / period.as_nanos().max(1) + 1;
        let is_probe = u128::from(self.total) < due;
        self.total += u64::from(is_probe);
        is_probe
    }

    /// Whether this connection is a probe's.
    pub fn has(&self, cookie: SocketCookie) -> bool {
        self.connections.contains(&cookie)
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.total
    }
}
