//! A TCP socket changes its state: connections open and end, listeners come and go.

use crate::connection::{End, container_of, ended_well, examine, owner, remember, state};
use crate::container::{Known, of_cgroup, of_current};
use crate::desk::{Desk, clear, put_process, through_memory};
use crate::emit::{emit, header, now, send};
use crate::hook::delivery;
use crate::kernel::{Sock, Task, Tcp};
use crate::listener::{add_closed_listener, add_listener, listening_at};
use crate::maps::{CLOSED, Closed, Socket, closed};
use shutdown_probe_common::connection::{ListenAddress, Process, Tuple, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::NO_END;
use shutdown_probe_common::record::{ConnectionRecord, ListenerRecord, connection_event, kind};

/// `inet_sock_set_state`: runs before the socket has its new state, often in softirq.
#[inline(always)]
pub fn changed(sk: Sock, old: u32, new: u32) {
    let (old, new) = (old as u8, new as u8);
    let Some(tcp) = sk.tcp() else { return };
    match (old, new) {
        (state::ESTABLISHED | state::CLOSE_WAIT, state::FIN_WAIT1 | state::LAST_ACK | state::CLOSE)
        // TCP Fast Open: its request was read before the handshake was over.
        | (state::SYN_RECV, state::FIN_WAIT1) => ended(tcp, old, new),
        (state::SYN_RECV, state::ESTABLISHED) => accepted(tcp, old, new),
        (state::SYN_SENT, state::ESTABLISHED) => connected(tcp, old, new),
        (state::FIN_WAIT1, state::FIN_WAIT2) => delivery::acknowledged(tcp),
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
    let Some(papers) = Desk::State.take() else { return };
    let Some(container) = container_of(tcp, None, &mut papers.address) else { return };
    container.count_opened();
    if container.is_narrating() {
        remember_opened(tcp, container.id, role::SERVER);
        tell_opened(tcp, container.id, &mut papers.record, Transition { role: role::SERVER, old, new });
    }
}

/// Remembered from now on, for what goes out before the first read is the question, not the answer.
#[inline(never)]
fn connected(tcp: Tcp, old: u8, new: u8) {
    let Some(container) = of_cgroup(tcp.cgroup_id()).and_then(Known::get) else { return };
    if !container.is_narrating() {
        remember(tcp, container.id, role::CLIENT);
        return;
    }
    remember_opened(tcp, container.id, role::CLIENT);
    let Some(papers) = Desk::State.take() else { return };
    tell_opened(tcp, container.id, &mut papers.record, Transition { role: role::CLIENT, old, new });
}

#[inline(always)]
fn remember_opened(tcp: Tcp, container: u64, role: u8) {
    if let Some(storage) = remember(tcp, container, role) {
        storage.set(flag::OPENED_IN_WINDOW);
    }
}

/// What a connection went through.
#[derive(Clone, Copy)]
struct Transition {
    role: u8,
    old: u8,
    new: u8,
}

#[inline(always)]
fn tell_opened(tcp: Tcp, container: u64, record: &mut ConnectionRecord, transition: Transition) {
    tcp.put_tuple(&mut record.tuple);
    // The same two ends again: what is heard from now on is of the new connection. Most are new.
    let _ = CLOSED.remove(record.tuple);
    put_process(&mut record.owner, 0, 0);
    clear(&mut record.evidence);
    record.evidence.flags = flag::OPENED_IN_WINDOW;
    record.event = connection_event::OPENED;
    record.fate = Fate::NotMeasured as u8;
    record.previous_fate = Fate::NotMeasured as u8;
    tell(tcp, container, record, transition);
}

#[inline(never)]
fn ended(tcp: Tcp, old: u8, new: u8) {
    let Some(papers) = Desk::State.take() else { return };
    let storage = tcp.storage();
    let Some(container) = container_of(tcp, storage, &mut papers.address) else { return };
    let record = &mut papers.record;
    examine(tcp, storage, container, End::new(old, new), &mut record.evidence);
    let role = storage.map_or(role::SERVER, |storage| storage.role.get());
    let fate = record.evidence.judge(role) as u8;
    let fate = through_memory(&mut record.fate, fate);
    container.count_fate(fate);
    let is_told = container.is_narrating() || record.evidence.has(flag::CLOSER_EXITING);
    if let Some(storage) = storage {
        storage.fate.set(fate);
        storage.received_at_end.set(tcp.bytes_received());
        storage.narrated.set(is_told.into());
        if is_told {
            delivery::follow(tcp, storage, fate, &mut record.evidence);
        }
    }
    if is_told {
        tcp.put_tuple(&mut record.tuple);
        let owner = owner(storage, &record.evidence);
        put_process(&mut record.owner, owner.start, owner.tgid);
        record.event = connection_event::ENDED;
        record.previous_fate = fate;
        tell(tcp, container.id, record, Transition { role, old, new });
        let rest = storage.map_or(0, |storage| storage.framing().rest());
        remember_closed(record, rest, &mut papers.closed);
    }
}

/// For what the peer may still send.
#[inline(always)]
fn remember_closed(record: &ConnectionRecord, rest: u32, closed: &mut Closed) {
    closed.container = record.header.container;
    closed.cookie = record.cookie;
    put_process(&mut closed.owner, record.owner.start, record.owner.tgid);
    closed.undelivered.set(record.evidence.undelivered);
    let unread = record.evidence.unread;
    closed.rest.set(if rest == NO_END { NO_END } else { rest.saturating_sub(unread) });
    closed.fate.set(record.fate);
    closed.role = record.role;
    closed.protocol.set(record.evidence.framed.protocol);
    closed.framing_flags.set(record.evidence.framed.flags);
    let (tuple, closed): (&Tuple, &Closed) = (&record.tuple, closed);
    // An old entry gives way to a new one; it cannot fail for want of room.
    let _ = CLOSED.insert(tuple, closed, 0);
}

/// The last of a connection that we ended before: what became of its bytes is known now.
#[inline(never)]
fn finished(tcp: Tcp, old: u8, new: u8) {
    let Some(storage) = tcp.storage() else { return };
    let previous = storage.fate.get();
    if !ended_well(previous) {
        return;
    }
    let Some(container) = Known::get(storage.container.get()) else { return };
    let Some(papers) = Desk::State.take() else { return };
    let record = &mut papers.record;
    tcp.put_tuple(&mut record.tuple);
    // Our FIN takes a number too, and is the last to be acknowledged.
    let undelivered = tcp.unacknowledged().saturating_sub(1);
    let closed = closed(&record.tuple);
    if let Some(closed) = closed {
        closed.undelivered.set(undelivered);
    }
    let arrived = tcp.bytes_received().wrapping_sub(storage.received_at_end.get());
    let Some(fate) = revision(storage, undelivered, arrived) else {
        return delivery::settled(tcp, storage, record);
    };
    let fate = through_memory(&mut record.fate, fate as u8);
    storage.fate.set(fate);
    container.move_fate(previous, fate);
    if let Some(closed) = closed {
        closed.fate.set(fate);
    }
    if storage.narrated.get() == 0 {
        return;
    }
    clear(&mut record.evidence);
    record.evidence.received = tcp.bytes_received();
    record.evidence.sent = tcp.bytes_sent();
    record.evidence.undelivered = undelivered;
    record.evidence.flags = storage.flags.get();
    let owner = storage.owner.get();
    put_process(&mut record.owner, owner.start, owner.tgid);
    record.event = connection_event::REVISED;
    record.previous_fate = previous;
    tell(tcp, container.id, record, Transition { role: storage.role.get(), old, new });
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
    let payload = arrived.saturating_sub(1) as u32;
    let is_request = payload > 0 && storage.framing().may_be_request(payload);
    if is_request { Some(Fate::RequestAfterClose) } else { None }
}

/// Sends a record whose tuple, owner, evidence and fates are written down.
#[inline(always)]
fn tell(tcp: Tcp, container: u64, record: &mut ConnectionRecord, transition: Transition) {
    record.header = header(kind::CONNECTION, container);
    record.cookie = tcp.cookie();
    record.role = transition.role;
    record.old_state = transition.old;
    record.new_state = transition.new;
    send(container, record);
}

/// Runs in the context of the process that calls listen().
#[inline(never)]
fn listens(tcp: Tcp) {
    let Some(container) = of_current() else { return };
    let Some(papers) = Desk::State.take() else { return };
    tcp.put_listen_address(&mut papers.address);
    let process = Task::current().process();
    add_listener(&papers.address, container, process);
    tell_listener(container, process, &papers.address, 1, 0);
}

#[inline(never)]
fn listens_no_more(tcp: Tcp) {
    let Some(papers) = Desk::State.take() else { return };
    tcp.put_listen_address(&mut papers.address);
    let current = Task::current();
    let process = current.process();
    // It may have been forgotten for others that were used since.
    let known = listening_at(&papers.address).or_else(|| {
        let container = of_cgroup(tcp.cgroup_id())?;
        add_closed_listener(&papers.address, container, process)
    });
    let Some(listener) = known else { return };
    let left = listener.sockets.get().saturating_sub(1);
    listener.sockets.set(left);
    if left == 0 {
        listener.closed_at.set(now());
        listener.pending.set(tcp.pending_handshakes().into());
    }
    let Some(container) = Known::get(listener.container.get()) else { return };
    let exiting = current.is_exiting();
    if exiting || container.is_narrating() {
        let flags = if exiting { flag::CLOSER_EXITING } else { 0 };
        tell_listener(container.id, process, &papers.address, 0, flags);
    }
}

#[inline(always)]
fn tell_listener(container: u64, process: Process, address: &ListenAddress, open: u32, flags: u32) {
    emit!(
        container,
        ListenerRecord { header: header(kind::LISTENER, container), process, address: *address, open, flags }
    );
}
