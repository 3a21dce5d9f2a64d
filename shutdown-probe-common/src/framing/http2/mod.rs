//! HTTP/2 (RFC 9113): which streams the client opened, which the server ended. gRPC is no more than that.
//!
//! Frames are told apart by their headers; of payloads only the last stream of a GOAWAY is read. So an
//! interim answer (103) cannot be told from a final one: it counts as begun.
//!
//! Invariant: what a frame does is done when its last byte went by, but for two things done with its
//! header: an answer is begun, and a stream that the server resets is closed.

mod frame;
mod streams;

use super::half::Half;
use super::half::state::{OWN, SKIP, START};
use super::state::Framing;
use super::window::Window;
use super::{Direction, Framed, Hand, framing_flag, protocol};
use bytemuck::{Pod, Zeroable};

/// The states of a direction; [`START`] is the first eight bytes of a frame's header.
mod state {
    use super::OWN;
    /// The ninth byte.
    pub const LAST_BYTE: u8 = OWN;
    /// The last stream that a GOAWAY of the server allows.
    pub const GOAWAY: u8 = OWN + 1;
    /// `PRI `, of a client that was upgraded.
    pub const PREFACE: u8 = OWN + 2;
    /// The next eight bytes of the preface.
    pub const PREFACE_VERSION: u8 = OWN + 3;
    /// Eight more.
    pub const PREFACE_MIDDLE: u8 = OWN + 4;
    /// The last four.
    pub const PREFACE_END: u8 = OWN + 5;
}

/// What the frame under way does at its end to the stream in `carry`: bits of
/// [`super::half::Half::marks`].
mod mark {
    /// Opens it.
    pub const OPEN: u16 = 1 << 0;
    /// Closes it.
    pub const CLOSE: u16 = 1 << 1;
}

/// The client's connection preface (RFC 9113, section 3.4), in four parts.
const PREFACE: u64 = u64::from_le_bytes(*b"PRI \0\0\0\0");
const PREFACE_VERSION: u64 = u64::from_le_bytes(*b"* HTTP/2");
const PREFACE_MIDDLE: u64 = u64::from_le_bytes(*b".0\r\n\r\nSM");
const PREFACE_END: u64 = u64::from_le_bytes(*b"\r\n\r\n\0\0\0\0");

/// What is remembered beside the two directions.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Http2 {
    /// One bit for each of the last 128 streams of the client, [`Self::last`] lowest: it is open.
    pub open: [u64; 2],
    /// Likewise: it is open, and its answer was begun.
    pub begun: [u64; 2],
    /// The newest stream of the client.
    pub last: u32,
    /// The last stream that the server's GOAWAY allows, if there was one.
    pub allowed: u32,
}

impl Framing {
    #[inline(always)]
    fn http2(&mut self) -> &mut Http2 {
        bytemuck::must_cast_mut(&mut self.own)
    }

    /// Open streams above the last one the server's GOAWAY allows. They are not in its hands: their
    /// client repeats them (RFC 9113, section 6.8), so [`Framed::streams`] leaves them out.
    #[inline(always)]
    pub fn refused_streams(&self) -> u32 {
        if self.protocol != protocol::HTTP2 {
            return 0;
        }
        let own: &Http2 = bytemuck::must_cast_ref(&self.own);
        let allowed = streams::allowed(own, self.flags);
        (own.open[0] & !allowed[0]).count_ones() + (own.open[1] & !allowed[1]).count_ones()
    }
}

/// `PRI ` was read: the first request of a connection, or the client of an upgraded one (`upgraded`:
/// all of the preface is yet to come, and stream 1 is the request that asked for it, RFC 7540, section 3.2).
#[inline(always)]
pub(super) fn begin(framing: &mut Framing, upgraded: bool) {
    framing.protocol = protocol::HTTP2;
    framing.inbound.marks = 0;
    framing.inbound.enter(if upgraded { state::PREFACE } else { state::PREFACE_VERSION });
    framing.outbound.marks = 0;
    framing.outbound.enter(START);
    // Nothing is counted yet: a 0 of which the compiler cannot make a `memset`.
    let none = u64::from(framing.old_open);
    let own = framing.http2();
    own.open[0] = u64::from(upgraded);
    own.open[1] = none;
    own.begun[0] = none;
    own.begun[1] = none;
    own.last = u32::from(upgraded);
    own.allowed = 0;
}

/// Looks at some bytes, and says how many.
#[inline(always)]
pub(super) fn step(
    framing: &mut Framing,
    direction: Direction,
    window: &Window,
    at: u32,
    end: u32,
    in_window: bool,
) -> u32 {
    let half = framing.half(direction);
    match half.state {
        START => {
            let taken = half.gather(window, at, end, 8);
            if half.count == 8 {
                half.state = state::LAST_BYTE;
                half.count = 0;
                if at + taken != end {
                    let low = window.byte(at + taken);
                    frame::header(framing, direction, low, in_window);
                    return taken + 1;
                }
            }
            taken
        }
        state::LAST_BYTE => {
            frame::header(framing, direction, window.byte(at), in_window);
            1
        }
        state::GOAWAY => {
            let taken = half.gather(window, at, end, 4);
            if half.count == 4 {
                frame::goaway(framing);
            }
            taken
        }
        _ => preface(framing, window, at, end),
    }
}

#[inline(always)]
fn preface(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.inbound;
    let (text, need, next) = match half.state {
        state::PREFACE => (PREFACE, 4, state::PREFACE_VERSION),
        state::PREFACE_VERSION => (PREFACE_VERSION, 8, state::PREFACE_MIDDLE),
        state::PREFACE_MIDDLE => (PREFACE_MIDDLE, 8, state::PREFACE_END),
        _ => (PREFACE_END, 4, START),
    };
    let taken = half.gather(window, at, end, need);
    if half.count == need {
        let matches = half.carry == text;
        half.enter(next);
        if !matches {
            framing.lose();
        }
    }
    taken
}

/// The last byte of a frame went by.
#[inline(always)]
pub(super) fn skipped(framing: &mut Framing, direction: Direction) {
    let half = framing.half(direction);
    let (stream, marks) = (half.carry as u32, half.marks);
    half.marks = 0;
    half.enter(START);
    if marks & mark::OPEN != 0 {
        streams::open(framing, stream);
    } else if marks & mark::CLOSE != 0 {
        streams::close(framing, stream);
    }
}

/// The frame under way opens a stream.
#[inline(always)]
pub(super) fn opens(inbound: &Half) -> bool {
    inbound.marks & mark::OPEN != 0
}

/// Says what is in hand.
#[inline(always)]
pub(super) fn frame(framing: &Framing, framed: &mut Framed) {
    let own: &Http2 = bytemuck::must_cast_ref(&framing.own);
    let allowed = streams::allowed(own, framing.flags);
    let open = (own.open[0] & allowed[0]).count_ones()
        + (own.open[1] & allowed[1]).count_ones()
        + u32::from(framing.old_open);
    let begun = own.begun[0] & allowed[0] | own.begun[1] & allowed[1] | u64::from(framing.old_begun);
    framed.streams = open + u32::from(framing.resets);
    let inbound = &framing.inbound;
    let hand = if begun != 0 {
        Hand::Answer
    } else if framed.streams != 0 {
        Hand::Request
    } else if inbound.state == SKIP && inbound.marks & mark::OPEN != 0 {
        Hand::HalfRequest
    } else {
        Hand::Nothing
    };
    framed.hand = hand as u8;
}
