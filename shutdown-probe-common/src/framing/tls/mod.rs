//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446): what the lengths of its records tell.
//!
//! - Which records are the handshake: in 1.2 a type says so. In 1.3 the server's are sealed and come before
//!   any sealed one of the client's; the client's follow up to its Finished, which has one of two lengths.
//! - A sealed record that can only be a control frame, an alert or nothing is no request and no answer. Any other of
//!   the client's is a request until the server sends one. In 1.3 the length tells how many bytes were sealed, so
//!   that control frames are known by theirs ([`frames`]); in 1.2 they have at most [`CONTROL`] bytes.
//! - What the server seals before the client has asked for anything is a session ticket.
//!
//! - A client that does not offer HTTP/2 ([`hello`]) sends no control frames: all but alerts are its words, and the
//!   server's.
//! - A server that seals a control frame to one that does speaks HTTP/2. From then on records of the length of some
//!   WINDOW_UPDATEs are no requests, nor is a first record of the length of an opening.
//!
//! Tickets that the server writes after a request has come (both were in one read) look like an answer, but
//! for one case: two records of one length, which is how OpenSSL sends them. So a request that came with
//! the client's Finished, to a server that sends one ticket, is taken for answered. With early data (0-RTT)
//! the server's handshake looks like its answer. A server that sends its ticket right behind its Finished
//! (Go) sends no other.
//!
//! Invariant: all this is likely and is said to be; only a record that the server has begun and not
//! finished is certain.

mod frames;
mod hello;

use super::half::Half;
use super::half::state::{SKIP, START};
use super::state::Framing;
use super::window::Window;
use super::{Direction, Framed, Hand, framing_flag, protocol};
use bytemuck::{Pod, Zeroable};

/// Bytes of a record's header.
pub(super) const HEADER: u32 = 5;

/// The most a record with a control frame has: PING and GOAWAY of HTTP/2 have 17 bytes, TLS 1.2
/// adds 24 (AES-GCM), TLS 1.3 adds 17.
pub(super) const CONTROL: u32 = 41;

/// The most a record of TLS 1.2 has (RFC 5246, section 6.2.3); 1.3 allows less.
const MOST: u32 = (1 << 14) + 2048;

/// What sealing adds to a record: in TLS 1.2 (AES-GCM), and in 1.3.
const SEALING_12: u32 = 24;
const SEALING_13: u32 = 17;

/// A WINDOW_UPDATE of HTTP/2, which clients send once so much of an answer has come.
const WINDOW_UPDATE: u32 = 13;
const LONG_ANSWER: u32 = 4096;

/// A sealed alert of TLS 1.3. No frame of HTTP/2 makes a record so short.
pub(super) const ALERT: u32 = 2 + SEALING_13;

/// What sealing adds at least, in any version.
const TAG: u32 = 16;

/// TLS 1.2: the most that opens HTTP/2 and asks for nothing: the preface (24 bytes) and SETTINGS of five values.
const OPENING: u32 = 24 + 9 + 30;

/// More than a Finished of TLS 1.2 has, less than the second ClientHello of 1.3: both follow a
/// change of cipher.
const MOST_FINISHED: u32 = 100;

/// A sealed Finished of TLS 1.3 with a hash of 32 or 48 bytes: 4 of header, 1 of type, 16 of tag. The last: padded. Padded
/// with the shorter hash it has the length of the second.
const FINISHED: [u32; 3] = [4 + 32 + 1 + 16, 4 + 48 + 1 + 16, 4 + 48 + 1 + 16 + PADDING as u32];

/// Java's TLS 1.3 adds so many zeros to each record.
const PADDING: u8 = 16;

/// The client's Finished follows at most three other records (Certificate in two, CertificateVerify).
const MOST_FLIGHT: u16 = 4;

/// Records of these lengths can be tickets: they hold a session, sometimes with the client's certificate.
const TICKET: core::ops::RangeInclusive<u32> = 64..=4096;

const CHANGE_CIPHER: u8 = 20;
const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION: u8 = 23;

/// What the record under way is a part of: [`super::half::Half::marks`].
mod mark {
    /// An answer.
    pub const ANSWER: u16 = 1 << 0;
    /// A request, once it is whole.
    pub const REQUEST: u16 = 1 << 1;
    /// Or a PING.
    pub const DOUBT: u16 = 1 << 2;
    /// The highest byte: how the client's first message goes on, see [`super::hello`].
    pub const NEXT: u16 = 8;
}

/// How far the connection has come: [`Tls::phase`].
mod phase {
    /// The handshake; which version is not known.
    pub const HELLO: u8 = 0;
    /// TLS 1.3, before the client's Finished.
    pub const FLIGHT: u8 = 1;
    /// Application data.
    pub const OPEN: u8 = 2;
}

/// What is remembered beside the two directions.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Tls {
    /// One of [`phase`].
    phase: u8,
    /// 1: the client has changed its cipher.
    changed: u8,
    /// 1: a request has come, ever.
    asked: u8,
    /// 1: and no answer followed the last one.
    owed: u8,
    /// 1: no ticket was seen since the client's Finished, so that what looks like an answer may be one.
    tickets: u8,
    /// 1: the server's Finished went by; 2: and more after it, before the client's, which is its ticket.
    finished: u8,
    /// Sealed records of the client's up to its Finished.
    flight: u16,
    /// The length of the first that looked like an answer and may be a ticket.
    first: u32,
    /// Not 0: the server has sealed what only HTTP/2 is small enough for.
    frames: u8,
    /// How many requests have come, as far as that matters: up to three.
    requests: u8,
    /// How many bytes the first holds.
    opening: u16,
    /// Bytes that the server has sealed since the last of the client's requests.
    answered: u32,
    /// Bytes of the client's first record behind those that are read or passed over next.
    ahead: u16,
    /// Bytes of its list of protocols still to come.
    names: u16,
    /// 1: the client's first record has begun.
    greeted: u8,
    /// The length of the server's Finished of TLS 1.3, where it was seen.
    hash: u8,
    /// What the client adds to each sealed record of TLS 1.3 for padding.
    padding: u8,
    /// 1: the client has acknowledged the server's SETTINGS.
    acknowledged: u8,
    /// 1: the server has sent what may be a PING, and the client nothing that may answer it.
    pings: u8,
    /// One of [`frames::doubt`].
    doubt: u8,
    /// The client's bytes since the last answer, as far as that matters.
    asking: u16,
    unused: [u8; 8],
}

impl Framing {
    #[inline(always)]
    fn tls(&mut self) -> &mut Tls {
        bytemuck::must_cast_mut(&mut self.own)
    }
}

/// The client's first byte looks like TLS. Begun late, the handshake is over. All else is zero still.
#[inline(always)]
pub(super) fn begin(framing: &mut Framing) {
    framing.protocol = protocol::TLS;
    if framing.flags & framing_flag::LIKELY != 0 {
        let own = framing.tls();
        own.phase = phase::OPEN;
        own.asked = 1;
    }
}

/// Looks at the header of a record, and says how many bytes.
#[inline(always)]
pub(super) fn step(
    framing: &mut Framing,
    direction: Direction,
    window: &Window,
    at: u32,
    end: u32,
    in_window: bool,
) -> u32 {
    if framing.half(direction).state != START {
        return hello::step(framing, window, at, end);
    }
    let half = framing.half(direction);
    let taken = half.gather(window, at, end, HEADER as u8);
    if half.count == HEADER as u8 {
        header(framing, direction, in_window);
        if direction == Direction::Outbound && in_window && framing.outbound.marks & mark::ANSWER != 0 {
            framing.flags |= framing_flag::ANSWERED;
        }
    }
    taken
}

/// A header is complete: type, version (two bytes), length (two bytes).
#[inline(always)]
fn header(framing: &mut Framing, direction: Direction, in_window: bool) {
    let half = framing.half(direction);
    let kind = half.carry as u8;
    let (major, minor) = ((half.carry >> 8) as u8, (half.carry >> 16) as u8);
    let length = u32::from(((half.carry >> 24) as u16).swap_bytes());
    if !(CHANGE_CIPHER..=APPLICATION).contains(&kind) || major != 3 || minor > 4 || length > MOST {
        framing.lose();
        return;
    }
    half.enter(SKIP);
    half.left = u64::from(length);
    match direction {
        Direction::Inbound if greets(framing, kind) && length != 0 => return hello::begin(framing, length),
        Direction::Inbound => client(framing, kind, length),
        Direction::Outbound if kind == APPLICATION => server(framing, length, in_window),
        Direction::Outbound => {}
    }
    if length == 0 {
        skipped(framing, direction);
    }
}

/// The first record of a client's that was followed from its beginning.
#[inline(always)]
fn greets(framing: &mut Framing, kind: u8) -> bool {
    let own = framing.tls();
    let is_first = own.greeted == 0;
    own.greeted = 1;
    is_first && kind == HANDSHAKE && own.phase == phase::HELLO
}

/// How many bytes a sealed record of the client's holds.
#[inline(always)]
fn held(own: &Tls, length: u32) -> u32 {
    let sealing = if own.flight == 0 { SEALING_12 } else { SEALING_13 + u32::from(own.padding) };
    length.saturating_sub(sealing)
}

/// Whether a sealed record of the client's is a word of the application: no alert, no control frame, not nothing.
#[inline(always)]
fn is_asked(framing: &mut Framing, length: u32) -> bool {
    let is_small = framing.flags & framing_flag::SMALL != 0;
    let own = framing.tls();
    let bytes = held(own, length);
    match (own.flight, is_small) {
        (0, true) => length > TAG,
        (0, false) => length > CONTROL && !frames::is_updates(own, bytes),
        (_, true) => bytes > ALERT - SEALING_13,
        (_, false) => frames::asks(own, bytes),
    }
}

/// Likewise of the server's.
#[inline(always)]
fn is_answer(framing: &mut Framing, length: u32, in_window: bool) -> bool {
    let is_small = framing.flags & framing_flag::SMALL != 0;
    let own = framing.tls();
    match (own.flight, is_small) {
        (0, true) => length > TAG,
        (0, false) => {
            own.frames |= u8::from(length <= CONTROL && length != ALERT);
            length > CONTROL
        }
        (_, true) => length > ALERT,
        (_, false) => frames::answers(own, length.saturating_sub(SEALING_13), in_window),
    }
}

#[inline(always)]
fn client(framing: &mut Framing, kind: u8, length: u32) {
    let own = framing.tls();
    match (kind, own.phase) {
        (CHANGE_CIPHER, _) => own.changed = 1,
        (HANDSHAKE, phase::HELLO) if own.changed != 0 && length <= MOST_FINISHED => own.phase = phase::OPEN,
        (APPLICATION, phase::FLIGHT) => {
            own.flight += 1;
            if FINISHED.contains(&length) {
                own.flight = 1;
                let is_padded =
                    length == FINISHED[2] || length != FINISHED[0] && own.hash == FINISHED[0] as u8;
                own.padding = if is_padded { PADDING } else { 0 };
                open(own);
            } else if own.flight == MOST_FLIGHT {
                // Its Finished has another shape, and was the first.
                open(own);
            }
        }
        // Before the server has sealed anything: early data.
        (APPLICATION, _) => {
            own.phase = phase::OPEN;
            if is_asked(framing, length) {
                asked(framing, length);
            }
        }
        _ => {}
    }
}

/// A request begins. It may yet turn out to be a PING, if nothing else is owed.
#[inline(always)]
fn asked(framing: &mut Framing, length: u32) {
    let may_ping = framing.flags & framing_flag::SMALL == 0;
    let own = framing.tls();
    let bytes = held(own, length);
    own.opening = if own.requests == 0 { frames::opening(own, bytes) } else { own.opening };
    own.asking = own.asking.saturating_add(length as u16);
    let doubt = may_ping && own.owed == 0 && frames::may_ping(bytes);
    framing.inbound.marks = mark::REQUEST | if doubt { mark::DOUBT } else { 0 };
}

/// The client's Finished has come; what it sealed besides is a request.
#[inline(always)]
fn open(own: &mut Tls) {
    own.phase = phase::OPEN;
    own.tickets = u8::from(own.finished < 2);
    own.asked = u8::from(own.flight > 1);
    own.owed = own.asked;
}

#[inline(always)]
fn server(framing: &mut Framing, length: u32, in_window: bool) {
    let own = framing.tls();
    if own.phase == phase::HELLO {
        own.phase = phase::FLIGHT;
    } else if own.phase == phase::FLIGHT && own.flight > 0 {
        // It goes on, so what the client sealed was enough.
        open(own);
    } else if own.phase == phase::FLIGHT {
        let is_finished = own.finished == 0 && FINISHED.contains(&length);
        own.hash = if is_finished { length as u8 } else { own.hash };
        own.finished = if own.finished != 0 { 2 } else { u8::from(is_finished) };
    }
    if own.phase != phase::OPEN || !is_answer(framing, length, in_window) {
        return;
    }
    let own = framing.tls();
    own.asking = 0;
    own.doubt = frames::doubt::NONE;
    own.answered = own.answered.saturating_add(length);
    if own.asked == 0 {
        own.tickets = 0;
    } else if own.tickets != 0 && own.first == length {
        // The second of two tickets: nothing was answered.
        own.tickets = 0;
        own.owed = 1;
    } else {
        own.tickets &= u8::from(own.first == 0 && TICKET.contains(&length));
        own.first = length;
        own.owed = 0;
        framing.outbound.marks = mark::ANSWER;
    }
}

/// The last byte of a record went by.
#[inline(always)]
pub(super) fn skipped(framing: &mut Framing, direction: Direction) {
    let half = framing.half(direction);
    let requests = direction == Direction::Inbound && half.marks & mark::REQUEST != 0;
    let doubt = half.marks & mark::DOUBT != 0;
    let next = (half.marks >> mark::NEXT) as u8;
    half.marks = 0;
    half.enter(next);
    if requests {
        let own = framing.tls();
        own.asked = 1;
        own.owed = 1;
        own.doubt = if doubt { frames::doubt::ASKED } else { frames::doubt::NONE };
        own.answered = 0;
        own.requests += u8::from(own.requests < 3);
        // Tickets are written together: what came before was an answer.
        own.tickets &= u8::from(own.first == 0);
    }
}

/// The record under way is a request's.
#[inline(always)]
pub(super) fn asks(inbound: &Half) -> bool {
    inbound.marks & mark::REQUEST != 0
}

/// Whether the client's first record may hold nothing but what opens HTTP/2.
#[inline(always)]
fn opens(own: &Tls) -> bool {
    let bytes = own.opening.into();
    own.flight == 0 && bytes <= OPENING || frames::is_opening(bytes)
}

/// Says what is in hand.
#[inline(always)]
pub(super) fn frame(framing: &Framing, framed: &mut Framed) {
    let own: &Tls = bytemuck::must_cast_ref(&framing.own);
    if framing.outbound.marks & mark::ANSWER != 0 {
        framed.hand = Hand::Answer as u8;
        return;
    }
    framed.flags |= framing_flag::LIKELY;
    // The preface, SETTINGS and no HEADERS: HTTP/2 has been opened, and nothing was asked for.
    let is_opening = own.frames != 0 && own.requests == 1 && opens(own);
    let is_owed = own.owed != 0 && own.doubt != frames::doubt::SETTINGS;
    let hand = if is_owed && !is_opening {
        Hand::Request
    } else if framing.inbound.marks & mark::REQUEST != 0 {
        Hand::HalfRequest
    } else {
        Hand::Nothing
    };
    framed.hand = hand as u8;
}
