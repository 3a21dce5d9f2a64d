//! HTTP/1.0 and 1.1 (RFC 9110, RFC 9112): which requests are complete, which answers.
//!
//! A message is its first line ([`first_line`]), its header lines ([`line`], [`value`]) and its body
//! ([`body`]); [`message`] decides what the head means. Only what gives a body its length is read.
//!
//! Invariant: a step never goes beyond the end of a message, so that bytes can be counted for it.

mod body;
mod first_line;
mod line;
mod message;
mod value;
mod websocket;

use super::half::Half;
use super::half::state::{ENDLESS, OWN, SKIP, START};
use super::state::{Framing, inner};
use super::window::Window;
use super::{Direction, Framed, Hand, framing_flag, protocol};
use bytemuck::{Pod, Zeroable};

/// The states of a direction. Up to [`state::EMPTY`] it is within a head.
mod state {
    use super::OWN;
    /// In an uninteresting header line, up to its end.
    pub const PASS: u8 = OWN;
    /// At the beginning of a header line.
    pub const LINE: u8 = OWN + 1;
    /// In the request's method.
    pub const METHOD: u8 = OWN + 2;
    /// Behind it, up to the end of the request line.
    pub const REQUEST: u8 = OWN + 3;
    /// In the first eight bytes of the status line.
    pub const VERSION: u8 = OWN + 4;
    /// In its status code.
    pub const STATUS: u8 = OWN + 5;
    /// After `content-`.
    pub const LENGTH_NAME: u8 = OWN + 6;
    /// In the value of Content-Length.
    pub const LENGTH: u8 = OWN + 7;
    /// After `transfer`.
    pub const CODING_NAME: u8 = OWN + 8;
    /// After `transfer-encodin`.
    pub const CODING_NAME_END: u8 = OWN + 9;
    /// In the value of Transfer-Encoding.
    pub const CODING: u8 = OWN + 10;
    /// In the value of Upgrade.
    pub const UPGRADE: u8 = OWN + 11;
    /// After the head: whatever is greater is a body or a stream.
    pub const HEAD_END: u8 = OWN + 12;
    /// In the size of a chunk.
    pub const CHUNK: u8 = OWN + 13;
    /// Behind the size.
    pub const CHUNK_EXTENSION: u8 = OWN + 14;
    /// Behind the bytes of a chunk.
    pub const CHUNK_END: u8 = OWN + 15;
    /// In the first line of the PROXY protocol, version 1.
    pub const PROXY_LINE: u8 = OWN + 16;
    /// In the first two bytes of a WebSocket frame.
    pub const FRAME: u8 = OWN + 17;
    /// In its longer length.
    pub const FRAME_LENGTH: u8 = OWN + 18;
}

/// What a message was found to be: bits of [`super::half::Half::marks`].
mod mark {
    /// It has a Content-Length, which is in `left`.
    pub const LENGTH: u16 = 1 << 0;
    /// It has a Transfer-Encoding.
    pub const CODED: u16 = 1 << 1;
    /// Whose last coding is `chunked`.
    pub const CHUNKED: u16 = 1 << 2;
    /// The last chunk has gone by: these lines are trailers.
    pub const TRAILER: u16 = 1 << 3;
    /// Status 1xx, but 101.
    pub const INTERIM: u16 = 1 << 4;
    /// Status 101.
    pub const SWITCH: u16 = 1 << 5;
    /// Status 204 or 304.
    pub const BODILESS: u16 = 1 << 6;
    /// Status 2xx.
    pub const SUCCESS: u16 = 1 << 7;
    /// `Upgrade: websocket`.
    pub const WEBSOCKET: u16 = 1 << 8;
    /// `Upgrade: h2c`.
    pub const H2C: u16 = 1 << 9;
    /// The method is HEAD.
    pub const HEAD: u16 = 1 << 10;
    /// The method is CONNECT.
    pub const CONNECT: u16 = 1 << 11;
    /// The request was answered before its head was whole.
    pub const ANSWERED: u16 = 1 << 12;
}

/// A longer head is not followed.
const MOST_HEAD: u32 = 1 << 20;

/// More unanswered requests are not followed.
const MOST_OUTSTANDING: u32 = 32;

/// What is remembered beside the two directions.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Http1 {
    /// Bytes of the answer in hand, or of the WebSocket frame.
    pub begun: u64,
    /// Requests whose head is complete and that have no final answer.
    pub outstanding: u32,
    /// One bit for each of them, the oldest lowest: its method is HEAD.
    pub heads: u32,
    /// Likewise: CONNECT.
    pub connects: u32,
    /// Bytes of the request's head so far.
    pub head: u32,
    pub reserved: [u64; 2],
}

/// Looks at some bytes, and says how many.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let to = match framing.half(direction).state {
        state::PASS | state::LINE => line::step(framing, direction, window, at, end),
        state::LENGTH_NAME | state::CODING_NAME | state::CODING_NAME_END => {
            line::name(framing, direction, window, at, end)
        }
        state::LENGTH => value::length(framing, direction, window, at, end),
        state::CODING | state::UPGRADE => value::token(framing, direction, window, at, end),
        state::CHUNK | state::CHUNK_EXTENSION | state::CHUNK_END => {
            body::step(framing, direction, window, at, end)
        }
        state::FRAME | state::FRAME_LENGTH => websocket::step(framing, window, at, end),
        _ => first_line::step(framing, direction, window, at, end),
    };
    // It may have become HTTP/2.
    if matches!(framing.protocol, protocol::UNSEEN | protocol::HTTP1) {
        count(framing, direction, to.wrapping_sub(at));
    }
    to.wrapping_sub(at)
}

/// Counts what was taken for the message it belongs to.
#[inline(always)]
fn count(framing: &mut Framing, direction: Direction, taken: u32) {
    let half = framing.half(direction);
    let idle = is_idle(half.state, half.count);
    let in_head = half.is_in_head();
    let own = framing.http1();
    let head = match direction {
        Direction::Inbound => {
            own.head = if idle { 0 } else { own.head.wrapping_add(taken) };
            u64::from(own.head)
        }
        Direction::Outbound => {
            own.begun = if idle { 0 } else { own.begun.wrapping_add(u64::from(taken)) };
            own.begun
        }
    };
    if in_head && head > u64::from(MOST_HEAD) {
        framing.lose();
    }
}

impl Half {
    /// Within the head of a message.
    #[inline(always)]
    fn is_in_head(&self) -> bool {
        (OWN..state::HEAD_END).contains(&self.state) && !self.has(mark::TRAILER)
    }
}

/// Between two messages.
#[inline(always)]
fn is_idle(state: u8, count: u8) -> bool {
    state == START || state == state::FRAME && count == 0
}

/// The last byte of a body, a chunk or a frame went by.
#[inline(always)]
pub(super) fn skipped(framing: &mut Framing, direction: Direction) {
    let half = framing.half(direction);
    if direction == Direction::Outbound && half.has(mark::WEBSOCKET) {
        half.enter(state::FRAME);
        framing.http1().begun = 0;
    } else if half.has(mark::CHUNKED) {
        half.enter(state::CHUNK_END);
    } else {
        message::end(framing, direction);
        if direction == Direction::Outbound {
            framing.http1().begun = 0;
        }
    }
}

/// What has begun of the client's message is followed by more of it, nobody knows how much: chunks, trailers, or the
/// head of a request that was answered before it was whole.
#[inline(always)]
pub(super) fn has_no_end(inbound: &Half) -> bool {
    inbound.has(mark::CHUNKED | mark::ANSWERED) && inbound.state != START && inbound.state != ENDLESS
}

/// Says what is in hand.
#[inline(always)]
pub(super) fn frame(framing: &Framing, framed: &mut Framed) {
    let own: &Http1 = bytemuck::must_cast_ref(&framing.own);
    let outbound = &framing.outbound;
    let answers = !is_idle(outbound.state, outbound.count) && !outbound.has(mark::INTERIM);
    let hand = if framing.flags & framing_flag::UPGRADED != 0 {
        // A message of which frames are missing is no use to the client either.
        let message = framing.flags & inner::MESSAGE != 0;
        if outbound.state != ENDLESS && (answers || message) { Hand::Answer } else { Hand::Nothing }
    } else if answers && outbound.state == ENDLESS {
        Hand::AnswerUntilClose
    } else if answers {
        Hand::Answer
    } else if own.outstanding > 0 {
        Hand::Request
    } else {
        arriving(framing)
    };
    framed.hand = hand as u8;
    if matches!(hand, Hand::Answer | Hand::AnswerUntilClose) {
        framed.begun = own.begun;
        if outbound.state == SKIP && !outbound.has(mark::CHUNKED) {
            framed.expected = own.begun.wrapping_add(outbound.left);
        }
    }
}

/// What is in hand of a request whose head is not complete.
#[inline(always)]
fn arriving(framing: &Framing) -> Hand {
    let inbound = &framing.inbound;
    if !inbound.is_in_head() || inbound.has(mark::ANSWERED) {
        Hand::Nothing
    } else if framing.protocol == protocol::UNSEEN
        && (inbound.state == state::METHOD || framing.flags & framing_flag::LIKELY != 0)
    {
        // Not even sure that a request begins here, or that it is HTTP.
        Hand::Unknown
    } else {
        Hand::HalfRequest
    }
}
