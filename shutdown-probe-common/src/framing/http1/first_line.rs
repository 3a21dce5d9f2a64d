//! The first line of a request (RFC 9112, section 3) or an answer (section 4).
//!
//! The request line also decides what the connection speaks: HTTP/1 if it ends in its version.

use super::super::http2;
use super::super::state::inner;
use super::{Direction, Framing, START, Window, mark, protocol, state};

/// The longest method that is taken for one.
const MOST_METHOD: u8 = 24;

/// The characters of a token (RFC 9110, section 5.6.2) below 64, and from there on.
const TOKEN_LOW: u64 = 0x03ff_6cfa_0000_0000;
const TOKEN_HIGH: u64 = 0x57ff_ffff_c7ff_fffe;

const HEAD: u64 = u64::from_le_bytes(*b"HEAD\0\0\0\0");
const CONNECT: u64 = u64::from_le_bytes(*b"CONNECT\0");
const PROXY: u64 = u64::from_le_bytes(*b"PROXY\0\0\0");
const PREFACE: u64 = u64::from_le_bytes(*b"PRI\0\0\0\0\0");
const HTTP: u64 = u64::from_le_bytes(*b"HTTP/1.\0");
/// The same without its first letter, which a carriage return may have pushed out.
const TAIL: u64 = HTTP >> 8;
const TAIL_MASK: u64 = (1 << 48) - 1;

#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let half = framing.half(direction);
    if half.state == START {
        let byte = window.byte(at);
        if byte == b'\r' || byte == b'\n' {
            return at + 1;
        }
        half.enter(if direction == Direction::Inbound { state::METHOD } else { state::VERSION });
    }
    match framing.half(direction).state {
        state::METHOD => method(framing, window, at, end),
        state::REQUEST => request(framing, window, at, end),
        state::PROXY_LINE => proxy_line(framing, window, at, end),
        state::VERSION => version(framing, window, at, end),
        state::STATUS => status(framing, window, at, end),
        _ => {
            framing.lose();
            end
        }
    }
}

#[inline(always)]
fn method(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    for _ in 0..4 {
        if at == end {
            break;
        }
        let byte = window.byte(at);
        at += 1;
        let half = &mut framing.inbound;
        if byte == b' ' && half.count != 0 {
            named(framing);
            break;
        }
        if !is_token(byte) || half.count == MOST_METHOD {
            framing.lose();
            return end;
        }
        if half.count < 8 {
            half.carry |= u64::from(byte) << (half.count * 8);
        }
        half.count += 1;
    }
    at
}

#[inline(always)]
fn is_token(byte: u8) -> bool {
    let set = if byte < 64 { TOKEN_LOW } else { TOKEN_HIGH };
    byte < 128 && set >> (byte & 63) & 1 != 0
}

/// The method is known.
#[inline(always)]
fn named(framing: &mut Framing) {
    let first = framing.protocol == protocol::UNSEEN && framing.flags & super::framing_flag::LIKELY == 0;
    let proxied = framing.flags & inner::PROXIED != 0;
    let half = &mut framing.inbound;
    let (word, count) = (half.carry, half.count);
    half.enter(state::REQUEST);
    if word == HEAD && count == 4 {
        half.marks |= mark::HEAD;
    } else if word == CONNECT && count == 7 {
        half.marks |= mark::CONNECT;
    } else if word == PROXY && count == 5 && first && !proxied {
        framing.flags |= inner::PROXIED;
        framing.inbound.state = state::PROXY_LINE;
    } else if word == PREFACE && count == 3 {
        if first && framing.outbound.state == START {
            http2::begin(framing, false);
        } else {
            framing.lose();
        }
    }
}

/// Up to the end of the request line.
#[inline(always)]
fn request(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.inbound;
    let to = window.newline(at, end);
    half.keep_tail(window, at, to);
    if to == end || window.byte(to) != b'\n' {
        return to;
    }
    let returned = half.carry >> 56 == u64::from(b'\r');
    let tail = if returned { half.carry << 8 } else { half.carry };
    let minor = (tail >> 56) as u8;
    if tail >> 8 & TAIL_MASK == TAIL && minor.is_ascii_digit() {
        half.enter(state::LINE);
        framing.protocol = protocol::HTTP1;
    } else {
        framing.lose();
    }
    to + 1
}

#[inline(always)]
fn proxy_line(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let to = window.newline(at, end);
    if to == end || window.byte(to) != b'\n' {
        return to;
    }
    framing.inbound.enter(START);
    to + 1
}

#[inline(always)]
fn version(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.outbound;
    let to = at + half.gather(window, at, end, 8);
    if half.count < 8 {
        return to;
    }
    let minor = (half.carry >> 56) as u8;
    if half.carry << 8 >> 8 != HTTP || !minor.is_ascii_digit() {
        framing.lose();
        return end;
    }
    half.enter(state::STATUS);
    if to == end { to } else { status(framing, window, to, end) }
}

/// A space, three digits; the rest of the line says nothing.
#[inline(always)]
fn status(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.outbound;
    let to = at + half.gather(window, at, end, 4);
    if half.count < 4 {
        return to;
    }
    let code = half.carry as u32;
    // 100, 101, ... as their digits, the first lowest.
    let digits = (code >> 8).wrapping_sub(0x30_3030);
    if code as u8 != b' ' || digits & 0xf0_f0f0 != 0 {
        framing.lose();
        return end;
    }
    half.marks |= match digits {
        0x01_0001 => mark::SWITCH,
        0x04_0002 => mark::BODILESS | mark::SUCCESS,
        0x04_0003 => mark::BODILESS,
        _ => match digits & 0xff {
            1 => mark::INTERIM,
            2 => mark::SUCCESS,
            _ => 0,
        },
    };
    half.enter(state::PASS);
    to
}
