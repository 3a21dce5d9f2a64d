//! One direction of a connection: where it is, and what of a token split between two calls is kept.

use super::window::{Window, first_bytes, newline_in};
use bytemuck::{Pod, Zeroable};

/// States every protocol shares; its own begin at [`state::OWN`].
pub(super) mod state {
    /// Between two messages or frames, or at the very beginning.
    pub const START: u8 = 0;
    /// [`super::Half::left`] bytes mean nothing.
    pub const SKIP: u8 = 1;
    /// No byte means anything any more.
    pub const ENDLESS: u8 = 2;
    /// The first number that is a protocol's own.
    pub const OWN: u8 = 3;
}

/// What is known of one direction.
///
/// [`Self::next`] stands between what is often set to 0 together: 16 bytes in one piece the compiler would
/// set by `memset`, which BPF does not have.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(super) struct Half {
    /// The token, or what was made of it.
    pub carry: u64,
    /// TCP sequence number of the next byte.
    pub next: u32,
    /// Bits of the protocol's own.
    pub marks: u16,
    /// How many bytes of a token were seen.
    pub count: u8,
    /// One of [`state`], or the protocol's own.
    pub state: u8,
    /// Bytes of a body or payload still to come. Stale where the state and marks do not speak of any.
    pub left: u64,
}

impl Half {
    #[inline(always)]
    pub fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }

    /// Enters a state with no token in hand.
    #[inline(always)]
    pub fn enter(&mut self, state: u8) {
        self.state = state;
        self.count = 0;
        self.carry = 0;
    }

    /// Takes bytes into the token until it has `need` (<= 8) of them, the first lowest. Says how many.
    #[inline(always)]
    pub fn gather(&mut self, window: &Window, at: u32, end: u32, need: u8) -> u32 {
        self.collect(window.word(at), end.wrapping_sub(at), need)
    }

    /// The same, but not beyond a line feed.
    #[inline(always)]
    pub fn gather_line(&mut self, window: &Window, at: u32, end: u32, need: u8) -> u32 {
        let word = window.word(at);
        let line = newline_in(word) + 1;
        let available = end.wrapping_sub(at);
        self.collect(word, if line < available { line } else { available }, need)
    }

    #[inline(always)]
    fn collect(&mut self, word: u64, available: u32, need: u8) -> u32 {
        let had = self.count & 7;
        let wanted = u32::from(need.wrapping_sub(had)) & 15;
        let taken = if available < wanted { available } else { wanted };
        self.carry |= (word & first_bytes(taken)) << (had * 8);
        self.count = had + taken as u8;
        taken
    }

    /// The byte that was gathered last.
    #[inline(always)]
    pub fn last(&self) -> u8 {
        (self.carry >> ((self.count.wrapping_sub(1) & 7) * 8)) as u8
    }

    /// Keeps of a line, of which `window[at..to]` is a part, the eight bytes seen last: the newest highest.
    #[inline(always)]
    pub fn keep_tail(&mut self, window: &Window, at: u32, to: u32) {
        let count = to.wrapping_sub(at);
        if count >= 8 {
            self.carry = window.word(to - 8);
        } else if count != 0 {
            self.carry = self.carry >> (count * 8) | window.word(at) << (64 - count * 8);
        }
    }
}
