//! What the bytes of a connection mean, as far as its end needs it: which requests are open, which
//! answers are whole. No payload is kept but what a token split between two calls needs.
//!
//! One set of pure functions, run by the kernel side and by tests: [`Framing`] is fed what the
//! application read and wrote, in order, each byte once, and says at any moment what is in [`Hand`].
//!
//! Invariants: any bytes are accepted and nothing panics; what breaks the protocol, or was not
//! seen, makes the connection [`protocol::UNKNOWN`] for good; a call costs at most its bytes.

mod half;
mod http1;
mod http2;
mod recognise;
mod state;
mod tls;
mod unread;
mod window;

use bytemuck::{Pod, Zeroable};
pub use state::Framing;
pub use unread::{NO_END, control_length, may_be_request};
pub use window::{WINDOW, Window};

/// The values of [`Framing::protocol`].
pub mod protocol {
    /// Nothing was read yet.
    pub const UNSEEN: u8 = 0;
    /// Not one of the others, or not followed any more: bytes are counted, not understood.
    pub const UNKNOWN: u8 = 1;
    /// HTTP/1.0 and 1.1 (RFC 9112).
    pub const HTTP1: u8 = 2;
    /// HTTP/2 (RFC 9113) in the clear.
    pub const HTTP2: u8 = 3;
    /// TLS 1.2 and 1.3 (RFC 5246, RFC 8446): records are told apart, not read.
    pub const TLS: u8 = 4;
}

/// Bits of [`Framed::flags`].
pub mod framing_flag {
    /// Inferred, not proved.
    pub const LIKELY: u8 = 1 << 0;
    /// The server had sent GOAWAY.
    pub const GOAWAY: u8 = 1 << 1;
    /// Upgraded by 101 or CONNECT: no more requests and answers, a stream of bytes.
    pub const UPGRADED: u8 = 1 << 2;
    /// The server has written of an answer since the termination began. Told where it writes other things
    /// besides: of HTTP/2 and TLS.
    pub const ANSWERED: u8 = 1 << 3;
    /// Inside TLS the client does not offer HTTP/2: small records are words of the application.
    pub const SMALL: u8 = 1 << 4;
    /// What of the client's was never read asks for nothing: the rest of what has its answer already, or frames
    /// that ask for nothing. Told by [`super::Framing::unread`].
    pub const NOT_ASKED: u8 = 1 << 5;
}

/// Who wrote the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client: requests.
    Inbound,
    /// The server: answers.
    Outbound,
}

/// What the server had in hand.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Not known: bytes alone have to tell.
    Unknown = 0,
    /// Nothing: every request is answered in full.
    Nothing = 1,
    /// A request of which too little has come to answer it.
    HalfRequest = 2,
    /// A request of whose final answer no byte was written.
    Request = 3,
    /// An answer that was begun and is not whole.
    Answer = 4,
    /// An answer that has no length: it ends where the connection ends.
    AnswerUntilClose = 5,
}

/// What is known of a connection by its protocol.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Framed {
    /// The whole length of the answer in hand, head and body, in bytes. 0: not known.
    pub expected: u64,
    /// Of which so many were written.
    pub begun: u64,
    /// Streams of HTTP/2 that were open, or that the server reset since the termination began.
    pub streams: u32,
    /// One of [`protocol`].
    pub protocol: u8,
    /// A [`Hand`].
    pub hand: u8,
    /// Bits of [`framing_flag`].
    pub flags: u8,
    /// Explicit padding, always 0.
    pub reserved: u8,
}

impl Framed {
    /// What the server had in hand.
    pub const fn in_hand(&self) -> Hand {
        match self.hand {
            1 => Hand::Nothing,
            2 => Hand::HalfRequest,
            3 => Hand::Request,
            4 => Hand::Answer,
            5 => Hand::AnswerUntilClose,
            _ => Hand::Unknown,
        }
    }
}

const _: () = assert!(size_of::<Framed>() == 24);

/// Shows `bytes` as the kernel side would, through windows: the driver of tests and fuzzing.
pub fn feed(framing: &mut Framing, direction: Direction, bytes: &[u8]) {
    let mut window = Window::zeroed();
    let mut rest = bytes;
    while !rest.is_empty() {
        let available = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let skipped = framing.skip(direction, available) as usize;
        rest = &rest[skipped..];
        let filled = rest.len().min(WINDOW);
        window.bytes_mut()[..filled].copy_from_slice(&rest[..filled]);
        let mut at = 0;
        while at < filled as u32 {
            at += framing.step(direction, &window, at, filled as u32, false);
        }
        rest = &rest[filled..];
    }
}
