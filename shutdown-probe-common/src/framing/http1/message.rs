//! What a complete head means, and the end of a message.

use super::super::half::state::{ENDLESS, SKIP};
use super::super::http2;
use super::{Direction, Framing, MOST_OUTSTANDING, START, framing_flag, inner, mark, state};

/// An empty line ended a head, or the trailers.
#[inline(always)]
pub(super) fn head_end(framing: &mut Framing, direction: Direction) {
    let half = framing.half(direction);
    if half.has(mark::TRAILER) {
        end(framing, direction);
    } else if direction == Direction::Inbound {
        request(framing);
    } else {
        answer(framing);
    }
}

/// A request's head is complete (RFC 9112, section 6.3).
#[inline(always)]
fn request(framing: &mut Framing) {
    let half = &framing.inbound;
    let (head, connect) = (half.has(mark::HEAD), half.has(mark::CONNECT));
    let undelimited = half.has(mark::CODED) && !half.has(mark::CHUNKED);
    if !half.has(mark::ANSWERED) {
        let own = framing.http1();
        if own.outstanding >= MOST_OUTSTANDING || undelimited {
            framing.lose();
            return;
        }
        let bit = 1_u32 << (own.outstanding & 31);
        own.heads |= if head { bit } else { 0 };
        own.connects |= if connect { bit } else { 0 };
        own.outstanding += 1;
    }
    body(framing, Direction::Inbound, false);
}

/// An answer's head is complete.
#[inline(always)]
fn answer(framing: &mut Framing) {
    let own = framing.http1();
    let head = own.heads & 1 != 0;
    let connect = own.connects & 1 != 0;
    let half = &mut framing.outbound;
    if half.has(mark::INTERIM) {
        half.marks = 0;
        half.enter(START);
    } else if half.has(mark::SWITCH) || connect && half.has(mark::SUCCESS) {
        upgrade(framing);
    } else if head || half.has(mark::BODILESS) {
        end(framing, Direction::Outbound);
    } else {
        body(framing, Direction::Outbound, true);
    }
}

/// What follows the head: chunks, so many bytes, or, without either, `endless` or nothing.
#[inline(always)]
fn body(framing: &mut Framing, direction: Direction, endless: bool) {
    let half = framing.half(direction);
    if half.has(mark::CHUNKED) {
        half.enter(state::CHUNK);
    } else if half.has(mark::LENGTH) && !half.has(mark::CODED) {
        if half.left == 0 {
            end(framing, direction);
        } else {
            half.enter(SKIP);
        }
    } else if endless {
        half.enter(ENDLESS);
    } else {
        end(framing, direction);
    }
}

/// The connection carries something else from here on (RFC 9110, sections 7.8 and 9.3.6).
#[inline(always)]
fn upgrade(framing: &mut Framing) {
    let half = &mut framing.outbound;
    if half.has(mark::SWITCH) && half.has(mark::H2C) {
        // The client must have sent its request in full, and waits for this answer.
        if framing.inbound.state == START {
            http2::begin(framing, true);
        } else {
            framing.lose();
        }
        return;
    }
    let websocket = half.has(mark::SWITCH) && half.has(mark::WEBSOCKET);
    half.marks &= mark::WEBSOCKET;
    half.enter(if websocket { state::FRAME } else { ENDLESS });
    framing.inbound.enter(ENDLESS);
    framing.flags = framing.flags & !inner::MESSAGE | framing_flag::UPGRADED;
}

/// A message is complete.
#[inline(always)]
pub(super) fn end(framing: &mut Framing, direction: Direction) {
    if direction == Direction::Outbound {
        answered(framing);
    }
    let half = framing.half(direction);
    half.marks = 0;
    half.enter(START);
}

/// The oldest request has its final answer. Without one this answers a head that is still arriving, or
/// nobody (408 to a connection on which nothing was asked).
#[inline(always)]
fn answered(framing: &mut Framing) {
    let arriving = framing.inbound.is_in_head();
    let own = framing.http1();
    if own.outstanding > 0 {
        own.outstanding -= 1;
        own.heads >>= 1;
        own.connects >>= 1;
    } else if arriving {
        framing.inbound.marks |= mark::ANSWERED;
    }
}
