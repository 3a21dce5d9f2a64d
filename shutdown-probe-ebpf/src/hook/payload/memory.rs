//! Bytes that lie in the application's memory: what it gives to be sent and, where no tracepoint shows
//! the packets, what it has received.

use super::packet::reader;
use super::walk::{Place, Source};
use super::{Stretch, followed, pass, pass_unseen};
use crate::kernel::{Address, Form, Message, Packet, Piece, Sock, Tcp, read_user};
use crate::maps::Socket;
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use shutdown_probe_common::framing::{Direction, Window};

/// `UIO_MAXIOV`: more pieces than this are never given.
const MAX_PIECES: u32 = 1024;
const PIECE: u64 = size_of::<Piece>() as u64;

/// `tcp_sendmsg_locked` is about to take bytes, and comes here again for the next. Only those are looked at for which
/// there is room: what finds none the application sends again, or something else in its place.
#[inline(always)]
pub fn sending(sk: Sock, message: Message, segment: Segment) {
    let Some((tcp, storage)) = writer(sk) else { return };
    let (first, ahead, room) = (tcp.write_seq(), message.bytes_ahead(), segment.room(tcp));
    let bytes = if ahead < room { ahead } else { room };
    if bytes == 0 {
        return;
    }
    let place = match message.form() {
        Form::One { at } => Place { at, length: bytes.into(), next: at },
        Form::Several { at, into } => from(at, into),
        Form::Pages => {
            return pass_unseen(storage.framing(), Direction::Outbound, first.wrapping_add(bytes));
        }
    };
    pass::<_, true>(storage, Stretch { first, bytes, place }, Memory);
}

/// The segment to which the next bytes are added.
pub struct Segment {
    /// How long the last of the queue is, if there is one.
    pub length: u32,
    /// How long it may become.
    pub most: u32,
}

impl Segment {
    /// How many bytes are taken for certain: as many as fit into it, or into a new one where memory is left for one.
    #[inline(always)]
    fn room(&self, tcp: Tcp) -> u32 {
        if self.length != 0 && self.length < self.most {
            self.most - self.length
        } else if tcp.has_memory() {
            self.most
        } else {
            0
        }
    }
}

/// The connection that is written to, where that is to be followed.
#[inline(always)]
fn writer(sk: Sock) -> Option<(Tcp, &'static Socket)> {
    let storage = followed(sk).filter(|storage| storage.framing().is_begun())?;
    Some((sk.tcp()?, storage))
}

/// `tcp_sendmsg_locked` has taken so many bytes, which lie behind the iterator.
#[inline(always)]
pub fn sent(sk: Sock, message: Message, bytes: u32) {
    let Some((tcp, storage)) = writer(sk) else { return };
    let next = tcp.write_seq();
    match behind(message, bytes) {
        Some(place) => {
            let first = next.wrapping_sub(bytes);
            pass::<_, true>(storage, Stretch { first, bytes, place }, Memory);
        }
        None => pass_unseen(storage.framing(), Direction::Outbound, next),
    }
}

/// `skb_copy_datagram_iter` has copied so many bytes, which lie behind the iterator. Not where `tcp_recvmsg_locked`
/// returns: compilers make one function of it and its caller (6.1), which returns without the lock.
#[inline(always)]
pub fn copied(packet: Packet, offset: u32, message: Message, bytes: u32) {
    let Some((_, storage)) = reader(packet) else { return };
    let Some(place) = behind(message, bytes) else { return };
    let first = packet.sequence().wrapping_add(offset);
    pass::<_, false>(storage, Stretch { first, bytes, place }, Memory);
}

/// From so far into this piece on.
#[inline(always)]
fn from(at: Address, into: u64) -> Place {
    let first = Piece::at(at);
    Place { at: first.base + into, length: first.length.saturating_sub(into), next: at + PIECE }
}

/// Where the last so many bytes before the iterator begin. Nowhere to be read from here, where they lie in pages:
/// sendfile() and splice().
#[inline(always)]
fn behind(message: Message, bytes: u32) -> Option<Place> {
    match message.form() {
        Form::One { at } => {
            let first = at - u64::from(bytes);
            Some(Place { at: first, length: bytes.into(), next: first })
        }
        Form::Several { at, into } => Some(until(at, into, bytes)),
        Form::Pages => None,
    }
}

/// The last so many bytes before this place.
#[inline(always)]
fn until(at: Address, into: u64, bytes: u32) -> Place {
    let bytes = u64::from(bytes);
    if bytes <= into {
        // All in the piece that the iterator is in, as in most calls.
        return Place { at: Piece::at(at).base + into - bytes, length: bytes, next: at };
    }
    let mut search = Search { at, length: into, missing: bytes - into };
    let (callback, context) = (back as *mut c_void, (&raw mut search).cast());
    // SAFETY: the callback is of the type that the helper calls, with this context.
    unsafe { bpf_loop(MAX_PIECES, callback, context, 0) };
    let first = Piece::at(search.at);
    let at = first.base + first.length.wrapping_sub(search.length);
    Place { at, length: search.length, next: search.at + PIECE }
}

/// The way back from where the iterator stands.
#[repr(C)]
struct Search {
    at: Address,
    /// How much of the piece is asked for: its end.
    length: u64,
    missing: u64,
}

/// One piece back.
unsafe extern "C" fn back(_: u64, search: *mut Search) -> i64 {
    // SAFETY: the loop is given the address of a `Search` that outlives it.
    let search = unsafe { &mut *search };
    search.at -= PIECE;
    let length = Piece::at(search.at).length;
    if length >= search.missing {
        search.length = search.missing;
        return 1;
    }
    search.missing -= length;
    0
}

/// The memory of the process that runs.
struct Memory;

impl Source for Memory {
    #[inline(always)]
    fn enter_next(&self, place: &mut Place) {
        let piece = Piece::at(place.next);
        place.at = piece.base;
        place.length = piece.length;
        place.next += PIECE;
    }

    #[inline(always)]
    fn copy(&self, from: Address, window: &mut Window, length: u32) -> bool {
        read_user(from, window.bytes_mut(), length)
    }
}
