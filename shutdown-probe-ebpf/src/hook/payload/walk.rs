//! The way through bytes that lie in several places, a window at a time.
//!
//! Everything that changes on the way is in a map's value, of which the verifier expects nothing: on the
//! stack it would follow each of its values from step to step.

use crate::kernel::Address;
use crate::maps::WALKS;
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use shutdown_probe_common::framing::{Direction, Framing, WINDOW, Window};

/// More steps than one call needs, whatever its bytes are.
const MAX_STEPS: u32 = 1 << 17;

/// Where bytes lie.
pub trait Source {
    /// Finds the next place where some lie.
    fn enter_next(&self, place: &mut Place);

    /// Copies so many from there, at most [`WINDOW`]. Whether they could be read.
    fn copy(&self, from: Address, window: &mut Window, length: u32) -> bool;
}

/// Bytes that lie together.
#[repr(C)]
pub struct Place {
    /// Where the first one is, as its source counts.
    pub at: Address,
    /// How many there are.
    pub length: u64,
    /// Where the source finds the next place.
    pub next: Address,
}

/// Where in the bytes we are.
#[repr(C)]
pub struct Walk {
    window: Window,
    /// What is left of the place we are in.
    place: Place,
    /// Bytes to go, over all places.
    left: u32,
    /// Of which the parser has seen so many before.
    known: u32,
    /// What of the window was not taken yet.
    from: u32,
    to: u32,
    in_window: bool,
}

/// What is to be walked through.
pub struct Bytes<S> {
    /// Who has them.
    pub source: S,
    /// Where the first lie.
    pub place: Place,
    /// How many.
    pub all: u32,
    /// Of the first of which the parser has seen so many before.
    pub known: u32,
    /// Whether a termination is under way.
    pub in_window: bool,
}

/// What each step is given.
#[repr(C)]
struct Step<S> {
    framing: *mut Framing,
    walk: *mut Walk,
    source: S,
}

/// Shows the parser everything. Whether it could be read.
#[inline(always)]
pub fn walk<S: Source, const OUTBOUND: bool>(framing: *mut Framing, bytes: Bytes<S>) -> bool {
    let Some(walk) = WALKS.get_ptr_mut(OUTBOUND.into()) else { return false };
    // SAFETY: the value is this CPU's own, and this program's: it does not run twice at a time on a CPU.
    let start = unsafe { &mut *walk };
    start.place = bytes.place;
    start.left = bytes.all;
    start.known = bytes.known;
    start.from = 0;
    start.to = 0;
    start.in_window = bytes.in_window;
    let mut step = Step { framing, walk, source: bytes.source };
    let (callback, context) = (take_step::<S, OUTBOUND> as *mut c_void, (&raw mut step).cast());
    // SAFETY: the callback is of the type that the helper calls, with this context; the walk is still there.
    unsafe {
        bpf_loop(MAX_STEPS, callback, context, 0);
        (*walk).left == 0
    }
}

/// One step of the parser, or of the way to the next bytes. 1 ends the loop.
unsafe extern "C" fn take_step<S: Source, const OUTBOUND: bool>(_: u64, step: *mut Step<S>) -> i64 {
    // SAFETY: the loop is given the address of a `Step` that outlives it; its pointers are to values of
    // maps, of which the socket's lock and the CPU keep others away.
    let (framing, walk, source) = unsafe { (&mut *(*step).framing, &mut *(*step).walk, &(*step).source) };
    if walk.left == 0 || !framing.is_followed() {
        return 1;
    }
    let here = walk.here();
    if here == 0 {
        source.enter_next(&mut walk.place);
        return 0;
    }
    if walk.known != 0 {
        walk.pass_known(here);
        return 0;
    }
    let direction = if OUTBOUND { Direction::Outbound } else { Direction::Inbound };
    let skipped = framing.skip(direction, here);
    if skipped != 0 {
        walk.advance(skipped);
        return 0;
    }
    if walk.from >= walk.to {
        return i64::from(!walk.look(source, here));
    }
    let taken = framing.step(direction, &walk.window, walk.from, walk.to, walk.in_window);
    walk.advance(taken);
    0
}

impl Walk {
    /// How many bytes lie here together.
    #[inline(always)]
    fn here(&self) -> u32 {
        if self.place.length < u64::from(self.left) { self.place.length as u32 } else { self.left }
    }

    #[inline(always)]
    fn pass_known(&mut self, here: u32) {
        let bytes = if here < self.known { here } else { self.known };
        self.known -= bytes;
        self.advance(bytes);
    }

    #[inline(always)]
    fn advance(&mut self, bytes: u32) {
        self.place.at = self.place.at.wrapping_add(bytes.into());
        self.place.length = self.place.length.saturating_sub(bytes.into());
        self.left = self.left.saturating_sub(bytes);
        self.from = self.from.saturating_add(bytes);
    }

    /// Fills the window. Whether the bytes can be read.
    #[inline(always)]
    fn look(&mut self, source: &impl Source, here: u32) -> bool {
        let length = if here < WINDOW as u32 { here } else { WINDOW as u32 };
        self.from = 0;
        self.to = length;
        source.copy(self.place.at, &mut self.window, length)
    }
}
