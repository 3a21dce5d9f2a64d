//! The values that matter: Content-Length, Transfer-Encoding, Upgrade.

use super::{Direction, Framing, Window, mark, state};

/// Lengths from here on are taken for nonsense.
const MOST_LENGTH: u64 = 1 << 59;

const CHUNKED: u64 = u64::from_be_bytes(*b"\0chunked");
/// The last eight letters of nine.
const WEBSOCKET: u64 = u64::from_be_bytes(*b"ebsocket");
const H2C: u64 = u64::from_be_bytes(*b"\0\0\0\0\0h2c");

/// Where the number of a length stands: [`super::super::half::Half::count`].
const DIGITS: u8 = 1;
const BEHIND: u8 = 2;

/// The length of a name that is too long for any, or was torn by a blank, and what marks a name's end.
const LONG: u8 = 15;
const ENDED: u8 = 16;

/// Reads a Content-Length (RFC 9110, section 8.6): digits, with blanks around them.
#[inline(always)]
pub(super) fn length(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    for _ in 0..4 {
        if at == end {
            break;
        }
        let byte = window.byte(at);
        at += 1;
        let half = framing.half(direction);
        if byte == b'\n' {
            let differs = half.has(mark::LENGTH) && half.left != half.carry;
            if differs || half.count == 0 {
                framing.lose();
                return end;
            }
            half.left = half.carry;
            half.marks |= mark::LENGTH;
            half.enter(state::LINE);
            break;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 && half.count < BEHIND && half.carry < MOST_LENGTH / 10 {
            half.carry = half.carry * 10 + u64::from(digit);
            half.count = DIGITS;
        } else if matches!(byte, b' ' | b'\t' | b'\r') {
            half.count = if half.count == 0 { 0 } else { BEHIND };
        } else {
            framing.lose();
            return end;
        }
    }
    at
}

/// Reads a list of names (RFC 9110, sections 7.8 and 10.1.4): its last one decides.
#[inline(always)]
pub(super) fn token(framing: &mut Framing, direction: Direction, window: &Window, at: u32, end: u32) -> u32 {
    let mut at = at;
    for _ in 0..4 {
        if at == end {
            break;
        }
        let byte = window.byte(at);
        at += 1;
        let half = framing.half(direction);
        match byte {
            b'\n' => {
                half.marks |= meaning(half.state, half.carry, half.count & !ENDED);
                half.enter(state::LINE);
                break;
            }
            b' ' | b'\t' | b'\r' => half.count |= if half.count == 0 { 0 } else { ENDED },
            b',' => {
                half.count = 0;
                half.carry = 0;
            }
            _ => {
                half.carry = half.carry << 8 | u64::from(byte | 0x20);
                half.count = if half.count < LONG { half.count + 1 } else { LONG | ENDED };
            }
        }
    }
    at
}

#[inline(always)]
fn meaning(state: u8, name: u64, count: u8) -> u16 {
    match (state, name) {
        (state::CODING, CHUNKED) if count == 7 => mark::CHUNKED,
        (state::UPGRADE, WEBSOCKET) if count == 9 => mark::WEBSOCKET,
        (state::UPGRADE, H2C) if count == 3 => mark::H2C,
        _ => 0,
    }
}
