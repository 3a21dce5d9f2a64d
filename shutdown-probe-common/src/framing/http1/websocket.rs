//! What the server sends after an upgrade to WebSocket (RFC 6455, section 5.2): frames, told apart by
//! their headers. What the client sends is never owed an answer.

use super::super::half::state::{ENDLESS, SKIP};
use super::super::state::inner;
use super::{Framing, Window, state};

const MASKED: u8 = 0x80;
const FINAL: u8 = 0x80;
/// Opcodes from here on are control frames, which may stand within a message.
const CONTROL: u8 = 8;

#[inline(always)]
pub(super) fn step(framing: &mut Framing, window: &Window, at: u32, end: u32) -> u32 {
    let half = &mut framing.outbound;
    if half.state == state::FRAME {
        let to = at + half.gather(window, at, end, 2);
        if half.count == 2 {
            header(framing);
        }
        return to;
    }
    // `left` is the count of bytes the length has, and whether a mask follows it.
    let need = (half.left & 15) as u8;
    let to = at + half.gather(window, at, end, need);
    if half.count == need {
        let length = half.carry.swap_bytes() >> ((64 - u32::from(need) * 8) & 63);
        let mask = if half.left & u64::from(MASKED) != 0 { 4 } else { 0 };
        payload(framing, length, mask);
    }
    to
}

#[inline(always)]
fn header(framing: &mut Framing) {
    let half = &mut framing.outbound;
    let first = half.carry as u8;
    let second = (half.carry >> 8) as u8;
    let opcode = first & 15;
    if opcode < CONTROL {
        let more = first & FINAL == 0;
        framing.flags = framing.flags & !inner::MESSAGE | if more { inner::MESSAGE } else { 0 };
    }
    let half = &mut framing.outbound;
    let masked = u64::from(second & MASKED);
    match second & !MASKED {
        126 => {
            half.enter(state::FRAME_LENGTH);
            half.left = masked | 2;
        }
        127 => {
            half.enter(state::FRAME_LENGTH);
            half.left = masked | 8;
        }
        length => payload(framing, u64::from(length), if masked != 0 { 4 } else { 0 }),
    }
}

#[inline(always)]
fn payload(framing: &mut Framing, length: u64, mask: u64) {
    let half = &mut framing.outbound;
    if length >> 62 != 0 {
        // Not WebSocket: a stream like any other.
        framing.flags &= !inner::MESSAGE;
        half.enter(ENDLESS);
        return;
    }
    half.left = length + mask;
    half.enter(if half.left == 0 { state::FRAME } else { SKIP });
}
