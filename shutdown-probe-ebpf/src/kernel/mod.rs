//! The kernel's own structures, typed. Two ways to read:
//!
//! - a socket comes from a hook's argument, and the verifier knows its type: its fields are plain
//!   loads, for they are read often;
//! - everything else is an address, read by a helper that answers a bad one with zeros.

mod address;
mod cgroup;
mod socket;
mod task;

pub use address::{put_v4, put_v6};
pub use cgroup::Cgroup;
pub use socket::{Sock, Tcp};
pub use task::Task;

use crate::emit::count;
use aya_ebpf::Global;
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns, bpf_probe_read_kernel};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use shutdown_probe_common::loss::Loss;

/// The address of something in the kernel. The verifier takes it for a number.
pub type Address = u64;

/// Reads from any kernel address. An unreadable one is counted and gives zeros.
#[inline(always)]
pub fn probe<T: Copy>(base: Address, offset: &Global<u64>) -> T {
    probe_at(base + offset.load())
}

/// Reads from this very address.
#[inline(always)]
pub fn probe_at<T: Copy>(address: Address) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    probe_into(address, &mut value);
    // SAFETY: all of it was written; only integers and arrays of them are read, for which every
    // pattern is a value.
    unsafe { value.assume_init() }
}

/// Reads from this very address to where the value is wanted.
#[inline(always)]
pub fn probe_into<T>(address: Address, place: &mut T) {
    let place = (&raw mut *place).cast();
    // SAFETY: the helper writes `size_of::<T>()` bytes to the place whatever the address is, zeros
    // where it cannot be read.
    let result = unsafe { bpf_probe_read_kernel(place, size_of::<T>() as u32, address as *const c_void) };
    if result != 0 {
        count(Loss::KernelRead);
    }
}

/// ns of `CLOCK_MONOTONIC`, which TCP stamps its segments with.
#[inline(always)]
pub fn monotonic() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_ktime_get_ns() }
}

/// Jiffies since boot.
#[inline(always)]
pub fn jiffies() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_jiffies64() }
}
