//! A connection ended well, but not all that it had written was acknowledged: what becomes of the rest. The kernel goes
//! on sending it after the process is gone, for as long as there is a network to send it by.

use crate::connection::ended_well;
use crate::desk::{Desk, clear, put_process};
use crate::emit::{header, send};
use crate::kernel::{Sock, Tcp};
use crate::maps::Socket;
use shutdown_probe_common::connection::{Evidence, flag};
use shutdown_probe_common::record::{ConnectionRecord, connection_event, kind};

/// Of `errno.h`, as functions of the kernel return them.
const NETWORK_UNREACHABLE: i32 = -101;
const HOST_UNREACHABLE: i32 = -113;

/// The peer has yet to acknowledge something: it is told from now on what becomes of that.
#[inline(always)]
pub fn follow(tcp: Tcp, storage: &Socket, fate: u8, evidence: &mut Evidence) {
    if ended_well(fate) && evidence.undelivered > 0 {
        storage.set(flag::UNDER_WAY);
        evidence.flags |= flag::UNDER_WAY;
        if tcp.unsent() > 0 {
            evidence.flags |= flag::UNSENT;
        }
    }
}

/// The peer has acknowledged our FIN, the last of all.
#[inline(never)]
pub fn acknowledged(tcp: Tcp) {
    let Some(storage) = tcp.storage() else { return };
    let Some(papers) = Desk::State.take() else { return };
    settled(tcp, storage, &mut papers.record);
}

/// Nothing of it is under way any more.
#[inline(always)]
pub fn settled(tcp: Tcp, storage: &Socket, record: &mut ConnectionRecord) {
    if storage.has(flag::UNDER_WAY) {
        storage.unset(flag::UNDER_WAY);
        tell(tcp, storage, record, connection_event::SETTLED);
    }
}

/// `tcp_retransmit_skb`, `tcp_write_wakeup`: a segment was to be sent, with this outcome.
#[inline(always)]
pub fn attempted(desk: Desk, sk: Sock, outcome: i32) {
    if outcome != NETWORK_UNREACHABLE && outcome != HOST_UNREACHABLE {
        return;
    }
    let Some(storage) = sk.storage() else { return };
    if !storage.has(flag::UNDER_WAY) || storage.has(flag::STRANDED) {
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    // What was sent may have arrived, with its acknowledgement lost. Our FIN, queued last, is no part of an answer.
    if tcp.unsent() <= 1 {
        return;
    }
    let Some(papers) = desk.take() else { return };
    storage.set(flag::STRANDED);
    tell(tcp, storage, &mut papers.record, connection_event::STRANDED);
}

#[inline(always)]
fn tell(tcp: Tcp, storage: &Socket, record: &mut ConnectionRecord, event: u8) {
    let container = storage.container.get();
    tcp.put_tuple(&mut record.tuple);
    clear(&mut record.evidence);
    record.evidence.sent = tcp.bytes_sent();
    record.evidence.undelivered = tcp.unacknowledged().saturating_sub(1);
    record.evidence.flags = storage.flags.get();
    let owner = storage.owner.get();
    put_process(&mut record.owner, owner.start, owner.tgid);
    record.header = header(kind::CONNECTION, container);
    record.cookie = tcp.cookie();
    record.event = event;
    record.role = storage.role.get();
    record.fate = storage.fate.get();
    record.previous_fate = record.fate;
    record.old_state = tcp.sock().state();
    record.new_state = record.old_state;
    send(container, record);
}
