//! Where a program lays out what its stack has no room for: older kernels give 512 bytes to a whole
//! chain of calls.
//!
//! Invariant: a desk is used by one program, which takes it once a run. The kernel does not run a
//! program on a CPU where it runs already, and moves none to another CPU.

use crate::maps::Closed;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use shutdown_probe_common::connection::{Evidence, ListenAddress, Process};
use shutdown_probe_common::record::ConnectionRecord;

/// Which program's desk.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum Desk {
    State,
    Read,
    ResetReceived,
    ResetSent,
    ResetSentV4,
    ResetSentV6,
    Retransmission,
    WindowProbe,
    ExistingListeners,
    ExistingConnections,
}

const COUNT: u32 = Desk::ExistingConnections as u32 + 1;

#[map]
static DESKS: PerCpuArray<Papers> = PerCpuArray::with_max_entries(COUNT, 0);

/// What lies on a desk. Nobody cleans up: what matters is written first. Padding stays zero, for
/// nobody writes it.
#[repr(C)]
pub struct Papers {
    /// A record to be sent.
    pub record: ConnectionRecord,
    /// A connection to be remembered.
    pub closed: Closed,
    /// A key to search with.
    pub address: ListenAddress,
}

impl Desk {
    /// What lies on it.
    #[inline(always)]
    pub fn take(self) -> Option<&'static mut Papers> {
        // SAFETY: see the invariant above; the slot is this CPU's own and lives as long as the map.
        DESKS.get_ptr_mut(self as u32).map(|papers| unsafe { &mut *papers })
    }
}

/// Writes zeros. The target has no `memset`, and volatile stores are not merged into one.
#[inline(always)]
pub fn clear(evidence: &mut Evidence) {
    let words = (&raw mut *evidence).cast::<u64>();
    for word in 0..size_of::<Evidence>() / 8 {
        // SAFETY: the structure has so many words, and any pattern is a value.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Writes down a process, or nobody where `tgid` is 0. Word by word, for the target has neither
/// `memset` nor `memmove`.
#[inline(always)]
pub fn put_process(place: &mut Process, start: u64, tgid: u32) {
    let place = &raw mut *place;
    // SAFETY: the pointer comes from a reference.
    unsafe {
        (&raw mut (*place).start).write_volatile(start);
        (&raw mut (*place).tgid).write_volatile(tgid);
    }
}

/// A value that the verifier knows nothing of, because it has been in memory. It would otherwise
/// follow each of the ways that led to it to the end of the program.
#[inline(always)]
pub fn through_memory<T: Copy>(place: &mut T, value: T) -> T {
    let place = &raw mut *place;
    // SAFETY: the pointer comes from a reference.
    unsafe {
        place.write_volatile(value);
        place.read_volatile()
    }
}
