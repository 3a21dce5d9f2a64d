//! The header of a frame (RFC 9113, section 4.1), and what each type means here (section 6).

use super::super::half::state::SKIP;
use super::{Direction, Framing, framing_flag, mark, skipped, state, streams};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Types that belong to a stream, one bit each: DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION.
const OF_STREAM: u32 = 0b10_0010_1111;
/// Types that belong to the connection: SETTINGS, PING, GOAWAY.
const OF_CONNECTION: u32 = 0b1101_0000;

const END_STREAM: u8 = 1;
/// The bits of a stream's number; the highest is reserved.
const STREAM: u32 = u32::MAX >> 1;

/// A header is complete: eight bytes of it in `carry`, and `low`.
#[inline(always)]
pub(super) fn header(framing: &mut Framing, direction: Direction, low: u8, in_window: bool) {
    let half = framing.half(direction);
    // Length (24 bits), type, flags and the upper three bytes of the stream, in this order.
    let word = half.carry.swap_bytes();
    let length = (word >> 40) as u32;
    let kind = (word >> 32) as u8;
    let flags = (word >> 24) as u8;
    let stream = ((word as u32) << 8 | u32::from(low)) & STREAM;
    if !is_possible(kind, length, stream) {
        framing.lose();
        return;
    }
    half.enter(SKIP);
    half.left = u64::from(length);
    half.carry = u64::from(stream);
    match direction {
        Direction::Inbound => client(framing, kind, stream),
        Direction::Outbound => server(framing, kind, flags, stream, in_window),
    }
    if length == 0 {
        skipped(framing, direction);
    }
}

/// Not one of the errors that end a connection and that a header shows.
#[inline(always)]
fn is_possible(kind: u8, length: u32, stream: u32) -> bool {
    let bit = if kind < 16 { 1_u32 << kind } else { 0 };
    let placed = if stream == 0 { bit & OF_STREAM == 0 } else { bit & OF_CONNECTION == 0 };
    let sized = match kind {
        RST_STREAM | WINDOW_UPDATE => length == 4,
        PING => length == 8,
        GOAWAY => length >= 8,
        _ => true,
    };
    placed && sized
}

#[inline(always)]
fn client(framing: &mut Framing, kind: u8, stream: u32) {
    let last = framing.http2().last;
    let odd = stream & 1 != 0;
    let idle = odd && stream > last;
    if kind == PUSH_PROMISE || kind == HEADERS && !odd || kind == RST_STREAM && idle {
        framing.lose();
    } else if kind == HEADERS && idle {
        framing.inbound.marks = mark::OPEN;
    } else if kind == RST_STREAM && odd {
        framing.inbound.marks = mark::CLOSE;
    }
}

#[inline(always)]
fn server(framing: &mut Framing, kind: u8, flags: u8, stream: u32, in_window: bool) {
    if kind == GOAWAY {
        let half = &mut framing.outbound;
        half.enter(state::GOAWAY);
    }
    // What it pushes was not asked for.
    if !matches!(kind, DATA | HEADERS | RST_STREAM) || stream & 1 == 0 {
        return;
    }
    if stream > framing.http2().last {
        framing.lose();
    } else if kind == RST_STREAM {
        if streams::close(framing, stream) && in_window {
            framing.resets = framing.resets.saturating_add(1);
        }
    } else {
        let ends = flags & END_STREAM != 0;
        if in_window {
            framing.flags |= framing_flag::ANSWERED;
        }
        streams::begin_answer(framing, stream, kind == HEADERS && !ends);
        if ends {
            framing.outbound.marks = mark::CLOSE;
        }
    }
}

/// The first four bytes of a GOAWAY's payload are in `carry`. A second one can only allow less.
#[inline(always)]
pub(super) fn goaway(framing: &mut Framing) {
    let half = &mut framing.outbound;
    let stream = (half.carry as u32).swap_bytes() & STREAM;
    half.enter(SKIP);
    half.left -= 4;
    framing.http2().allowed = stream;
    framing.flags |= framing_flag::GOAWAY;
}
