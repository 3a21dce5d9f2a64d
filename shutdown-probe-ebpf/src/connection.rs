//! Whose a connection is, and what is known of it at its end.

use crate::container::{Known, of_cgroup};
use crate::kernel::{Sock, Task, TcpSock};
use crate::maps::{LISTENERS, Listener, OPEN, Socket};
use shutdown_probe_common::connection::{Evidence, ListenAddress, Process, flag};

/// `tcp_state` of `include/net/tcp_states.h`.
pub mod tcp {
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
}

/// `0.0.0.0`, IPv4-mapped.
const V4_ANY: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];

/// Both directions are closed: `SHUTDOWN_MASK`.
const SHUT_BOTH: u8 = 3;

/// Who listens at this address, by itself or by a wildcard.
#[inline(never)]
pub fn listener(address: &ListenAddress) -> Option<&'static Listener> {
    let mut key = *address;
    if let Some(exact) = listening_at(&key) {
        return Some(exact);
    }
    if address.address[..12] == V4_ANY[..12] {
        clear(&mut key, 3);
        if let Some(any) = listening_at(&key) {
            return Some(any);
        }
    }
    clear(&mut key, 0);
    listening_at(&key)
}

/// Who listens at exactly this address.
#[inline(always)]
pub fn listening_at(address: &ListenAddress) -> Option<&'static Listener> {
    // SAFETY: the map's value lives at least until the program ends; its words are cells.
    LISTENERS.get_ptr(address).map(|value| unsafe { &*value })
}

/// Zeroes the words of the address from this one on. The target has no `memset`, and volatile
/// stores are not merged into one.
#[inline(always)]
fn clear(key: &mut ListenAddress, from: usize) {
    let words = (&raw mut key.address).cast::<u32>();
    for word in from..4 {
        // SAFETY: the address has four words, aligned as the structure is.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// The container of a connection: as remembered, else its listener's, else its cgroup's.
#[inline(always)]
pub fn container_of(sk: Sock, storage: Option<&Socket>) -> Option<Known> {
    match storage {
        Some(storage) => Known::get(storage.container.get()),
        None => Known::get(container_by_address(sk)?),
    }
}

#[inline(always)]
fn container_by_address(sk: Sock) -> Option<u64> {
    match listener(&sk.listen_address()) {
        Some(listener) => Some(listener.container.get()),
        None => of_cgroup(sk.cgroup_id()),
    }
}

/// Remembers a connection of this container from now on.
#[inline(always)]
pub fn remember(sk: Sock, tcp: TcpSock, container: u64, role: u8) -> Option<&'static Socket> {
    let storage = sk.storage_or_new()?;
    if storage.container.get() == 0 {
        storage.fate.set(OPEN);
        storage.role.set(role);
        storage.copied_seq.set(tcp.copied_seq());
        storage.write_seq.set(tcp.write_seq().wrapping_sub(tcp.bytes_sent() as u32));
    }
    storage.container.set(container);
    Some(storage)
}

/// Who ended a connection, as far as the transition tells.
#[derive(Clone, Copy)]
pub struct End {
    /// The peer's FIN had come.
    pub peer_fin: bool,
    /// It went to CLOSE without a FIN of ours.
    pub abrupt: bool,
}

impl End {
    #[inline(always)]
    pub fn new(old: u8, new: u8) -> Self {
        Self { peer_fin: old == tcp::CLOSE_WAIT, abrupt: new == tcp::CLOSE }
    }
}

/// What is known of a connection that ends now.
#[inline(always)]
pub fn evidence(sk: Sock, tcp: TcpSock, storage: Option<&Socket>, container: Known, end: End) -> Evidence {
    let fin = u32::from(end.peer_fin);
    let received = tcp.bytes_received();
    let sent = tcp.bytes_sent();
    let write_seq = tcp.write_seq();
    let written = match storage {
        Some(storage) => write_seq.wrapping_sub(storage.write_seq.get()),
        None => u32::try_from(sent).unwrap_or(u32::MAX),
    };
    Evidence {
        received: received.saturating_sub(fin.into()),
        sent,
        unread: tcp.rcv_nxt().wrapping_sub(tcp.copied_seq()).saturating_sub(fin),
        written,
        // Our own FIN is queued only after the transition.
        undelivered: write_seq.wrapping_sub(tcp.snd_una()),
        flags: flags(sk, tcp, storage, container, end),
    }
}

#[inline(always)]
fn flags(sk: Sock, tcp: TcpSock, storage: Option<&Socket>, container: Known, end: End) -> u32 {
    let mut flags = storage.map_or(0, |storage| storage.flags.get());
    let has_owner = sk.has_owner();
    if has_owner {
        flags |= flag::ACCEPTED;
    }
    if end.peer_fin {
        flags |= flag::PEER_FIN;
    }
    if tcp.is_mptcp() {
        flags |= flag::OPAQUE;
    }
    if sent_since(tcp, container) {
        flags |= flag::SENT_IN_WINDOW;
    }
    flags | how_closed(sk, flags, end, has_owner)
}

/// Whether data went out since the container's story began.
#[inline(always)]
fn sent_since(tcp: TcpSock, container: Known) -> bool {
    tcp.bytes_sent() > 0
        && container.is_narrating()
        && tcp.last_sent().wrapping_sub(container.began_jiffies()) as i32 >= 0
}

#[inline(always)]
fn how_closed(sk: Sock, flags: u32, end: End, has_owner: bool) -> u32 {
    if end.abrupt && flags & flag::PEER_RESET != 0 {
        return 0;
    }
    // An abrupt end of our own doing is a close() or the end of a child nobody accepted. All else
    // that leads to CLOSE at once is the kernel giving up: a timeout, an administrator.
    let ours = !end.abrupt || sk.shutdown() == SHUT_BOTH || !has_owner;
    if !ours && sk.error() != 0 {
        return flag::KERNEL_ABORT;
    }
    let reset = if end.abrupt { flag::RESET_SENT } else { 0 };
    let dying = if ours && Task::current().is_exiting() { flag::CLOSER_EXITING } else { 0 };
    reset | dying
}

/// Who held a connection that ends now: who read from it last, else who closes it.
#[inline(always)]
pub fn owner(storage: Option<&Socket>, evidence: &Evidence) -> Process {
    match storage {
        Some(storage) if storage.owner.get().tgid != 0 => storage.owner.get(),
        _ if evidence.has(flag::PEER_RESET) || evidence.has(flag::KERNEL_ABORT) => Process::default(),
        _ => Task::current().process(),
    }
}
