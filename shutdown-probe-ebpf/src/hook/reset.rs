//! Resets, received and sent. A reset is sent where a connection attempt finds no listener, and
//! where the peer's bytes find a connection that we have closed.

use crate::connection::{container_of, ended_well, remember, state};
use crate::container::Known;
use crate::desk::{Desk, Papers, clear, put_process, through_memory};
use crate::emit::{emit, header, send};
use crate::kernel::{Address, Packet, Sock, probe, probe_at, put_v4, put_v6};
use crate::listener::listener;
use crate::maps::{Closed, Listener, closed};
use crate::offsets::{
    DEVICE_NET, NET_INUM, SKB_DATA, SKB_DEVICE, SKB_HEAD, SKB_LEN, SKB_NETWORK_HEADER, SKB_TRANSPORT_HEADER,
    SOCK_NET,
};
use core::ffi::c_void;
use shutdown_probe_common::connection::{Tuple, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::{NO_END, control_length, may_be_request};
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
    let Some(papers) = Desk::ResetReceived.take() else { return };
    let Some(container) = container_of(tcp, tcp.storage(), &mut papers.address) else { return };
    if let Some(storage) = remember(tcp, container.id, role::SERVER) {
        storage.set(flag::PEER_RESET);
    }
}

/// A segment that is answered by a reset.
struct Segment {
    flags: u8,
    /// How many bytes it carries.
    payload: u32,
    /// Where they begin, in the packet.
    before_payload: u32,
}

const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
const FLAG_ACK: u8 = 0x10;

/// `tcp_send_reset`, or the functions behind it where the hook tells less. The arguments are read
/// as numbers: the socket may be missing, which some verifiers do not believe.
#[inline(always)]
pub fn sent(desk: Desk, arguments: *const c_void, packet: Option<Packet>) {
    let [sk, skb] = probe_at::<[Address; 2]>(arguments as Address);
    // A reset of our own accord answers nothing.
    if skb == 0 {
        return;
    }
    let Some(papers) = desk.take() else { return };
    let Some(segment) = segment(sk, skb, &mut papers.record.tuple) else { return };
    if segment.flags & FLAG_RST != 0 {
        return;
    }
    if segment.flags & (FLAG_SYN | FLAG_ACK) == FLAG_SYN {
        if sk == 0 {
            refused(papers);
        }
    } else if segment.payload > 0 {
        match closed(&papers.record.tuple) {
            Some(closed) => after_close(papers, closed, &segment, packet),
            None if sk == 0 => put_off(papers, segment.payload),
            None => {}
        }
    }
}

/// The segment, its ends seen from here: ours is where it was going.
#[inline(always)]
fn segment(sk: Address, skb: Address, tuple: &mut Tuple) -> Option<Segment> {
    let head: Address = probe(skb, &SKB_HEAD);
    let network = head + u64::from(probe::<u16>(skb, &SKB_NETWORK_HEADER));
    let transport = head + u64::from(probe::<u16>(skb, &SKB_TRANSPORT_HEADER));
    match probe_at::<u8>(network) >> 4 {
        4 => {
            put_v4(network + 12, &mut tuple.remote_address);
            put_v4(network + 16, &mut tuple.local_address);
        }
        6 => {
            put_v6(network + 8, &mut tuple.remote_address);
            put_v6(network + 24, &mut tuple.local_address);
        }
        _ => return None,
    }
    let header: [u8; 16] = probe_at(transport);
    tuple.netns = netns(sk, skb);
    tuple.local_port = u16::from_be_bytes([header[2], header[3]]);
    tuple.remote_port = u16::from_be_bytes([header[0], header[1]]);
    let header_length = u64::from(header[12] >> 4) * 4;
    // Where the data pointer stands, before or behind the header, differs between callers.
    let data: Address = probe(skb, &SKB_DATA);
    let before_payload = (transport + header_length).saturating_sub(data) as u32;
    let length: u32 = probe(skb, &SKB_LEN);
    Some(Segment { flags: header[13], payload: length.saturating_sub(before_payload), before_payload })
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
fn refused(papers: &mut Papers) {
    let Some((_, container)) = ending_listener(papers) else { return };
    container.count_fate(Fate::Refused as u8);
    let tuple = papers.record.tuple;
    emit!(container.id, Refused { header: header(kind::REFUSED, container.id), tuple });
}

/// Sockets count their cookies from 1 on: none has this bit.
const NO_SOCKET: u64 = 1 << 63;

/// The client believes that its handshake is over; the listener had put off the end of it until data came
/// (TCP_DEFER_ACCEPT), or had no room for one more, and is gone.
#[inline(never)]
fn put_off(papers: &mut Papers, payload: u32) {
    let Some((listener, container)) = ending_listener(papers) else { return };
    let pending = listener.pending.get();
    if pending == 0 || listener.sockets.get() != 0 {
        return;
    }
    listener.pending.set(pending - 1);
    let record = &mut papers.record;
    record.fate = Fate::NeverAccepted as u8;
    record.previous_fate = record.fate;
    container.count_fate(record.fate);
    clear(&mut record.evidence);
    record.evidence.unread = payload;
    put_process(&mut record.owner, 0, 0);
    record.header = header(kind::CONNECTION, container.id);
    record.cookie = record.header.at | NO_SOCKET;
    record.event = connection_event::ENDED;
    record.role = role::SERVER;
    record.old_state = state::SYN_RECV;
    record.new_state = state::CLOSE;
    send(container.id, record);
}

/// Who listened where the segment was going, if the container's end is being told.
#[inline(always)]
fn ending_listener(papers: &mut Papers) -> Option<(&'static Listener, Known)> {
    let Papers { record, address, .. } = papers;
    address.address = record.tuple.local_address;
    address.netns = record.tuple.netns;
    address.port = record.tuple.local_port;
    let listener = listener(address)?;
    let container = Known::get(listener.container.get())?;
    let closed_at = listener.closed_at.get();
    let closed_before = closed_at != 0 && closed_at + EARLY_CLOSE_NS < container.began_at();
    if closed_before || !container.is_narrating() { None } else { Some((listener, container)) }
}

/// The peer's bytes crossed our FIN, or came long after it.
#[inline(always)]
fn after_close(papers: &mut Papers, closed: &Closed, segment: &Segment, packet: Option<Packet>) {
    let record = &mut papers.record;
    let previous = closed.fate.get();
    if !ended_well(previous) {
        return;
    }
    let Some(container) = Known::get(closed.container) else { return };
    let undelivered = closed.undelivered.get();
    if undelivered == 0 && !carries_request(closed, segment, packet) {
        return;
    }
    let fate = if undelivered > 0 { Fate::UndeliveredResponse } else { Fate::RequestAfterClose };
    let fate = through_memory(&mut record.fate, fate as u8);
    closed.fate.set(fate);
    container.move_fate(previous, fate);
    clear(&mut record.evidence);
    record.evidence.undelivered = undelivered;
    record.evidence.unread = segment.payload;
    record.previous_fate = previous;
    tell_revised(record, closed);
}

/// More frames than a client sends by itself once the connection is closed.
const MOST_CONTROL_FRAMES: u32 = 8;

/// Whether the peer's bytes are a request: by what they are where they can be seen, else by how many they are. What
/// it has begun before goes on first.
#[inline(always)]
fn carries_request(closed: &Closed, segment: &Segment, packet: Option<Packet>) -> bool {
    let rest = closed.rest.get();
    if segment.payload <= rest {
        closed.rest.set(if rest == NO_END { NO_END } else { rest - segment.payload });
        return false;
    }
    let (protocol, flags) = (closed.protocol.get(), closed.framing_flags.get());
    let unknown = may_be_request(protocol, flags, segment.payload - rest);
    let Some(packet) = packet else { return unknown };
    let mut passed = rest;
    for _ in 0..MOST_CONTROL_FRAMES {
        if passed >= segment.payload {
            closed.rest.set(passed - segment.payload);
            return false;
        }
        let mut head = [0; 8];
        let left = segment.payload - passed;
        if !packet.read(segment.before_payload + passed, &mut head, if left < 8 { left } else { 8 }) {
            return unknown;
        }
        let length = control_length(protocol, flags, u64::from_le_bytes(head));
        if length == 0 {
            return true;
        }
        passed = passed.saturating_add(length);
    }
    true
}

#[inline(always)]
fn tell_revised(record: &mut ConnectionRecord, closed: &Closed) {
    record.header = header(kind::CONNECTION, closed.container);
    record.cookie = closed.cookie;
    put_process(&mut record.owner, closed.owner.start, closed.owner.tgid);
    record.event = connection_event::REVISED;
    record.role = closed.role;
    record.old_state = state::CLOSE;
    record.new_state = state::CLOSE;
    send(closed.container, record);
}
