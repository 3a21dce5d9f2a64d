//! Whose a connection is, and what is known of it at its end.

use crate::container::{Known, of_cgroup};
use crate::desk::{clear, through_memory};
use crate::hook::payload::{can_pass_unseen, pass_unseen};
use crate::kernel::{Task, Tcp};
use crate::listener::{is_listening_port, listener};
use crate::maps::{OPEN, Socket};
use shutdown_probe_common::connection::{Evidence, ListenAddress, Process, flag};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::{Direction, Hand, framing_flag};

/// `tcp_state` of `include/net/tcp_states.h`.
pub mod state {
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

/// Both directions are closed: `SHUTDOWN_MASK`.
const SHUT_BOTH: u8 = 3;

/// The container of a connection: as remembered, else its cgroup's, which it has from its listener;
/// where the listener was made for another container, that. `address` is to write on.
#[inline(always)]
pub fn container_of(tcp: Tcp, storage: Option<&Socket>, address: &mut ListenAddress) -> Option<Known> {
    match storage {
        Some(storage) => Known::get(storage.container.get()),
        None => Known::get(container_by_address(tcp, address)),
    }
}

/// 0: none. More than a word cannot be returned.
#[inline(never)]
fn container_by_address(tcp: Tcp, address: &mut ListenAddress) -> u64 {
    let own = of_cgroup(tcp.cgroup_id()).unwrap_or(0);
    if !is_listening_port(tcp.local_port()) {
        return own;
    }
    tcp.put_listen_address(address);
    match listener(address) {
        // Another container may listen at the same address by a socket of its own.
        Some(listener) if own == 0 || own == listener.creator.get() => listener.container.get(),
        _ => own,
    }
}

/// Remembers a connection of this container from now on.
#[inline(always)]
pub fn remember(tcp: Tcp, container: u64, role: u8) -> Option<&'static Socket> {
    let storage = tcp.storage_or_new()?;
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
        Self { peer_fin: old == state::CLOSE_WAIT, abrupt: new == state::CLOSE }
    }
}

/// [`Fate::ended_well`] of the byte that stands for it.
#[inline(always)]
pub fn ended_well(fate: u8) -> bool {
    fate == Fate::Drained as u8 || fate == Fate::ClosedIdle as u8
}

/// Writes down what is known of a connection that ends now.
#[inline(always)]
pub fn examine(tcp: Tcp, storage: Option<&Socket>, container: Known, end: End, evidence: &mut Evidence) {
    clear(evidence);
    let fin = u32::from(end.peer_fin);
    let sent = tcp.bytes_sent();
    evidence.received = tcp.bytes_received().saturating_sub(fin.into());
    evidence.sent = sent;
    evidence.unread = tcp.unread().saturating_sub(fin);
    evidence.written = match storage {
        Some(storage) => tcp.write_seq().wrapping_sub(storage.write_seq.get()),
        None => u32::try_from(sent).unwrap_or(u32::MAX),
    };
    // Our own FIN is queued only after the transition.
    evidence.undelivered = tcp.unacknowledged();
    if let Some(storage) = storage {
        frame(tcp, storage, end, evidence);
    }
    through_memory(&mut evidence.flags, flags(tcp, storage, container, end));
}

/// What its protocol says. Bytes may have gone by unseen to the last: sendfile() on older kernels. Where somebody had to
/// look at them a write is under way, in which the connection was ended by another thread.
#[inline(always)]
fn frame(tcp: Tcp, storage: &Socket, end: End, evidence: &mut Evidence) {
    let framing = storage.framing();
    if !framing.is_begun() {
        return;
    }
    let mut is_writing = false;
    if framing.is_followed() && !end.peer_fin {
        pass_unseen(framing, Direction::Inbound, tcp.copied_seq());
        let next = tcp.write_seq();
        // Seen and not taken: the kernel has run out of memory.
        let ahead = framing.next(Direction::Outbound).wrapping_sub(next) as i32 > 0;
        is_writing = ahead || !can_pass_unseen(framing, Direction::Outbound, next);
    }
    let framed = &mut evidence.framed;
    framing.frame(framed);
    framing.unread(evidence.unread, framed);
    // A look without taking (MSG_PEEK) is no read.
    let untaken = framing.next(Direction::Inbound).wrapping_sub(tcp.copied_seq());
    if (untaken as i32) > 0 && framed.hand == Hand::Request as u8 {
        framed.hand = Hand::Nothing as u8;
    }
    if is_writing {
        framed.hand = Hand::Answer as u8;
        framed.flags |= framing_flag::LIKELY;
    }
}

#[inline(always)]
fn flags(tcp: Tcp, storage: Option<&Socket>, container: Known, end: End) -> u32 {
    let mut flags = storage.map_or(0, |storage| storage.flags.get());
    let has_owner = tcp.has_owner();
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
    flags | how_closed(tcp, flags, end, has_owner)
}

/// Whether data went out since the container's story began.
#[inline(always)]
fn sent_since(tcp: Tcp, container: Known) -> bool {
    if tcp.bytes_sent() == 0 || !container.is_narrating() {
        return false;
    }
    let ticks = tcp.last_sent().wrapping_sub(container.began_jiffies()) as i32;
    // Within the same tick the finer clock decides, which counts segments without data too.
    ticks > 0 || (ticks == 0 && tcp.departure() >= container.began_monotonic())
}

#[inline(always)]
fn how_closed(tcp: Tcp, flags: u32, end: End, has_owner: bool) -> u32 {
    if end.abrupt && flags & flag::PEER_RESET != 0 {
        return 0;
    }
    // An abrupt end of our own doing is a close() or the end of a child nobody accepted. All else
    // that leads to CLOSE at once is the kernel giving up: a timeout, an administrator.
    let ours = !end.abrupt || tcp.shutdown() == SHUT_BOTH || !has_owner;
    if !ours && tcp.error() != 0 {
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
