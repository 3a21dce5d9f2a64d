//! What the application reads and writes goes past the parser, each byte once and in order.
//!
//! Runs under the socket's lock, in the application's context: where TCP copies to it from a packet
//! ([`packet`]) and where the kernel's own functions return and the bytes lie in the application's memory
//! ([`memory`]). Above the transport: no loss, no
//! reordering and no retransmission gets here.
//!
//! Invariant: bytes that went by unseen are noticed by their sequence numbers; unless nobody has to
//! look at them, the connection is followed no more.

mod memory;
mod packet;
mod walk;

pub use memory::{Segment, copied, sending, sent};
pub use packet::copying;
pub use walk::Walk;

use crate::container::Known;
use crate::kernel::Sock;
use crate::maps::Socket;
use crate::offsets::PROTOCOLS;
use shutdown_probe_common::connection::role;
use shutdown_probe_common::framing::{Direction, Framing, protocol};
use walk::{Bytes, Place, Source, walk};

/// What is remembered of it, where its bytes are to be looked at.
#[inline(always)]
fn followed(sk: Sock) -> Option<&'static Socket> {
    sk.storage().filter(|storage| is_followed(storage))
}

#[inline(always)]
fn is_followed(storage: &Socket) -> bool {
    storage.role.get() == role::SERVER && storage.framing().is_followed()
}

/// Bytes that nobody looked at and nobody will: all before this sequence number.
#[inline(always)]
pub fn pass_unseen(framing: &mut Framing, direction: Direction, before: u32) {
    if !can_pass_unseen(framing, direction, before) {
        framing.lose();
    }
}

/// Passes over them. Whether nobody has to look at them.
#[inline(always)]
pub fn can_pass_unseen(framing: &mut Framing, direction: Direction, before: u32) -> bool {
    let missed = before.wrapping_sub(framing.next(direction));
    (missed as i32) <= 0 || framing.skip(direction, missed) == missed
}

/// Bytes of the stream.
struct Stretch {
    /// The sequence number of the first.
    first: u32,
    /// How many.
    bytes: u32,
    /// Where they lie.
    place: Place,
}

/// Shows them to the parser. What it has seen before, it is not shown again: a look without taking (MSG_PEEK), or the
/// rest of what a segment has room for.
#[inline(always)]
fn pass<S: Source, const OUTBOUND: bool>(storage: &Socket, stretch: Stretch, source: S) {
    let Stretch { first, bytes: all, place } = stretch;
    let direction = if OUTBOUND { Direction::Outbound } else { Direction::Inbound };
    let framing = storage.framing();
    pass_unseen(framing, direction, first);
    let known = framing.next(direction).wrapping_sub(first);
    if known >= all || !framing.is_followed() {
        return;
    }
    let in_window =
        OUTBOUND && matches!(framing.protocol, protocol::HTTP2 | protocol::TLS) && is_narrating(storage);
    let is_read = walk::<_, OUTBOUND>(framing, Bytes { source, place, all, known, in_window });
    let framing = storage.framing();
    if !is_read || PROTOCOLS.load() & (1 << (framing.protocol & 63)) == 0 {
        framing.lose();
    }
}

#[inline(always)]
fn is_narrating(storage: &Socket) -> bool {
    Known::get(storage.container.get()).is_some_and(Known::is_narrating)
}
