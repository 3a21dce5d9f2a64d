//! What a puppet reads into many pieces of memory, and the answers it writes from one or many.
//!
//! Runs in the fork of a process with threads: system calls only, and nothing allocated.

use libc::iovec;
use std::ffi::c_int;
use std::os::fd::RawFd;

/// An answer that a puppet knows.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq)]
pub enum Answer {
    /// All of it.
    Whole,
    /// Not to its end.
    Cut,
    /// No answer yet: 100 Continue.
    Interim,
    /// More than buffers hold.
    Long,
}

/// How it is written.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// send()
    One,
    /// sendmsg() with pieces of different lengths, some of them empty.
    Pieces,
}

const WHOLE: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nContent-Length: 9\r\n\r\nninebytes";
const CUT: usize = WHOLE.len() - 5;
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n";
static BODY: [u8; 1 << 16] = [b'x'; 1 << 16];
const BODIES: usize = 64;

const LENGTHS: [usize; 7] = [1, 7, 0, 2, 19, 0, 64];
const MOST_PIECES: usize = 256;

impl Answer {
    /// Its length in bytes, as far as it is written.
    pub const fn length(self) -> usize {
        self.head().len() + self.bodies() * BODY.len()
    }

    /// What it announces, in bytes.
    pub const fn announced(self) -> usize {
        match self {
            Self::Cut => WHOLE.len(),
            other => other.length(),
        }
    }

    const fn head(self) -> &'static [u8] {
        match self {
            Self::Whole => WHOLE,
            Self::Cut => WHOLE.split_at(CUT).0,
            Self::Interim => INTERIM,
            Self::Long => LONG,
        }
    }

    const fn bodies(self) -> usize {
        if matches!(self, Self::Long) { BODIES } else { 0 }
    }

    /// What an order carries.
    pub const fn order(self, manner: Manner, from: usize) -> i32 {
        (self as i32) << 28 | (manner as i32) << 27 | from as i32
    }

    fn of_order(order: i32) -> Self {
        let all = [Self::Whole, Self::Cut, Self::Interim, Self::Long];
        all[(order >> 28) as usize & 3]
    }
}

/// Pieces of memory.
struct Pieces {
    all: [iovec; MOST_PIECES],
    count: usize,
}

impl Pieces {
    fn new() -> Self {
        Self { all: [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MOST_PIECES], count: 0 }
    }

    fn add(&mut self, base: *const u8, length: usize) {
        self.all[self.count] = iovec { iov_base: base.cast_mut().cast(), iov_len: length };
        self.count += 1;
    }

    /// Adds memory in small pieces.
    fn add_cut(&mut self, base: *const u8, length: usize) {
        let (mut at, mut lengths) = (0, LENGTHS.iter().cycle());
        while at < length {
            let next = (*lengths.next().unwrap_or(&1)).min(length - at);
            self.add(base.wrapping_add(at), next);
            at += next;
        }
    }

    fn message(&mut self) -> libc::msghdr {
        // SAFETY: all zero is a message without anything.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = self.all.as_mut_ptr();
        message.msg_iovlen = self.count;
        message
    }
}

/// Reads, or only looks, into pieces.
pub fn read(fd: RawFd, most: usize, flags: c_int) -> isize {
    let mut buffer = [0_u8; 2048];
    let mut pieces = Pieces::new();
    pieces.add_cut(buffer.as_mut_ptr(), most.min(buffer.len()));
    let mut message = pieces.message();
    // SAFETY: each piece lies in the buffer.
    unsafe { libc::recvmsg(fd, &raw mut message, flags) }
}

/// Brings constants into memory: those that nobody has read yet the probe cannot read.
fn touch(bytes: &[u8]) {
    for byte in bytes {
        std::hint::black_box(*byte);
    }
}

/// Writes what an order says of an answer, as far as it fits.
pub fn write(fd: RawFd, order: i32) -> isize {
    let answer = Answer::of_order(order);
    let from = (order & 0x07FF_FFFF) as usize;
    let head = answer.head();
    let (head, into_body) =
        head.split_at_checked(from).map_or_else(|| (&[][..], from - head.len()), |(_, it)| (it, 0));
    touch(head);
    if order >> 27 & 1 == Manner::One as i32 {
        // SAFETY: the slice has that many bytes.
        return unsafe { libc::send(fd, head.as_ptr().cast(), head.len(), libc::MSG_NOSIGNAL) };
    }
    let mut pieces = Pieces::new();
    pieces.add_cut(head.as_ptr(), head.len());
    for number in into_body / BODY.len()..answer.bodies() {
        let skipped = if number == into_body / BODY.len() { into_body % BODY.len() } else { 0 };
        pieces.add(BODY[skipped..].as_ptr(), BODY.len() - skipped);
    }
    let message = pieces.message();
    // SAFETY: each piece lies in a slice that is static.
    unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_NOSIGNAL) }
}
