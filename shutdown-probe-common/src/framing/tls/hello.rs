//! The client's first message (RFC 8446, section 4.1.2): does it offer HTTP/2 (RFC 7301)? Where it does not, small
//! records are words of the application, not control frames.
//!
//! Nothing else of it is looked at. A message that goes on in a second record, or breaks its own lengths, says nothing.
//!
//! Invariant: no byte behind the record is taken for a part of it.

use super::super::half::state::{OWN, SKIP, START};
use super::{Direction, Framing, Window, framing_flag, mark, skipped};

/// What is read next; what lies between is passed over.
mod state {
    use super::{OWN, START};
    /// Nothing: the rest does not matter.
    pub const END: u8 = START;
    /// The type of the message.
    pub const TYPE: u8 = OWN;
    /// The length of the session's name.
    pub const SESSION: u8 = OWN + 1;
    /// The length of the list of ciphers.
    pub const CIPHERS: u8 = OWN + 2;
    /// The length of the list of compressions.
    pub const COMPRESSIONS: u8 = OWN + 3;
    /// The length of all extensions.
    pub const EXTENSIONS: u8 = OWN + 4;
    /// An extension's type and length.
    pub const EXTENSION: u8 = OWN + 5;
    /// The length of the list of protocols.
    pub const NAMES: u8 = OWN + 6;
    /// The length of a protocol's name.
    pub const NAME: u8 = OWN + 7;
    /// The two letters of a short one.
    pub const LETTERS: u8 = OWN + 8;
}

const CLIENT_HELLO: u32 = 1;
/// What stands between its type and the length of the session's name: its own length, a version, 32 random bytes.
const PREAMBLE: u32 = 3 + 2 + 32;
/// `application_layer_protocol_negotiation`.
const ALPN: u32 = 16;
const HTTP2: u32 = u16::from_be_bytes(*b"h2") as u32;

/// The record that begins has so many bytes, at least one, and is the client's first.
#[inline(always)]
pub(super) fn begin(framing: &mut Framing, length: u32) {
    framing.tls().ahead = (length - 1) as u16;
    framing.inbound.enter(state::TYPE);
}

/// Reads a number, or a part of it, and says how many bytes that took.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.inbound;
    let (state, need) = (half.state, size(half.state));
    let taken = half.gather(window, at, end, need);
    if half.count != need {
        return taken;
    }
    let value = (half.carry.swap_bytes() >> ((64 - u32::from(need) * 8) & 63)) as u32;
    let (bytes, next) = after(framing, state, value);
    pass(framing, bytes, next);
    taken
}

/// What follows a number: so many bytes that say nothing, then the next number.
#[inline(always)]
fn after(framing: &mut Framing, state: u8, value: u32) -> (u32, u8) {
    let own = framing.tls();
    match state {
        state::TYPE if value == CLIENT_HELLO => (PREAMBLE, state::SESSION),
        state::SESSION => (value, state::CIPHERS),
        state::CIPHERS => (value, state::COMPRESSIONS),
        state::COMPRESSIONS => (value, state::EXTENSIONS),
        state::EXTENSIONS if value == u32::from(own.ahead) => (0, state::EXTENSION),
        state::EXTENSION if value >> 16 == ALPN => (0, state::NAMES),
        state::EXTENSION => (value & 0xFFFF, state::EXTENSION),
        state::NAMES => {
            own.names = value as u16;
            (0, state::NAME)
        }
        state::NAME if value == 2 => (0, state::LETTERS),
        state::NAME => next_name(framing, value, value),
        state::LETTERS if value != HTTP2 => next_name(framing, 2, 0),
        _ => (0, state::END),
    }
}

/// A name of this length was another; so many bytes of it are still to come.
#[inline(always)]
fn next_name(framing: &mut Framing, length: u32, left: u32) -> (u32, u8) {
    let own = framing.tls();
    let taken = length + 1;
    if taken < u32::from(own.names) {
        own.names -= taken as u16;
        return (left, state::NAME);
    }
    framing.flags |= framing_flag::SMALL;
    (0, state::END)
}

/// How many bytes a number has.
#[inline(always)]
fn size(state: u8) -> u8 {
    match state {
        state::TYPE | state::SESSION | state::COMPRESSIONS | state::NAME => 1,
        state::EXTENSION => 4,
        _ => 2,
    }
}

/// Passes over so many bytes, up to the next number; where the record ends before it, to its end.
#[inline(always)]
fn pass(framing: &mut Framing, bytes: u32, next: u8) {
    let own = framing.tls();
    let ahead = u32::from(own.ahead);
    let wanted = bytes + u32::from(size(next));
    if next != state::END && wanted <= ahead {
        own.ahead = (ahead - wanted) as u16;
        let half = &mut framing.inbound;
        half.enter(if bytes == 0 { next } else { SKIP });
        half.left = u64::from(bytes);
        half.marks = if bytes == 0 { 0 } else { u16::from(next) << mark::NEXT };
        return;
    }
    own.ahead = 0;
    let is_whole = next == state::EXTENSION && bytes == ahead;
    framing.flags |= if is_whole { framing_flag::SMALL } else { 0 };
    let half = &mut framing.inbound;
    half.enter(SKIP);
    half.left = u64::from(ahead);
    half.marks = 0;
    if ahead == 0 {
        skipped(framing, Direction::Inbound);
    }
}
