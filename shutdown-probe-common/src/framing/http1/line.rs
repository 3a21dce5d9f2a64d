//! A header line (RFC 9112, section 5): passed over, unless its name is one that matters.

use super::{Direction, Framing, Window, mark, message, state};

/// Sets the bit that tells small letters from capitals; what it makes of `-` and `:` is themselves.
const SMALL: u64 = 0x2020_2020_2020_2020;
const CONTENT: u64 = u64::from_le_bytes(*b"content-");
const TRANSFER: u64 = u64::from_le_bytes(*b"transfer");
const UPGRADE: u64 = u64::from_le_bytes(*b"upgrade:");
const LENGTH: u64 = u64::from_le_bytes(*b"length:\0");
const ENCODING: u64 = u64::from_le_bytes(*b"-encodin");
const ENCODING_END: u64 = u64::from_le_bytes(*b"g:\0\0\0\0\0\0");

/// Looks at a line's first bytes, and at the rest of one that does not matter.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    let half = framing.half(direction);
    if half.state == state::LINE {
        at += half.gather_line(window, at, end, 8);
        if half.last() == b'\n' {
            if half.count == 1 || half.carry as u16 == u16::from_le_bytes(*b"\r\n") && half.count == 2 {
                message::head_end(framing, direction);
            } else {
                half.enter(state::LINE);
            }
            return at;
        }
        if half.count < 8 {
            return at;
        }
        let state = if half.has(mark::TRAILER) { state::PASS } else { wanted(half.carry | SMALL, direction) };
        half.enter(state);
        if state != state::PASS || at == end {
            return at;
        }
    }
    let to = window.newline(at, end);
    if to == end || window.byte(to) != b'\n' {
        return to;
    }
    framing.half(direction).enter(state::LINE);
    to + 1
}

#[inline(always)]
fn wanted(name: u64, direction: Direction) -> u8 {
    match name {
        CONTENT => state::LENGTH_NAME,
        TRANSFER => state::CODING_NAME,
        // An answer of 101 has to say it (RFC 9110, section 15.2.2).
        UPGRADE if direction == Direction::Outbound => state::UPGRADE,
        _ => state::PASS,
    }
}

/// The rest of a name that may matter.
#[inline(always)]
pub(super) fn name(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let half = framing.half(direction);
    let (name, need, next) = match half.state {
        state::LENGTH_NAME => (LENGTH, 7, state::LENGTH),
        state::CODING_NAME => (ENCODING, 8, state::CODING_NAME_END),
        _ => (ENCODING_END, 2, state::CODING),
    };
    let to = at + half.gather_line(window, at, end, need);
    if half.last() == b'\n' {
        half.enter(state::LINE);
    } else if half.count == need {
        let small = SMALL & super::super::window::first_bytes(u32::from(need));
        let found = half.carry | small == name;
        half.enter(if found { next } else { state::PASS });
        if found && next == state::CODING {
            // Fields of one name are one list: only its last coding counts.
            half.marks = (half.marks | mark::CODED) & !mark::CHUNKED;
        }
    }
    to
}
