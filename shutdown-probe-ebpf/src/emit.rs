//! Sends records, and counts what could not be sent.

use crate::maps::{CONTAINERS, EVENTS, LOSSES};
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use core::arch::asm;
use shutdown_probe_common::loss::Loss;
use shutdown_probe_common::record::Header;

/// ns since boot, suspend included.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// The header of a record of this kind about this container, at this moment.
#[inline(always)]
pub fn header(kind: u32, container: u64) -> Header {
    Header { at: now(), container, kind, reserved: 0 }
}

/// Sends a record about this container: `emit!(container, Type { field: value, ... })`.
///
/// It is written in place, field by field: on the stack there is no room for it, and the target
/// has no `memset`. All fields must be named; the values must not return from the function.
macro_rules! emit {
    ($container:expr, $type:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        // That no field is forgotten is checked here, at compile time.
        let _ = |record: &$type| { let $type { $($field: _),* } = record; };
        let container: u64 = $container;
        let flags = $crate::emit::wakeup();
        match $crate::maps::EVENTS.reserve::<$type>(0) {
            Some(mut entry) => {
                let record = entry.as_mut_ptr();
                $(
                    let value = $crate::emit::field_value!($field $(: $value)?);
                    // SAFETY: the entry has room for the record, and nobody else has it yet.
                    unsafe { (&raw mut (*record).$field).write_volatile(value) };
                )*
                entry.submit(flags);
            }
            None => $crate::emit::lost(container),
        }
    }};
}
pub(crate) use emit;

/// The value of a field that is written `field: value`, or `field` alone.
macro_rules! field_value {
    ($field:ident) => {
        $field
    };
    ($field:ident: $value:expr) => {
        $value
    };
}
pub(crate) use field_value;

/// User space polls on a timer, a wake-up per record would cost more than the record. When the
/// ring fills faster than that, it is called.
#[inline(always)]
pub fn wakeup() -> u64 {
    let waiting = EVENTS.query(BPF_RB_AVAIL_DATA.into());
    let size = EVENTS.query(BPF_RB_RING_SIZE.into());
    if waiting * 2 > size { BPF_RB_FORCE_WAKEUP.into() } else { BPF_RB_NO_WAKEUP.into() }
}

/// Sends a record about this container that was laid out elsewhere.
#[inline(always)]
pub fn send<T: Copy>(container: u64, record: &T) {
    if EVENTS.output::<T>(record, wakeup()).is_err() {
        lost(container);
    }
}

/// Counts a record that the ring had no room for.
#[inline(always)]
pub fn lost(container: u64) {
    count(Loss::Ring);
    if let Some(container) = CONTAINERS.get_ptr_mut(container) {
        // SAFETY: the map's value lives at least until the program ends; the field is only ever
        // added to atomically.
        unsafe { add(&raw mut (*container).counters.lost, 1) };
    }
}

/// Counts a loss.
#[inline(always)]
pub fn count(loss: Loss) {
    if let Some(total) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: the slot is this CPU's own; an interrupt between load and store can lose one
        // count of a loss, which a plain store accepts.
        unsafe { *total += 1 };
    }
}

/// Adds to a counter that other CPUs add to.
///
/// # Safety
/// `counter` points into a map's value and is aligned.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: as the caller says; all writers of counters are atomic. The target has no `fetch_add`
    // of its own, for the machine's early versions have none that gives the old value back.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {by}", counter = in(reg) counter, by = in(reg) by);
    }
}
