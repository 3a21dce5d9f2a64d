//! Packets.

use super::{Address, Sock, load, probe};
use crate::offsets::{SKB_CB, SKB_LEN, SKB_SOCK, SOCK_SOCKET, SOCKET_SK};
use aya_ebpf::helpers::generated::bpf_dynptr_read;
#[cfg(target_arch = "bpf")]
use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;
#[cfg(target_arch = "bpf")]
use shutdown_probe_common::kfunc::DYNPTR_FROM_SKB;

/// `struct sk_buff` as a hook gives it, known to the verifier.
#[derive(Clone, Copy)]
pub struct Packet(*const c_void);

/// `struct bpf_dynptr`.
type View = MaybeUninit<[u64; 2]>;

impl Packet {
    /// The one that a hook was given.
    #[inline(always)]
    pub fn new(pointer: *const c_void) -> Self {
        Self(pointer)
    }

    /// The one that a hook was given, where there is one.
    #[inline(always)]
    pub fn if_any(pointer: *const c_void) -> Option<Self> {
        if pointer.is_null() { None } else { Some(Self(pointer)) }
    }

    /// The socket it was received by, while a process reads from that. By a detour over `struct socket`: the
    /// helpers do not take what `skb->sk` itself gives, which the verifier knows to be there for a moment only.
    #[inline(always)]
    pub fn sock(self) -> Option<Sock> {
        // SAFETY: each pointer is to the structure that the next offset is of, and is looked at before.
        unsafe {
            let sk: *const c_void = load(self.0, &SKB_SOCK);
            if sk.is_null() {
                return None;
            }
            let socket: *const c_void = load(sk, &SOCK_SOCKET);
            if socket.is_null() {
                return None;
            }
            let sk: *const c_void = load(socket, &SOCKET_SK);
            if sk.is_null() { None } else { Some(Sock::new(sk)) }
        }
    }

    /// `TCP_SKB_CB(skb)->seq`: the number of its first byte.
    #[inline(always)]
    pub fn sequence(self) -> u32 {
        probe(self.0 as Address, &SKB_CB)
    }

    /// How many bytes it has.
    #[inline(always)]
    pub fn length(self) -> u32 {
        // SAFETY: the pointer is to the structure that the offset is of.
        unsafe { load(self.0, &SKB_LEN) }
    }

    /// Reads so many of its bytes. Whether they could be read.
    #[inline(always)]
    pub fn read<const LENGTH: usize>(self, offset: u32, place: &mut [u8; LENGTH], length: u32) -> bool {
        let length = if length as usize > LENGTH { LENGTH as u32 } else { length };
        let mut view = View::uninit();
        if !self.view(&mut view) {
            return false;
        }
        // SAFETY: the helper writes at most `length` bytes to the place.
        unsafe {
            bpf_dynptr_read(place.as_mut_ptr().cast(), length, view.as_mut_ptr().cast(), offset, 0) == 0
        }
    }

    #[cfg(target_arch = "bpf")]
    #[inline(always)]
    fn view(self, view: &mut View) -> bool {
        let result: i64;
        // SAFETY: the mark is a call of `bpf_dynptr_from_skb` once user space has replaced it, or an
        // instruction that gives an error; the call writes to the view and to no other registers than these.
        unsafe {
            asm!(
                ".quad {mark}",
                mark = const DYNPTR_FROM_SKB,
                inlateout("r1") self.0 => _,
                inlateout("r2") 0_u64 => _,
                inlateout("r3") view.as_mut_ptr() => _,
                lateout("r0") result,
                lateout("r4") _,
                lateout("r5") _,
                options(nostack),
            );
        }
        result as i32 == 0
    }

    /// The linter takes the crate for one of the host's, whose registers have other names.
    #[cfg(not(target_arch = "bpf"))]
    fn view(self, _: &mut View) -> bool {
        false
    }
}
