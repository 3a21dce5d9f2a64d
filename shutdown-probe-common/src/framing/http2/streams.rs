//! The client's streams, one bit each; streams that are open for so long that 128 newer ones came
//! are counted, without their numbers.

use super::{Framing, Http2, framing_flag};

/// Streams that have a bit.
const KNOWN: u32 = 128;

/// The client opens `stream`, greater than any before.
#[inline(always)]
pub(super) fn open(framing: &mut Framing, stream: u32) {
    let own = framing.http2();
    let mut newer = stream.wrapping_sub(own.last).wrapping_add(1) >> 1;
    own.last = stream;
    if newer >= 64 {
        forget(framing, 64);
        newer -= 64;
    }
    if newer >= 64 {
        forget(framing, 64);
        newer = 0;
    }
    if newer != 0 {
        forget(framing, newer);
    }
    framing.http2().open[0] |= 1;
}

/// Moves every bit up by `count` (1..=64): those of the oldest streams fall out.
#[inline(always)]
fn forget(framing: &mut Framing, count: u32) {
    let own = framing.http2();
    let open = shift(&mut own.open, count);
    let begun = shift(&mut own.begun, count);
    if open != 0 {
        framing.old_open = framing.old_open.saturating_add(open.count_ones() as u16);
        framing.old_begun = framing.old_begun.saturating_add(begun.count_ones() as u16);
    }
}

#[inline(always)]
fn shift(bits: &mut [u64; 2], count: u32) -> u64 {
    // In two shifts, for one of 64 is none.
    let back = (64 - count) & 63;
    let out = if count == 64 { bits[1] } else { bits[1] >> back };
    bits[1] = if count == 64 { bits[0] } else { bits[1] << count | bits[0] >> back };
    bits[0] = if count == 64 { 0 } else { bits[0] << count };
    out
}

/// The bit of `stream` in both words of a bitmap; none if it is too old. Both, for an index computed from
/// the client's bytes would have to be proved to the kernel.
#[inline(always)]
fn bits(own: &Http2, stream: u32) -> [u64; 2] {
    let newer = own.last.wrapping_sub(stream) >> 1;
    let bit = 1 << (newer & 63);
    [if newer < 64 { bit } else { 0 }, if (64..KNOWN).contains(&newer) { bit } else { 0 }]
}

/// The server writes of `stream`. `first`: a head that is no trailer, for it does not end the stream.
#[inline(always)]
pub(super) fn begin_answer(framing: &mut Framing, stream: u32, first: bool) {
    let own = framing.http2();
    let bits = bits(own, stream);
    if bits[0] | bits[1] != 0 {
        own.begun[0] |= own.open[0] & bits[0];
        own.begun[1] |= own.open[1] & bits[1];
    } else if first && framing.old_begun < framing.old_open {
        framing.old_begun += 1;
    }
}

/// `stream` is over. Was it open? Of the oldest it is only known how many are.
#[inline(always)]
pub(super) fn close(framing: &mut Framing, stream: u32) -> bool {
    let own = framing.http2();
    let bits = bits(own, stream);
    if bits[0] | bits[1] != 0 {
        let was_open = own.open[0] & bits[0] | own.open[1] & bits[1];
        own.open[0] &= !bits[0];
        own.open[1] &= !bits[1];
        own.begun[0] &= !bits[0];
        own.begun[1] &= !bits[1];
        return was_open != 0;
    }
    let was_open = framing.old_open != 0;
    framing.old_open = framing.old_open.saturating_sub(1);
    framing.old_begun = framing.old_begun.saturating_sub(1);
    was_open
}

/// The bits of streams that no GOAWAY refuses.
#[inline(always)]
pub(super) fn allowed(own: &Http2, flags: u8) -> [u64; 2] {
    if flags & framing_flag::GOAWAY == 0 || own.last <= own.allowed {
        return [u64::MAX, u64::MAX];
    }
    let refused = (own.last - own.allowed).wrapping_add(1) >> 1;
    [from(refused), if refused <= 64 { u64::MAX } else { from(refused - 64) }]
}

/// All bits from `first` on.
#[inline(always)]
fn from(first: u32) -> u64 {
    if first >= 64 { 0 } else { u64::MAX << first }
}
