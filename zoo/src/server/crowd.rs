//! The open connections of the server, and which of them have work.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by the connections' threads and the one that handles signals.
#[derive(Debug, Default)]
pub struct Crowd {
    members: Mutex<HashMap<u16, Member>>,
    changed: Condvar,
    draining: AtomicBool,
}

#[derive(Debug)]
struct Member {
    stream: TcpStream,
    busy: bool,
}

impl Crowd {
    fn members(&self) -> MutexGuard<'_, HashMap<u16, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was accepted.
    pub fn enter(&self, port: u16, stream: TcpStream) {
        self.members().insert(port, Member { stream, busy: false });
    }

    /// It is over.
    pub fn leave(&self, port: u16) {
        self.members().remove(&port);
        self.changed.notify_all();
    }

    /// It has a request, or has answered it.
    pub fn set_busy(&self, port: u16, busy: bool) {
        if let Some(member) = self.members().get_mut(&port) {
            member.busy = busy;
        }
        self.changed.notify_all();
    }

    /// From now on answers say `Connection: close`.
    pub fn begin_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether answers are to say `Connection: close`.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Closes the connections without work.
    pub fn close_idle(&self) {
        for member in self.members().values().filter(|member| !member.busy) {
            // The thread that reads from it sees the end and closes it. A client that is gone already is fine.
            let _gone = member.stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until nobody has work.
    pub fn wait_until_idle(&self) {
        self.wait_while(|members| members.values().any(|member| member.busy));
    }

    /// Waits until every connection is over.
    pub fn wait_until_empty(&self) {
        self.wait_while(|members| !members.is_empty());
    }

    fn wait_while(&self, condition: impl Fn(&HashMap<u16, Member>) -> bool) {
        let members = self.members();
        let waited = self.changed.wait_while(members, |members| condition(members));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
