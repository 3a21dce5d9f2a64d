//! A body in chunks (RFC 9112, section 7.1).

use super::super::half::state::SKIP;
use super::{Direction, Framing, Window, mark, state};

/// Sizes from here on are taken for nonsense.
const MOST_SIZE: u64 = 1 << 55;

/// Looks at what stands between the bytes of two chunks.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    match framing.half(direction).state {
        state::CHUNK_END => chunk_end(framing, direction, window, at, end),
        state::CHUNK_EXTENSION => extension(framing, direction, window, at, end),
        _ => size(framing, direction, window, at, end),
    }
}

#[inline(always)]
fn size(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    for _ in 0..4 {
        if at == end {
            break;
        }
        let byte = window.byte(at);
        let half = framing.half(direction);
        let digit = hex(byte);
        if digit < 16 && half.carry < MOST_SIZE {
            half.carry = half.carry << 4 | u64::from(digit);
            half.count = 1;
            at += 1;
        } else if half.count != 0 && matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n') {
            half.state = state::CHUNK_EXTENSION;
            return extension(framing, direction, window, at, end);
        } else {
            framing.lose();
            return end;
        }
    }
    at
}

/// The value of a hexadecimal digit, or 16 and more.
#[inline(always)]
fn hex(byte: u8) -> u8 {
    let digit = byte.wrapping_sub(b'0');
    let letter = (byte | 0x20).wrapping_sub(b'a');
    if digit < 10 {
        digit
    } else if letter < 6 {
        letter + 10
    } else {
        16
    }
}

/// What follows the size up to the end of its line means nothing here.
#[inline(always)]
fn extension(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let to = window.newline(at, end);
    if to == end || window.byte(to) != b'\n' {
        return to;
    }
    let half = framing.half(direction);
    half.left = half.carry;
    if half.left == 0 {
        half.marks |= mark::TRAILER;
        half.enter(state::LINE);
    } else {
        half.enter(SKIP);
    }
    to + 1
}

/// The end of line behind the bytes of a chunk.
#[inline(always)]
fn chunk_end(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let half = framing.half(direction);
    match window.byte(at) {
        b'\r' if half.count == 0 => half.count = 1,
        b'\n' => {
            half.enter(state::CHUNK);
            if at + 1 != end {
                return size(framing, direction, window, at + 1, end);
            }
        }
        _ => framing.lose(),
    }
    at + 1
}
