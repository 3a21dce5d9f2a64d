//! A TCP socket changes its state: connections open and end, listeners come and go.

use crate::connection::{End, container_of, evidence, owner, remember, state};
use crate::container::{Known, of_cgroup, of_current};
use crate::emit::{emit, header, now};
use crate::kernel::{Sock, Task, Tcp};
use crate::listener::{add_listener, listening_at};
use crate::maps::{CLOSED, Closed, Socket};
use core::cell::Cell;
use shutdown_probe_common::connection::{Evidence, ListenAddress, Process, Tuple, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{ConnectionRecord, ListenerRecord, connection_event, kind};

/// `inet_sock_set_state`: runs before the socket has its new state, often in softirq.
#[inline(always)]
pub fn changed(sk: Sock, old: u32, new: u32) {
    let (old, new) = (old as u8, new as u8);
    let Some(tcp) = sk.tcp() else { return };
    match (old, new) {
        (state::ESTABLISHED | state::CLOSE_WAIT, state::FIN_WAIT1 | state::LAST_ACK | state::CLOSE) => {
            ended(tcp, old, new);
        }
        (state::SYN_RECV, state::ESTABLISHED) => accepted(tcp, old, new),
        (state::SYN_SENT, state::ESTABLISHED) => connected(tcp, old, new),
        (state::FIN_WAIT1 | state::FIN_WAIT2 | state::CLOSING | state::LAST_ACK, state::CLOSE) => {
            finished(tcp, old, new);
        }
        (state::CLOSE, state::LISTEN) => listens(tcp),
        (state::LISTEN, state::CLOSE) => listens_no_more(tcp),
        _ => {}
    }
}

#[inline(never)]
fn accepted(tcp: Tcp, old: u8, new: u8) {
    let Some(container) = container_of(tcp, None) else { return };
    container.count_opened();
    if container.is_narrating() {
        let storage = remember(tcp, container.id, role::SERVER);
        opened(tcp, storage, container, Transition { role: role::SERVER, old, new });
    }
}

/// Remembered from now on, for what goes out before the first read is the question, not the answer.
#[inline(never)]
fn connected(tcp: Tcp, old: u8, new: u8) {
    let Some(container) = of_cgroup(tcp.cgroup_id()).and_then(Known::get) else { return };
    let storage = remember(tcp, container.id, role::CLIENT);
    if container.is_narrating() {
        opened(tcp, storage, container, Transition { role: role::CLIENT, old, new });
    }
}

#[derive(Clone, Copy)]
struct Transition {
    role: u8,
    old: u8,
    new: u8,
}

#[inline(always)]
fn opened(tcp: Tcp, storage: Option<&Socket>, container: Known, transition: Transition) {
    if let Some(storage) = storage {
        storage.set(flag::OPENED_IN_WINDOW);
    }
    let tuple = tcp.tuple();
    // The same two ends again: what is heard from now on is of the new connection. Most are new.
    let _ = CLOSED.remove(tuple);
    let evidence = Evidence { flags: flag::OPENED_IN_WINDOW, ..NOTHING };
    let event = connection_event::OPENED;
    let verdict = Verdict { event, fate: Fate::NotMeasured as u8, previous: Fate::NotMeasured as u8 };
    tell(tcp, container.id, NOBODY, tuple, evidence, verdict, transition);
}

const NOBODY: Process = Process { start: 0, tgid: 0, reserved: 0 };
const NOTHING: Evidence = Evidence { received: 0, sent: 0, unread: 0, written: 0, undelivered: 0, flags: 0 };

#[inline(never)]
fn ended(tcp: Tcp, old: u8, new: u8) {
    let storage = tcp.storage();
    let Some(container) = container_of(tcp, storage) else { return };
    let evidence = evidence(tcp, storage, container, End::new(old, new));
    let role = storage.map_or(role::SERVER, |storage| storage.role.get());
    let fate = evidence.judge(role);
    container.count_fate(fate);
    let narrating = container.is_narrating();
    if let Some(storage) = storage {
        storage.fate.set(fate as u8);
        storage.received_at_end.set(tcp.bytes_received());
        storage.narrated.set(narrating.into());
    }
    if narrating || evidence.has(flag::CLOSER_EXITING) {
        let owner = owner(storage, &evidence);
        let tuple = tcp.tuple();
        let closed = Closed {
            container: container.id,
            cookie: tcp.cookie(),
            owner,
            undelivered: Cell::new(evidence.undelivered),
            fate: Cell::new(fate as u8),
            role,
            reserved: [0; 2],
        };
        // An old entry gives way to a new one; it cannot fail for want of room.
        let _ = CLOSED.insert(tuple, &closed, 0);
        let event = connection_event::ENDED;
        let verdict = Verdict { event, fate: fate as u8, previous: fate as u8 };
        tell(tcp, container.id, owner, tuple, evidence, verdict, Transition { role, old, new });
    }
}

/// The last of a connection that we ended before: what became of its bytes is known now.
#[inline(never)]
fn finished(tcp: Tcp, old: u8, new: u8) {
    let Some(storage) = tcp.storage() else { return };
    let previous = storage.fate.get();
    if previous != Fate::Drained as u8 && previous != Fate::ClosedIdle as u8 {
        return;
    }
    let Some(container) = Known::get(storage.container.get()) else { return };
    let tuple = tcp.tuple();
    // Our FIN takes a number too, and is the last to be acknowledged.
    let undelivered = tcp.unacknowledged().saturating_sub(1);
    // SAFETY: the map's value lives at least until the program ends; its words are cells.
    let closed = CLOSED.get_ptr(tuple).map(|closed| unsafe { &*closed });
    if let Some(closed) = closed {
        closed.undelivered.set(undelivered);
    }
    let arrived = tcp.bytes_received().wrapping_sub(storage.received_at_end.get());
    let Some(fate) = revision(storage, undelivered, arrived) else { return };
    storage.fate.set(fate as u8);
    container.move_fate(previous, fate);
    if let Some(closed) = closed {
        closed.fate.set(fate as u8);
    }
    if storage.narrated.get() == 0 {
        return;
    }
    let evidence = Evidence {
        received: tcp.bytes_received(),
        sent: tcp.bytes_sent(),
        undelivered,
        flags: storage.flags.get(),
        ..NOTHING
    };
    let verdict = Verdict { event: connection_event::REVISED, fate: fate as u8, previous };
    let transition = Transition { role: storage.role.get(), old, new };
    tell(tcp, container.id, storage.owner.get(), tuple, evidence, verdict, transition);
}

#[inline(always)]
fn revision(storage: &Socket, undelivered: u32, arrived: u64) -> Option<Fate> {
    // A reset ends it: the peer's, or what the kernel takes for one when data follows our FIN. Of
    // the latter the hook that sends our reset hears next, and judges it.
    if storage.has(flag::PEER_RESET) {
        return None;
    }
    if undelivered > 0 {
        return Some(Fate::UndeliveredResponse);
    }
    // One byte is the peer's FIN.
    if arrived >= 2 { Some(Fate::RequestAfterClose) } else { None }
}

/// What a record says of a connection's fate.
#[derive(Clone, Copy)]
struct Verdict {
    event: u8,
    fate: u8,
    previous: u8,
}

#[inline(always)]
fn tell(
    tcp: Tcp,
    container: u64,
    owner: Process,
    tuple: Tuple,
    evidence: Evidence,
    verdict: Verdict,
    transition: Transition,
) {
    emit!(
        container,
        ConnectionRecord {
            header: header(kind::CONNECTION, container),
            cookie: tcp.cookie(),
            owner,
            tuple,
            evidence,
            event: verdict.event,
            fate: verdict.fate,
            previous_fate: verdict.previous,
            role: transition.role,
            old_state: transition.old,
            new_state: transition.new,
            reserved: [0; 2],
        }
    );
}

/// Runs in the context of the process that calls listen().
#[inline(never)]
fn listens(tcp: Tcp) {
    let Some(container) = of_current() else { return };
    let address = tcp.listen_address();
    let process = Task::current().process();
    add_listener(&address, container, process);
    tell_listener(container, process, address, 1, 0);
}

#[inline(never)]
fn listens_no_more(tcp: Tcp) {
    let address = tcp.listen_address();
    let Some(listener) = listening_at(&address) else { return };
    let left = listener.sockets.get().saturating_sub(1);
    listener.sockets.set(left);
    if left == 0 {
        listener.closed_at.set(now());
    }
    let Some(container) = Known::get(listener.container.get()) else { return };
    let current = Task::current();
    let exiting = current.is_exiting();
    if exiting || container.is_narrating() {
        let flags = if exiting { flag::CLOSER_EXITING } else { 0 };
        tell_listener(container.id, current.process(), address, 0, flags);
    }
}

#[inline(always)]
pub fn tell_listener(container: u64, process: Process, address: ListenAddress, open: u32, flags: u32) {
    emit!(
        container,
        ListenerRecord { header: header(kind::LISTENER, container), process, address, open, flags }
    );
}
