//! Connections that ended well, with bytes still under way: the kernel sends them after the process is gone, and their
//! fate is open until the peer has acknowledged the last.

use super::Termination;
use crate::cause::Cause;
use crate::identity::{KernelInstant, SocketCookie};
use crate::input::{Confidence, Connection, FateName};
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeMap;

/// How many are followed at a time. Beyond, a connection stays what it was when it ended.
const FOLLOWED: usize = 1 << 17;

#[derive(Debug)]
struct UnderWay {
    connection: Connection,
    /// Since when the kernel finds no way for what was never sent.
    stranded: Option<KernelInstant>,
}

/// What is under way from a container that is ending.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    under_way: BTreeMap<SocketCookie, UnderWay>,
    /// Those of which nothing more was heard while they were watched.
    unacknowledged: u64,
}

impl Deliveries {
    /// How many that met this fate, as far as was known when they ended, are under way.
    pub fn count(&self, fate: Fate) -> u64 {
        self.under_way.values().filter(|it| it.connection.fate.0 == fate).count() as u64
    }

    /// How many it was not known of in the end.
    pub fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }

    pub(super) fn follow(&mut self, connection: &Connection) {
        if connection.under_way && connection.fate.0.ended_well() && self.under_way.len() < FOLLOWED {
            let it = UnderWay { connection: connection.clone(), stranded: None };
            self.under_way.insert(connection.cookie, it);
        }
    }

    /// Returns whether it was under way.
    pub(super) fn settle(&mut self, cookie: SocketCookie) -> bool {
        self.under_way.remove(&cookie).is_some()
    }
}

impl Termination {
    /// Nothing is under way any more on this connection.
    pub fn settled(&mut self, cookie: SocketCookie) {
        self.changed |= self.deliveries.settle(cookie);
    }

    /// What was never sent on this connection finds no way. A network that comes back before the end is none that was
    /// withdrawn.
    pub fn stranded(&mut self, at: KernelInstant, cookie: SocketCookie) {
        if let Some(it) = self.deliveries.under_way.get_mut(&cookie) {
            it.stranded.get_or_insert(at);
        }
    }

    /// Nobody watches any longer what is under way. Once the network is gone, nothing of it arrives.
    pub fn conclude_deliveries(&mut self, network_is_gone: bool) {
        for (_, UnderWay { mut connection, stranded }) in std::mem::take(&mut self.deliveries.under_way) {
            let cut_off = (network_is_gone && connection.unsent).then_some(connection.at);
            let Some(at) = stranded.or(cut_off) else {
                // What was sent may have arrived, and the acknowledgement was lost.
                self.deliveries.unacknowledged += 1;
                connection.fate = FateName(Fate::NotMeasured);
                self.ledger.revised(&connection);
                continue;
            };
            if stranded.is_none() {
                // The rest may have gone out just in time.
                connection.framed.confidence = Confidence::Likely;
            }
            connection.fate = FateName(Fate::UndeliveredResponse);
            self.ledger.revised_for(&connection, Some(Cause::NetworkWithdrawn));
            self.timeline.severed(at, Fate::UndeliveredResponse, connection.peer);
        }
    }
}
