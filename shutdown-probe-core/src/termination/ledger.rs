//! Every connection of one termination, counted once.
//!
//! Invariant: a connection (by cookie) or a refused attempt (by its two ends and its time) is in exactly
//! one fate, however often it is told. Lists are capped, totals are not.

use crate::cause::Cause;
use crate::identity::{KernelInstant, SocketCookie};
use crate::input::{Connection, Counters, Framed, Role};
use crate::report::LISTED_CONNECTIONS;
use shutdown_probe_common::fate::Fate;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// How many connections one termination remembers by identity. Beyond, a duplicate would count twice.
const REMEMBERED: usize = 1 << 17;

/// One connection, as far as a report lists it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub cookie: Option<SocketCookie>,
    pub fate: Fate,
    /// When it was opened, where that was seen.
    pub opened_at: Option<KernelInstant>,
    /// It was opened before the termination began.
    pub opened_before: bool,
    pub at: KernelInstant,
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub unread_bytes: u32,
    pub response_bytes: u64,
    pub undelivered_bytes: u32,
    pub framed: Framed,
    /// Why it was severed, where neither its fate nor the end of the process says so.
    pub own_cause: Option<Cause>,
}

/// The connections of one termination.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fates: HashMap<SocketCookie, Fate>,
    refused: BTreeSet<(SocketAddr, SocketAddr, KernelInstant)>,
    /// When those were opened that were opened in the termination.
    opened: BTreeMap<SocketCookie, KernelInstant>,
    totals: [u64; Fate::COUNT],
    /// What the kernel side counted, where records were lost.
    floor: [u64; Fate::COUNT],
    severed: Vec<Listed>,
    unsevered: Vec<Listed>,
    closed_idle_by_death: u64,
    /// Of `totals`, those with a cause of their own.
    own_causes: BTreeMap<(Fate, Cause), u64>,
    streams: u64,
}

impl Ledger {
    /// Counts the end of a connection. Returns whether it is news.
    pub fn ended(&mut self, connection: &Connection) -> bool {
        if self.fates.contains_key(&connection.cookie) {
            return false;
        }
        let fate = connection.fate.0;
        self.remember(connection.cookie, fate);
        self.totals[fate as usize] += 1;
        if connection.by_death
            && connection.role == Role::Server
            && matches!(fate, Fate::ClosedIdle | Fate::Drained)
        {
            self.closed_idle_by_death += 1;
        }
        if fate.was_in_servers_hands() {
            self.streams += u64::from(connection.framed.streams);
        }
        self.list(connection, cause_of_stream(fate, &connection.framed));
        true
    }

    /// Whether the end of this connection was counted.
    pub fn knows(&self, cookie: SocketCookie) -> bool {
        self.fates.contains_key(&cookie)
    }

    /// Moves a connection to another fate. Returns whether that is news.
    pub fn revised(&mut self, connection: &Connection) -> bool {
        self.revised_for(connection, cause_of_stream(connection.fate.0, &connection.framed))
    }

    /// The same, for a cause of its own.
    pub fn revised_for(&mut self, connection: &Connection, own_cause: Option<Cause>) -> bool {
        let fate = connection.fate.0;
        // The record of its end may have been lost: then it stands nowhere yet.
        match self.fates.get(&connection.cookie) {
            Some(&previous) if previous == fate => return false,
            Some(&previous) => {
                self.totals[previous as usize] = self.totals[previous as usize].saturating_sub(1)
            }
            None => {}
        }
        self.totals[fate as usize] += 1;
        self.remember(connection.cookie, fate);
        for list in [&mut self.severed, &mut self.unsevered] {
            list.retain(|listed| listed.cookie != Some(connection.cookie));
        }
        self.list(connection, own_cause);
        true
    }

    /// Counts a refused attempt. Returns whether it is news.
    pub fn refused(&mut self, at: KernelInstant, local: SocketAddr, peer: SocketAddr) -> bool {
        if self.refused.contains(&(local, peer, at)) {
            return false;
        }
        if self.refused.len() < REMEMBERED {
            self.refused.insert((local, peer, at));
        }
        self.totals[Fate::Refused as usize] += 1;
        let (unread_bytes, response_bytes, undelivered_bytes) = (0, 0, 0);
        let attempt = Listed {
            cookie: None,
            fate: Fate::Refused,
            opened_at: Some(at),
            opened_before: false,
            at,
            local,
            peer,
            unread_bytes,
            response_bytes,
            undelivered_bytes,
            framed: Framed::default(),
            own_cause: None,
        };
        push(&mut self.severed, attempt);
        true
    }

    /// Notes a connection opened in the termination. Returns whether it is news.
    pub fn opened(&mut self, cookie: SocketCookie, at: KernelInstant) -> bool {
        self.opened.len() >= REMEMBERED || self.opened.insert(cookie, at).is_none()
    }

    /// What the kernel side counted is the least that holds once records were lost.
    /// Returns whether that is news.
    pub fn raise_to(&mut self, grown: &Counters) -> bool {
        let before = self.floor;
        for (fate, count) in &grown.fates {
            self.floor[fate.0 as usize] = *count;
        }
        self.floor != before
    }

    /// How many connections met this fate.
    pub fn total(&self, fate: Fate) -> u64 {
        self.totals[fate as usize].max(self.floor[fate as usize])
    }

    /// The sum over the fates that hold `condition`.
    pub fn sum(&self, condition: impl Fn(Fate) -> bool) -> u64 {
        Fate::ALL.into_iter().filter(|&fate| condition(fate)).map(|fate| self.total(fate)).sum()
    }

    /// Idle connections that stayed open until the death of the process.
    pub fn idle_until_death(&self) -> u64 {
        self.closed_idle_by_death
    }

    /// Of the severed connections, those with a cause of their own, by fate and cause.
    pub fn own_causes(&self) -> &BTreeMap<(Fate, Cause), u64> {
        &self.own_causes
    }

    /// How many severed connections have this cause of their own.
    pub fn own_cause_total(&self, cause: Cause) -> u64 {
        self.own_causes.iter().filter(|((_, own), _)| *own == cause).map(|(_, count)| count).sum()
    }

    /// How many were lost in the server's own hands.
    pub fn in_servers_hands(&self) -> u64 {
        let held = self.sum(Fate::was_in_servers_hands);
        held.saturating_sub(self.own_cause_total(Cause::NetworkWithdrawn))
    }

    /// Streams of HTTP/2 that were severed, over all connections.
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// The severed connections that are listed.
    pub fn severed(&self) -> &[Listed] {
        &self.severed
    }

    /// The others that are listed.
    pub fn unsevered(&self) -> &[Listed] {
        &self.unsevered
    }

    fn remember(&mut self, cookie: SocketCookie, fate: Fate) {
        if self.fates.len() < REMEMBERED || self.fates.contains_key(&cookie) {
            self.fates.insert(cookie, fate);
        }
    }

    fn list(&mut self, connection: &Connection, own_cause: Option<Cause>) {
        let fate = connection.fate.0;
        if let Some(cause) = own_cause {
            *self.own_causes.entry((fate, cause)).or_default() += 1;
        }
        let is_of_interest = connection.role == Role::Server || fate == Fate::OutboundUnanswered;
        let opened_at = self.opened.get(&connection.cookie).copied();
        let listed = || Listed {
            cookie: Some(connection.cookie),
            fate,
            opened_at,
            opened_before: opened_at.is_none() && !connection.opened_in_window,
            at: connection.at,
            local: connection.local,
            peer: connection.peer,
            unread_bytes: connection.unread_bytes,
            response_bytes: connection.response_bytes,
            undelivered_bytes: connection.undelivered_bytes,
            framed: connection.framed.clone(),
            own_cause,
        };
        if fate.is_severed() {
            push(&mut self.severed, listed());
        } else if is_of_interest {
            push(&mut self.unsevered, listed());
        }
    }
}

fn push(list: &mut Vec<Listed>, listed: Listed) {
    if list.len() < LISTED_CONNECTIONS {
        list.push(listed);
    }
}

/// Long-lived work was cut, and the client not told before that it would be.
fn cause_of_stream(fate: Fate, framed: &Framed) -> Option<Cause> {
    let cuts = fate.was_in_servers_hands() && !framed.goaway && (framed.streams > 0 || framed.upgraded);
    cuts.then_some(Cause::StreamWithoutGoaway)
}
