//! A header line (RFC 9112, section 5): passed over, unless its name is one that matters.

use super::super::window::{WORDS, first_bytes, lowest, newlines};
use super::{Direction, Framing, Window, mark, message, state};

/// Sets the bit that tells small letters from capitals; what it makes of `-` and `:` is themselves.
const SMALL: u64 = 0x2020_2020_2020_2020;
const CONTENT: u64 = u64::from_le_bytes(*b"content-");
const TRANSFER: u64 = u64::from_le_bytes(*b"transfer");
const UPGRADE: u64 = u64::from_le_bytes(*b"upgrade:");
const LENGTH: u64 = u64::from_le_bytes(*b"length:\0");
const ENCODING: u64 = u64::from_le_bytes(*b"-encodin");
const ENCODING_END: u64 = u64::from_le_bytes(*b"g:\0\0\0\0\0\0");

/// Looks at the first bytes of a line, and passes over it and others that do not matter.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    if framing.half(direction).state == state::LINE {
        at += begin(framing, direction, window, at, end);
    }
    if framing.half(direction).state != state::PASS || at == end {
        return at;
    }
    search(framing, direction, window, at, end)
}

/// From within a line that does not matter to the beginning of the next that may, or behind the name of a Content-Length,
/// or to the end. A window at a time, for most lines do not matter.
#[inline(always)]
fn search(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let named = !framing.half(direction).has(mark::TRAILER);
    let first = at >> 3;
    let mut passed = first_bytes(at & 7);
    for ahead in 0..WORDS {
        let index = first + ahead;
        if index * 8 >= end {
            break;
        }
        let hits = newlines(window.aligned(index) | passed);
        passed = 0;
        if hits == 0 {
            continue;
        }
        let to = index * 8 + lowest(hits) + 1;
        if to > end {
            break;
        }
        // Too little of the line is here, or the next one ends in the same word.
        let is_short = to + NAME > end || hits & (hits - 1) != 0;
        let next = if is_short { state::LINE } else { after_newline(direction, window, to, named) };
        if next != state::PASS {
            framing.half(direction).enter(next);
            return if next == state::LENGTH { to + NAME } else { to };
        }
    }
    end
}

/// The length of `content-length:`, the longest that is looked at here.
const NAME: u32 = 15;

/// How the line goes on that begins here.
#[inline(always)]
fn after_newline(direction: Direction, window: &Window, at: u32, named: bool) -> u8 {
    let word = window.word(at);
    if matches!(word as u8, b'\r' | b'\n') {
        return state::LINE;
    }
    match wanted(word | SMALL, direction) {
        _ if !named => state::PASS,
        state::LENGTH_NAME => {
            let rest = (window.word(at + 8) | SMALL) & first_bytes(7);
            if rest == LENGTH { state::LENGTH } else { state::PASS }
        }
        state::PASS => state::PASS,
        _ => state::LINE,
    }
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
        let small = SMALL & first_bytes(u32::from(need));
        let found = half.carry | small == name;
        half.enter(if found { next } else { state::PASS });
        if found && next == state::CODING {
            // Fields of one name are one list: only its last coding counts.
            half.marks = (half.marks | mark::CODED) & !mark::CHUNKED;
        }
    }
    to
}
