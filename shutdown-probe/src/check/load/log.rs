//! What each client saw: the truth of a run, by the client's port.

use super::connection::Seen;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Why a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It keeps its connection and asks now and then.
    Pooled,
    /// It keeps its connection and is silent.
    Idle,
    /// It comes, asks once, and goes.
    Arrival,
    /// It reads a long response.
    Stream,
}

impl Kind {
    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Pooled => "keep-alive client",
            Self::Idle => "idle client",
            Self::Arrival => "new connection",
            Self::Stream => "stream",
        }
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The client's port.
    pub port: u16,
    /// Why the client is there.
    pub kind: Kind,
    /// When the connection was attempted, or the request was to be sent on an open one.
    pub begun: Instant,
    /// When the request was handed to the kernel.
    pub sent: Option<Instant>,
    /// What the client saw, and when.
    pub ended: Option<(Instant, Seen)>,
}

impl Exchange {
    /// Whether the request was on its way or with the server at that moment.
    pub fn was_in_flight(&self, at: Instant) -> bool {
        self.sent.is_some_and(|sent| sent <= at) && self.ended.is_none_or(|(ended, _)| ended > at)
    }

    /// Whether the client got nothing or not all for it.
    pub fn is_lost(&self) -> bool {
        !self.seen().is_answer()
    }

    /// What the client saw; [`Seen::Silence`] where it still waits.
    pub fn seen(&self) -> Seen {
        self.ended.map_or(Seen::Silence, |(_, seen)| seen)
    }
}

/// All requests of a run. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Exchange>>>);

/// One request in the log.
#[derive(Clone, Copy, Debug)]
pub struct Entry(usize);

impl Log {
    /// A request begins.
    pub fn begin(&self, kind: Kind, port: u16) -> Entry {
        let mut log = self.lock();
        log.push(Exchange { port, kind, begun: Instant::now(), sent: None, ended: None });
        Entry(log.len() - 1)
    }

    /// It was handed to the kernel.
    pub fn sent(&self, entry: Entry) {
        self.lock()[entry.0].sent = Some(Instant::now());
    }

    /// It came to this.
    pub fn ended(&self, entry: Entry, seen: Seen) {
        self.lock()[entry.0].ended = Some((Instant::now(), seen));
    }

    /// Whether a pool's request is on its way or with the server.
    pub fn has_pooled_in_flight(&self) -> bool {
        let is_pooled = |one: &&Exchange| one.kind == Kind::Pooled && one.sent.is_some();
        self.lock().iter().filter(is_pooled).any(|one| one.ended.is_none())
    }

    /// Whether somebody who asks once has no answer yet.
    pub fn has_arrival_in_flight(&self) -> bool {
        self.lock().iter().any(|one| one.kind == Kind::Arrival && one.ended.is_none())
    }

    /// All of them.
    pub fn all(&self) -> Vec<Exchange> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
