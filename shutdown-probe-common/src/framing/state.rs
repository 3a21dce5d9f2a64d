//! The state of one connection, and the calls that every protocol shares.

use super::half::{Half, state};
use super::http1::{self, Http1};
use super::http2;
use super::tls;
use super::window::Window;
use super::{Direction, Framed, Hand, framing_flag, protocol, recognise};
use bytemuck::{Pod, Zeroable};

/// Bits of [`Framing::flags`] beside those of [`framing_flag`], which are its lowest.
pub(super) mod inner {
    /// `begin` was called.
    pub const BEGUN: u8 = 1 << 7;
    /// A PROXY protocol header was read: there is no second one.
    pub const PROXIED: u8 = 1 << 6;
    /// The server has begun a WebSocket message of which more frames must come.
    pub const MESSAGE: u8 = 1 << 5;
    /// What is shown to others.
    pub const SHOWN: u8 = (1 << 5) - 1;
}

/// What is remembered of a connection. All zero: not seen yet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Framing {
    pub(super) inbound: Half,
    pub(super) outbound: Half,
    /// One of [`protocol`]. [`protocol::UNSEEN`] until the first bytes have told.
    pub protocol: u8,
    /// Bits of [`framing_flag`] and [`inner`].
    pub(super) flags: u8,
    /// HTTP/2: open streams too old for the bitmap.
    pub(super) old_open: u16,
    /// HTTP/2: of those, the ones whose answer was begun.
    pub(super) old_begun: u16,
    /// HTTP/2: streams that the server reset in the window.
    pub(super) resets: u16,
    /// What only the protocol knows: [`Http1`], or another's.
    pub(super) own: [u64; 5],
}

const _: () = assert!(size_of::<Framing>() == 96);

impl Framing {
    /// Begins to follow, at the application's first read. `inbound_next` and `outbound_next`: TCP
    /// sequence numbers of the first byte it read, and of the next it will write; what it wrote before is
    /// taken for whole frames. `late`: bytes went before that nobody saw.
    #[inline(always)]
    pub fn begin(&mut self, inbound_next: u32, outbound_next: u32, late: bool) {
        self.inbound.next = inbound_next;
        self.outbound.next = outbound_next;
        self.flags = if late { inner::BEGUN | framing_flag::LIKELY } else { inner::BEGUN };
    }

    /// `begin` was called: before it no byte may be shown.
    #[inline(always)]
    pub fn is_begun(&self) -> bool {
        self.flags & inner::BEGUN != 0
    }

    /// Not lost: its bytes are wanted.
    #[inline(always)]
    pub fn is_followed(&self) -> bool {
        self.protocol != protocol::UNKNOWN
    }

    /// The TCP sequence number of the next byte of a direction.
    #[inline(always)]
    pub fn next(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Inbound => self.inbound.next,
            Direction::Outbound => self.outbound.next,
        }
    }

    #[inline(always)]
    pub(super) fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::Outbound => &mut self.outbound,
        }
    }

    /// Takes those of the next `available` bytes that need not be looked at, and says how many.
    #[inline(always)]
    pub fn skip(&mut self, direction: Direction, available: u32) -> u32 {
        let followed = self.is_followed();
        let half = self.half(direction);
        if !followed || half.state == state::ENDLESS {
            half.next = half.next.wrapping_add(available);
            self.passed(direction, available);
            return available;
        }
        if half.state != state::SKIP {
            return 0;
        }
        let taken = if half.left < u64::from(available) { half.left as u32 } else { available };
        half.next = half.next.wrapping_add(taken);
        half.left -= u64::from(taken);
        let done = half.left == 0;
        self.passed(direction, taken);
        if done {
            self.skipped(direction);
        }
        taken
    }

    /// Looks at `window[at..end]` (`at < end <= WINDOW`) and says how many bytes it took: at least one.
    /// `in_window`: a termination is under way, so that the server's resets count.
    #[inline(always)]
    pub fn step(&mut self, direction: Direction, window: &Window, at: u32, end: u32, in_window: bool) -> u32 {
        let skipped = self.skip(direction, end.wrapping_sub(at));
        if skipped != 0 {
            return skipped;
        }
        let taken = self.look(direction, window, at, end, in_window);
        let half = self.half(direction);
        half.next = half.next.wrapping_add(taken);
        taken
    }

    #[inline(always)]
    fn look(&mut self, direction: Direction, window: &Window, at: u32, end: u32, in_window: bool) -> u32 {
        if self.protocol == protocol::UNSEEN && direction == Direction::Inbound {
            let taken = recognise::step(self, window.byte(at));
            if taken != 0 {
                return taken;
            }
        }
        match self.protocol {
            protocol::UNSEEN | protocol::HTTP1 => http1::step(self, direction, window, at, end),
            protocol::HTTP2 => http2::step(self, direction, window, at, end, in_window),
            protocol::TLS => tls::step(self, direction, window, at, end, in_window),
            _ => end.wrapping_sub(at),
        }
    }

    /// Bytes were not seen: nothing is known from here on.
    #[inline(always)]
    pub fn lose(&mut self) {
        self.protocol = protocol::UNKNOWN;
    }

    /// Bytes of a body went by.
    #[inline(always)]
    fn passed(&mut self, direction: Direction, count: u32) {
        if direction == Direction::Outbound && matches!(self.protocol, protocol::UNSEEN | protocol::HTTP1) {
            let own = self.http1();
            own.begun = own.begun.wrapping_add(u64::from(count));
        }
    }

    /// The last of the bytes to be skipped went by.
    #[inline(always)]
    fn skipped(&mut self, direction: Direction) {
        match (self.protocol, direction) {
            // The PROXY protocol's addresses.
            (protocol::UNSEEN, Direction::Inbound) => self.inbound.enter(state::START),
            (protocol::UNSEEN | protocol::HTTP1, _) => http1::skipped(self, direction),
            (protocol::HTTP2, _) => http2::skipped(self, direction),
            (protocol::TLS, _) => tls::skipped(self, direction),
            _ => {}
        }
    }

    #[inline(always)]
    pub(super) fn http1(&mut self) -> &mut Http1 {
        bytemuck::must_cast_mut(&mut self.own)
    }

    /// Writes what is in hand now.
    #[inline(always)]
    pub fn frame(&self, framed: &mut Framed) {
        framed.expected = 0;
        framed.begun = 0;
        framed.streams = 0;
        framed.reserved = 0;
        framed.protocol = self.protocol;
        framed.flags = self.flags & inner::SHOWN;
        framed.hand = Hand::Unknown as u8;
        if !self.is_begun() {
            return;
        }
        match self.protocol {
            // Written to before its first line has told what it is: bytes alone judge.
            protocol::UNSEEN if self.outbound.state != state::START => {}
            protocol::UNSEEN | protocol::HTTP1 => http1::frame(self, framed),
            protocol::HTTP2 => http2::frame(self, framed),
            protocol::TLS => tls::frame(self, framed),
            _ => {}
        }
    }
}
