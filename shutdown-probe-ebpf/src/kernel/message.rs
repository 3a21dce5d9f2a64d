//! What a process gives to be sent, or has filled: where its bytes lie.

use super::{Address, load_at, probe_at};
use crate::offsets::{
    ITER_IOVEC, ITER_UBUF, MSG_ITER, MSG_ITER_COUNT, MSG_ITER_OFFSET, MSG_ITER_POINTER, MSG_ITER_TYPE,
};
use aya_ebpf::Global;
use core::arch::asm;
use core::ffi::c_void;

/// The iterator of a `struct msghdr`. It stands between the bytes that were moved and those that will be.
#[derive(Clone, Copy)]
pub struct Message {
    pointer: *const c_void,
    /// How much of the structure lies before the pointer.
    before: u64,
}

/// `struct iovec`: a piece of a process's memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Piece {
    pub base: Address,
    pub length: u64,
}

/// How the bytes are described.
pub enum Form {
    /// They lie in one piece, and the iterator stands there.
    One { at: Address },
    /// The iterator is so far into this `struct iovec` of several.
    Several { at: Address, into: u64 },
    /// In pages of the kernel, as sendfile() and splice() do it: not to be read from here.
    Pages,
}

impl Message {
    /// The one that a hook was given.
    #[inline(always)]
    pub fn new(pointer: *const c_void) -> Self {
        Self { pointer, before: 0 }
    }

    /// The one whose `struct iov_iter` a hook was given.
    #[inline(always)]
    pub fn of_iterator(pointer: *const c_void) -> Self {
        Self { pointer, before: MSG_ITER.load() }
    }

    #[inline(always)]
    fn field<T: Copy>(self, offset: &Global<u64>) -> T {
        // SAFETY: the pointer is so far into the structure that the offset is of.
        unsafe { load_at(self.pointer, offset.load() - self.before) }
    }

    /// How many bytes lie ahead of the iterator.
    #[inline(always)]
    pub fn bytes_ahead(self) -> u32 {
        self.field::<u64>(&MSG_ITER_COUNT) as u32
    }

    /// Where its iterator stands.
    #[inline(always)]
    pub fn form(self) -> Form {
        let kind: u8 = self.field(&MSG_ITER_TYPE);
        let into: u64 = self.field(&MSG_ITER_OFFSET);
        let pointer = as_number(self.field(&MSG_ITER_POINTER));
        if u64::from(kind) == ITER_UBUF.load() {
            Form::One { at: pointer + into }
        } else if u64::from(kind) == ITER_IOVEC.load() {
            Form::Several { at: pointer, into }
        } else {
            Form::Pages
        }
    }
}

/// The same. Where the first member of the iterator's union is a pointer (before 6.4), the verifier takes whatever is
/// loaded from there for one, and does not let it be added to; what it is after a negation the verifier does not follow.
#[inline(always)]
fn as_number(mut pointer: Address) -> Address {
    // SAFETY: the register is negated twice, and nothing else is touched.
    unsafe { asm!("{0} = -{0}", "{0} = -{0}", inout(reg) pointer, options(pure, nomem, nostack)) };
    pointer
}

impl Piece {
    /// The one at this address.
    #[inline(always)]
    pub fn at(address: Address) -> Self {
        probe_at(address)
    }
}
