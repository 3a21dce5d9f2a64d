//! Resets, received and sent. A reset is sent where a connection attempt finds no listener, and
//! where the peer's bytes find a connection that we have closed.

use crate::connection::{container_of, remember, state};
use crate::container::Known;
use crate::emit::{emit, header};
use crate::kernel::{Address, Sock, mapped, probe, probe_at};
use crate::listener::listener;
use crate::maps::{CLOSED, Closed};
use crate::offsets::{
    DEVICE_NET, NET_INUM, SKB_DATA, SKB_DEVICE, SKB_HEAD, SKB_LEN, SKB_NETWORK_HEADER, SKB_TRANSPORT_HEADER,
    SOCK_NET,
};
use core::ffi::c_void;
use shutdown_probe_common::connection::{Evidence, ListenAddress, Tuple, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{ConnectionRecord, Refused, connection_event, kind};

/// How long before a termination a listener may have been closed for its refusals to count, in ns:
/// the order of a stop signal and what it causes is not always the order in which we hear of it.
const EARLY_CLOSE_NS: u64 = 1_000_000_000;

/// `tcp_receive_reset`.
#[inline(always)]
pub fn received(sk: Sock) {
    if !matches!(sk.state(), state::ESTABLISHED | state::CLOSE_WAIT) {
        if let Some(storage) = sk.storage() {
            storage.set(flag::PEER_RESET);
        }
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    let storage = tcp.storage();
    let Some(container) = container_of(tcp, storage) else { return };
    if let Some(storage) = remember(tcp, container.id, role::SERVER) {
        storage.set(flag::PEER_RESET);
    }
}

/// A segment that is answered by a reset.
struct Segment {
    tuple: Tuple,
    flags: u8,
    payload: u32,
}

const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// `tcp_send_reset`, or the functions behind it where the hook tells less. The arguments are read
/// as numbers: the socket may be missing, which some verifiers do not believe.
#[inline(always)]
pub fn sent(arguments: *const c_void) {
    let [sk, skb] = probe_at::<[Address; 2]>(arguments as Address);
    // A reset of our own accord answers nothing.
    if skb == 0 {
        return;
    }
    let Some(segment) = segment(sk, skb) else { return };
    if segment.flags & FLAG_RST != 0 {
        return;
    }
    if segment.flags & (FLAG_SYN | FLAG_ACK) == FLAG_SYN {
        if sk == 0 {
            refused(segment.tuple);
        }
    } else if segment.payload > 0 {
        after_close(&segment.tuple);
    }
}

/// The segment, seen from here: our end is where it was going.
#[inline(always)]
fn segment(sk: Address, skb: Address) -> Option<Segment> {
    let head: Address = probe(skb, &SKB_HEAD);
    let network = head + u64::from(probe::<u16>(skb, &SKB_NETWORK_HEADER));
    let transport = head + u64::from(probe::<u16>(skb, &SKB_TRANSPORT_HEADER));
    let (remote_address, local_address) = match probe_at::<u8>(network) >> 4 {
        4 => (mapped(probe_at(network + 12)), mapped(probe_at(network + 16))),
        6 => (probe_at(network + 8), probe_at(network + 24)),
        _ => return None,
    };
    let header: [u8; 16] = probe_at(transport);
    let header_length = u64::from(header[12] >> 4) * 4;
    // Where the data pointer stands, before or behind the header, differs between callers.
    let data: Address = probe(skb, &SKB_DATA);
    let before_payload = (transport + header_length).saturating_sub(data);
    let length: u32 = probe(skb, &SKB_LEN);
    let tuple = Tuple {
        local_address,
        remote_address,
        netns: netns(sk, skb),
        local_port: u16::from_be_bytes([header[2], header[3]]),
        remote_port: u16::from_be_bytes([header[0], header[1]]),
    };
    Some(Segment { tuple, flags: header[13], payload: length.saturating_sub(before_payload as u32) })
}

#[inline(always)]
fn netns(sk: Address, skb: Address) -> u32 {
    let net = if sk != 0 {
        probe(sk, &SOCK_NET)
    } else {
        let device: Address = probe(skb, &SKB_DEVICE);
        probe(device, &DEVICE_NET)
    };
    probe(net, &NET_INUM)
}

#[inline(always)]
fn refused(tuple: Tuple) {
    let address = ListenAddress {
        address: tuple.local_address,
        netns: tuple.netns,
        port: tuple.local_port,
        reserved: 0,
    };
    let Some(listener) = listener(&address) else { return };
    let Some(container) = Known::get(listener.container.get()) else { return };
    let closed_at = listener.closed_at.get();
    let closed_before = closed_at != 0 && closed_at + EARLY_CLOSE_NS < container.began_at();
    if closed_before || !container.is_narrating() {
        return;
    }
    container.count_fate(Fate::Refused);
    emit!(container.id, Refused { header: header(kind::REFUSED, container.id), tuple });
}

/// The peer's bytes crossed our FIN, or came long after it.
#[inline(always)]
fn after_close(tuple: &Tuple) {
    // SAFETY: the map's value lives at least until the program ends; its words are cells.
    let Some(closed) = CLOSED.get_ptr(tuple).map(|closed| unsafe { &*closed }) else { return };
    let previous = closed.fate.get();
    if previous != Fate::Drained as u8 && previous != Fate::ClosedIdle as u8 {
        return;
    }
    let Some(container) = Known::get(closed.container) else { return };
    let undelivered = closed.undelivered.get();
    let fate = if undelivered > 0 { Fate::UndeliveredResponse } else { Fate::RequestAfterClose };
    closed.fate.set(fate as u8);
    container.move_fate(previous, fate);
    tell_revised(closed, *tuple, previous, fate, undelivered);
}

#[inline(always)]
fn tell_revised(closed: &Closed, tuple: Tuple, previous: u8, fate: Fate, undelivered: u32) {
    emit!(
        closed.container,
        ConnectionRecord {
            header: header(kind::CONNECTION, closed.container),
            cookie: closed.cookie,
            owner: closed.owner,
            tuple,
            evidence: Evidence { received: 0, sent: 0, unread: 0, written: 0, undelivered, flags: 0 },
            event: connection_event::REVISED,
            fate: fate as u8,
            previous_fate: previous,
            role: closed.role,
            old_state: state::CLOSE,
            new_state: state::CLOSE,
            reserved: [0; 2],
        }
    );
}
