//! Network addresses, copied to where they are wanted.

use super::{Address, probe_into};

/// Copies an IPv4 address from the kernel, in its IPv4-mapped form (RFC 4291, 2.5.5.2).
#[inline(always)]
pub fn put_v4(from: Address, place: &mut [u8; 16]) {
    let [prefix @ .., a, b, c, d] = place;
    for (byte, value) in prefix.iter_mut().zip([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) {
        // SAFETY: the pointer comes from a reference. Volatile, or it would become a `memset`, which
        // the target does not have.
        unsafe { (&raw mut *byte).write_volatile(value) };
    }
    let mut bytes = [0_u8; 4];
    probe_into(from, &mut bytes);
    [*a, *b, *c, *d] = bytes;
}

/// Copies an IPv6 address from the kernel.
#[inline(always)]
pub fn put_v6(from: Address, place: &mut [u8; 16]) {
    probe_into(from, place);
}
