//! The kernel's own structures, typed. Two ways to read:
//!
//! - a socket comes from a hook's argument, and the verifier knows its type: its fields are plain
//!   loads, for they are read often;
//! - everything else is an address, read by a helper that answers a bad one with zeros.

mod address;
mod cgroup;
mod message;
mod packet;
mod socket;
mod task;

pub use address::{put_v4, put_v6};
pub use cgroup::Cgroup;
pub use message::{Form, Message, Piece};
pub use packet::Packet;
pub use socket::{Sock, Tcp};
pub use task::Task;

use crate::emit::count;
use aya_ebpf::Global;
use aya_ebpf::helpers::generated::{
    bpf_jiffies64, bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_probe_read_user,
};
use core::arch::asm;
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

/// Reads from the running process's memory. Whether it could be read.
#[inline(always)]
pub fn read_user<const LENGTH: usize>(from: Address, place: &mut [u8; LENGTH], length: u32) -> bool {
    let length = if length as usize > LENGTH { LENGTH as u32 } else { length };
    // SAFETY: the helper writes at most `length` bytes to the place, whatever the address is.
    unsafe { bpf_probe_read_user(place.as_mut_ptr().cast(), length, from as *const c_void) == 0 }
}

/// Reads a field through a pointer that the verifier knows.
///
/// # Safety
/// The pointer is to the structure that the offset is of.
#[inline(always)]
unsafe fn load<T: Copy>(base: *const c_void, offset: &Global<u64>) -> T {
    // SAFETY: as the caller says.
    unsafe { load_at(base, offset.load()) }
}

/// Reads a field that lies so far behind a pointer that the verifier knows.
///
/// # Safety
/// The pointer is to a structure with that field.
#[inline(always)]
unsafe fn load_at<T: Copy>(base: *const c_void, offset: u64) -> T {
    // SAFETY: the verifier admits the load only where the structure has such a field there; the
    // kernel answers a stale pointer with zeros.
    unsafe { base.byte_add(offset as usize).cast::<T>().read_volatile() }
}

/// The same value, of which the compiler knows nothing: it would drop a check that it can prove and
/// the verifier cannot.
#[inline(always)]
pub fn opaque(mut value: u64) -> u64 {
    // SAFETY: a register is moved to itself. No instruction at all would leave two source lines at
    // one address, which the kernel refuses.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(pure, nomem, nostack)) };
    value
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
