//! Calls of kernel functions that are no helpers (kfuncs). The kernel side has a mark in the place of each call;
//! user space puts the number in that the running kernel has given the function, or an instruction that does
//! without it.

/// A call instruction, as it lies in the object: `BPF_JMP | BPF_CALL`, of `BPF_PSEUDO_KFUNC_CALL`, with a number
/// that no kernel gives.
const fn call(number: u32) -> u64 {
    (number as u64) << 32 | 0x2085
}

/// Stands for a call of `bpf_dynptr_from_skb`.
pub const DYNPTR_FROM_SKB: u64 = call(0xFFFF_5D03);
