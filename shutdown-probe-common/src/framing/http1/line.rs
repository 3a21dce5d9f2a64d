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

/// Lines that one step looks at.
const LINES: u32 = 2;

/// Looks at the first bytes of lines, and at the rest of those that do not matter.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    for _ in 0..LINES {
        let half = framing.half(direction);
        if half.state == state::LINE {
            at += begin(framing, direction, window, at, end);
        }
        if framing.half(direction).state != state::PASS || at == end {
            break;
        }
        let to = window.newline(at, end);
        at = to;
        if to == end || window.byte(to) != b'\n' {
            break;
        }
        at += 1;
        framing.half(direction).enter(state::LINE);
        if at == end {
            break;
        }
    }
    at
}

/// Takes up to eight bytes of a line: it matters, it does not, or it is over.
#[inline(always)]
fn begin(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let half = framing.half(direction);
    let taken = half.gather_line(window, at, end, 8);
    if half.last() == b'\n' {
        if half.count == 1 || half.carry as u16 == u16::from_le_bytes(*b"\r\n") && half.count == 2 {
            message::head_end(framing, direction);
        } else {
            half.enter(state::LINE);
        }
    } else if half.count == 8 {
        let state = if half.has(mark::TRAILER) { state::PASS } else { wanted(half.carry | SMALL, direction) };
        half.enter(state);
    }
    taken
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
