//! The bytes that are looked at together, and how they are searched a word at a time.
//!
//! Invariant: no index can leave the window, whatever is asked; what lies behind `end` is stale and
//! is read, never believed.

use bytemuck::{Pod, Zeroable};

/// How many bytes are looked at together.
pub const WINDOW: usize = 256;

/// How many words they are.
pub(super) const WORDS: u32 = WINDOW as u32 / 8;
const MASK: u32 = WORDS - 1;
const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;
/// Words that one search looks at.
const SEARCHED: u32 = 4;

/// [`WINDOW`] bytes to be filled from the front, and eight more that are never meant: a word can be
/// taken from any place.
///
/// Words, not bytes, so that they are aligned: BPF and Rust both want it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Window {
    words: [u64; WORDS as usize + 1],
}

impl Window {
    /// The bytes, to be filled.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8; WINDOW] {
        &mut bytemuck::must_cast_mut::<_, Bytes>(&mut self.words).meant
    }

    /// The byte at `at`.
    #[inline(always)]
    pub(super) fn byte(&self, at: u32) -> u8 {
        let bytes: &Bytes = bytemuck::must_cast_ref(&self.words);
        bytes.meant[at as usize & (WINDOW - 1)]
    }

    /// The aligned word of this index.
    #[inline(always)]
    pub(super) fn aligned(&self, index: u32) -> u64 {
        u64::from_le(self.words[(index & MASK) as usize])
    }

    /// Eight bytes from `at` on, the first of them lowest.
    #[inline(always)]
    pub(super) fn word(&self, at: u32) -> u64 {
        let index = (at >> 3 & MASK) as usize;
        let shift = (at & 7) * 8;
        let low = u64::from_le(self.words[index]) >> shift;
        // In two shifts, for one of 64 is none.
        let high = u64::from_le(self.words[index + 1]) << 1 << (63 - shift);
        low | high
    }

    /// Where the first line feed from `at` on is, or where the search stopped: at `end`, or before
    /// it for want of patience, which is then a place to go on from.
    #[inline(always)]
    pub(super) fn newline(&self, at: u32, end: u32) -> u32 {
        let first = at >> 3;
        let before = (1_u64 << ((at & 7) * 8)) - 1;
        let hits = newlines(u64::from_le(self.words[(first & MASK) as usize]) | before);
        if hits != 0 {
            return earlier(first * 8 + lowest(hits), end);
        }
        for ahead in 1..SEARCHED {
            let index = first + ahead;
            if index * 8 >= end {
                return end;
            }
            let hits = newlines(u64::from_le(self.words[(index & MASK) as usize]));
            if hits != 0 {
                return earlier(index * 8 + lowest(hits), end);
            }
        }
        earlier((first + SEARCHED) * 8, end)
    }
}

/// The same, seen as bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Bytes {
    meant: [u8; WINDOW],
    behind: [u8; 8],
}

#[inline(always)]
fn earlier(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}

/// The top bit of each byte that is a line feed; bits above the lowest may lie.
#[inline(always)]
pub(super) fn newlines(word: u64) -> u64 {
    let zero = word ^ (ONES * b'\n' as u64);
    zero.wrapping_sub(ONES) & !zero & TOPS
}

/// The index of the byte whose top bit is the lowest of `hits`, which is not 0. BPF has no
/// instruction that counts zeros.
#[inline(always)]
pub(super) fn lowest(hits: u64) -> u32 {
    let below = ((hits & hits.wrapping_neg()) >> 7).wrapping_sub(1) & ONES;
    (below.wrapping_mul(ONES) >> 56) as u32
}

/// The index of the first line feed among the bytes of `word`, 8 if there is none.
#[inline(always)]
pub(super) fn newline_in(word: u64) -> u32 {
    let hits = newlines(word);
    if hits == 0 { 8 } else { lowest(hits) }
}

/// The first `count` bytes of a word, as a mask; `count` <= 8.
#[inline(always)]
pub(super) fn first_bytes(count: u32) -> u64 {
    if count >= 8 { u64::MAX } else { (1_u64 << (count * 8)) - 1 }
}
