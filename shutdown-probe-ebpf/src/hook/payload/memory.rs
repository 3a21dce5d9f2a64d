//! Bytes that lie in the application's memory: what it gives to be sent and, where no tracepoint shows
//! the packets, what it has received.

use super::packet::reader;
use super::walk::{Place, Source};
use super::{Stretch, followed, pass, pass_unseen};
use crate::kernel::{Address, Form, Message, Packet, Piece, Sock, read_user};
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use shutdown_probe_common::framing::{Direction, Window};

/// `UIO_MAXIOV`: more pieces than this are never given.
const MAX_PIECES: u32 = 1024;
const PIECE: u64 = size_of::<Piece>() as u64;

/// `tcp_sendmsg_locked` begins, or goes on: all that is still to be sent is ahead of the iterator. What
/// finds no room the application will send again.
#[inline(always)]
pub fn sending(sk: Sock, message: Message) {
    let Some(storage) = followed(sk) else { return };
    if !storage.framing().is_begun() {
        return;
    }
    let Some(tcp) = sk.tcp() else { return };
    let (first, bytes) = (tcp.write_seq(), message.bytes_ahead());
    let place = match message.form() {
        Form::One { at } => one(at, bytes),
        Form::Several { at, into } => from(at, into),
        // sendfile() and splice(): not to be read from here.
        Form::Pages => {
            return pass_unseen(storage.framing(), Direction::Outbound, first.wrapping_add(bytes));
        }
    };
    pass::<_, true>(storage, Stretch { first, bytes, place }, Memory);
}

/// `skb_copy_datagram_iter` has copied so many bytes, which lie behind the iterator. Not where `tcp_recvmsg_locked`
/// returns: compilers make one function of it and its caller (6.1), which returns without the lock.
#[inline(always)]
pub fn copied(packet: Packet, offset: u32, message: Message, bytes: u32) {
    let Some((_, storage)) = reader(packet) else { return };
    let place = match message.form() {
        Form::One { at } => one(at - u64::from(bytes), bytes),
        Form::Several { at, into } => until(at, into, bytes),
        Form::Pages => return,
    };
    let first = packet.sequence().wrapping_add(offset);
    pass::<_, false>(storage, Stretch { first, bytes, place }, Memory);
}

#[inline(always)]
fn one(at: Address, bytes: u32) -> Place {
    Place { at, length: bytes.into(), next: at }
}

/// From so far into this piece on.
#[inline(always)]
fn from(at: Address, into: u64) -> Place {
    let first = Piece::at(at);
    Place { at: first.base + into, length: first.length.saturating_sub(into), next: at + PIECE }
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
