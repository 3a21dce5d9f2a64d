//! A process that does what it is told, one system call an order.
//!
//! It is a fork of the test, which has threads: so it makes system calls only, and never allocates.

use crate::pieces::{self, Answer, Manner};
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

/// What a puppet can be told. The meaning of `fd` and `value` is in [`Puppet`]'s methods.
#[repr(u8)]
#[derive(Clone, Copy)]
enum Act {
    Listen,
    Connect,
    Accept,
    Read,
    Peek,
    ReadPieces,
    PeekPieces,
    Write,
    Say,
    ShutdownWrite,
    Close,
    LingerZero,
    NonBlocking,
    HandleStop,
    IgnoreStop,
    RaiseStop,
    Fork,
    Exit,
}

const ORDER: usize = 12;
const REPLY: usize = 8;

/// Where a puppet listens.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq)]
pub enum Address {
    V4Loopback,
    V4Any,
    V6Any,
    Mptcp,
}

/// A process in a container, killed when it goes out of scope.
pub struct Puppet {
    pid: libc::pid_t,
    orders: UnixStream,
}

impl Puppet {
    /// A process that moves itself into the cgroup whose `cgroup.procs` this is. It keeps `gift`.
    pub fn enter(procs: &File, gift: Option<BorrowedFd<'_>>) -> Self {
        Self::spawn(|theirs| {
            // SAFETY: the child makes system calls only, see `play`.
            match unsafe { libc::fork() } {
                0 => play(theirs, Some(procs.as_raw_fd()), gift.map(|gift| gift.as_raw_fd())),
                pid => pid,
            }
        })
    }

    /// A process that is born in the cgroup of this directory (`CLONE_INTO_CGROUP`).
    pub fn born_in(directory: &File) -> Self {
        const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
        Self::spawn(|theirs| {
            let mut arguments = [0_u64; 11];
            arguments[0] = CLONE_INTO_CGROUP;
            arguments[4] = u64::from(libc::SIGCHLD.cast_unsigned());
            arguments[10] = u64::from(directory.as_raw_fd().cast_unsigned());
            // SAFETY: the arguments are `struct clone_args`; without CLONE_VM this is a fork, and the
            // child makes system calls only.
            let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
            match pid {
                0 => play(theirs, None, None),
                pid => pid as libc::pid_t,
            }
        })
    }

    fn spawn(birth: impl FnOnce(RawFd) -> libc::pid_t) -> Self {
        let (orders, theirs) = UnixStream::pair().unwrap();
        let pid = birth(theirs.as_raw_fd());
        assert!(pid > 0, "no child: {}", io::Error::last_os_error());
        drop(theirs);
        let mut puppet = Self { pid, orders };
        assert_eq!(puppet.reply(), 0, "the child could not enter its cgroup");
        puppet
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Listens, and gives the socket and the port.
    pub fn listen(&mut self, at: Address) -> (RawFd, u16) {
        let reply = self.told(Act::Listen, -1, at as i32);
        ((reply >> 16) as RawFd, reply as u16)
    }

    /// Connects to this port of the IPv4 loopback address.
    pub fn connect(&mut self, port: u16) -> RawFd {
        self.told(Act::Connect, -1, port.into()) as RawFd
    }

    pub fn accept(&mut self, listener: RawFd) -> RawFd {
        self.told(Act::Accept, listener, 0) as RawFd
    }

    /// Reads at most so many bytes, and says how many it were.
    pub fn read(&mut self, fd: RawFd, most: usize) -> i64 {
        self.told(Act::Read, fd, most as i32)
    }

    pub fn peek(&mut self, fd: RawFd) -> i64 {
        self.told(Act::Peek, fd, 0)
    }

    /// Reads at most so many bytes into many pieces of memory.
    pub fn read_pieces(&mut self, fd: RawFd, most: usize) -> i64 {
        self.told(Act::ReadPieces, fd, most as i32)
    }

    pub fn peek_pieces(&mut self, fd: RawFd, most: usize) -> i64 {
        self.told(Act::PeekPieces, fd, most as i32)
    }

    /// Writes an answer from this byte on, as far as it fits.
    pub fn say(&mut self, fd: RawFd, answer: Answer, manner: Manner, from: usize) -> i64 {
        self.told(Act::Say, fd, answer.order(manner, from))
    }

    /// The same, and gives 0 where nothing fits.
    pub fn try_say(&mut self, fd: RawFd, answer: Answer, manner: Manner, from: usize) -> i64 {
        self.order(Act::Say, fd, answer.order(manner, from));
        self.answer().max(0)
    }

    /// The same, and nobody waits for its end: it can only be killed after that.
    pub fn begin_to_say(&mut self, fd: RawFd, answer: Answer, manner: Manner) {
        self.order(Act::Say, fd, answer.order(manner, 0));
    }

    /// Writes so many bytes, as far as they fit.
    pub fn write(&mut self, fd: RawFd, length: usize) -> i64 {
        self.told(Act::Write, fd, length as i32)
    }

    /// Writes as [`Self::write`], and gives 0 where nothing fits.
    pub fn try_write(&mut self, fd: RawFd, length: usize) -> i64 {
        self.order(Act::Write, fd, length as i32);
        self.answer().max(0)
    }

    pub fn shutdown_write(&mut self, fd: RawFd) {
        self.told(Act::ShutdownWrite, fd, 0);
    }

    pub fn close(&mut self, fd: RawFd) {
        self.told(Act::Close, fd, 0);
    }

    /// Lets close() send a reset.
    pub fn linger_zero(&mut self, fd: RawFd) {
        self.told(Act::LingerZero, fd, 0);
    }

    pub fn non_blocking(&mut self, fd: RawFd) {
        self.told(Act::NonBlocking, fd, 0);
    }

    /// Installs a handler for SIGTERM that does nothing.
    pub fn handle_stop(&mut self) {
        self.told(Act::HandleStop, -1, 0);
    }

    pub fn ignore_stop(&mut self) {
        self.told(Act::IgnoreStop, -1, 0);
    }

    /// Sends itself SIGTERM.
    pub fn raise_stop(&mut self) {
        self.told(Act::RaiseStop, -1, 0);
    }

    /// Makes a child that waits for ever, and gives its process id.
    pub fn fork(&mut self) -> u32 {
        self.told(Act::Fork, -1, 0) as u32
    }

    /// Ends by itself.
    pub fn exit(mut self, status: i32) {
        self.order(Act::Exit, -1, status);
        self.wait();
    }

    /// Sends it a signal from here, from outside its container.
    pub fn signal(&self, signal: c_int) {
        kill(self.pid(), signal);
    }

    /// Kills it, and waits until its sockets are closed.
    pub fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        // SAFETY: plain values; the status is not asked for.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
        self.pid = 0;
    }

    fn told(&mut self, act: Act, fd: RawFd, value: i32) -> i64 {
        self.order(act, fd, value);
        self.reply()
    }

    fn order(&mut self, act: Act, fd: RawFd, value: i32) {
        let mut order = [0; ORDER];
        order[0] = act as u8;
        order[4..8].copy_from_slice(&fd.to_ne_bytes());
        order[8..].copy_from_slice(&value.to_ne_bytes());
        self.orders.write_all(&order).unwrap();
    }

    fn answer(&mut self) -> i64 {
        let mut reply = [0; REPLY];
        self.orders.read_exact(&mut reply).expect("the puppet is gone");
        i64::from_ne_bytes(reply)
    }

    fn reply(&mut self) -> i64 {
        let value = self.answer();
        let errno = i32::try_from(-value).unwrap_or_default();
        assert!(value >= 0, "the puppet failed: {}", io::Error::from_raw_os_error(errno));
        value
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        if self.pid != 0 {
            self.signal(libc::SIGKILL);
            self.wait();
        }
    }
}

/// Sends a signal from here.
pub fn kill(pid: u32, signal: c_int) {
    // SAFETY: plain values, of a process that this test started.
    let sent = unsafe { libc::kill(pid.cast_signed(), signal) };
    assert_eq!(sent, 0, "kill({pid}): {}", io::Error::last_os_error());
}

const ORDERS: RawFd = 3;
const PROCS: RawFd = 4;
const GIFT: RawFd = 5;
/// Above all that is in use while the descriptors are put in order.
const ASIDE: RawFd = 300;

/// The child's life. Only system calls: another thread may have held any lock at the fork.
fn play(orders: RawFd, procs: Option<RawFd>, gift: Option<RawFd>) -> ! {
    for (fd, place) in [(Some(orders), ORDERS), (procs, PROCS), (gift, GIFT)] {
        if let Some(fd) = fd {
            // SAFETY: plain values.
            unsafe { libc::dup2(fd, ASIDE + place) };
        }
    }
    for place in [ORDERS, PROCS, GIFT] {
        // SAFETY: plain values. What was not given fails, and stays closed below.
        unsafe { libc::dup2(ASIDE + place, place) };
    }
    // The sockets of other tests must not live on in here.
    let first = if gift.is_some() { GIFT + 1 } else { PROCS + 1 };
    // SAFETY: plain values.
    unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0) };
    let entered = match procs {
        Some(_) => {
            // SAFETY: the buffer has one byte. "0" is whoever writes it.
            let written = unsafe { libc::write(PROCS, c"0".as_ptr().cast(), 1) };
            if written == 1 { 0 } else { -1 }
        }
        None => 0,
    };
    answer(entered);
    loop {
        let mut order = [0_u8; ORDER];
        // SAFETY: the buffer has that many bytes.
        let read = unsafe { libc::recv(ORDERS, order.as_mut_ptr().cast(), ORDER, libc::MSG_WAITALL) };
        if read != ORDER as isize {
            // SAFETY: plain value.
            unsafe { libc::_exit(0) };
        }
        let fd = RawFd::from_ne_bytes([order[4], order[5], order[6], order[7]]);
        let value = i32::from_ne_bytes([order[8], order[9], order[10], order[11]]);
        answer(act(order[0], fd, value));
    }
}

fn answer(value: i64) {
    // SAFETY: the buffer has that many bytes.
    unsafe { libc::send(ORDERS, value.to_ne_bytes().as_ptr().cast(), REPLY, libc::MSG_NOSIGNAL) };
}

static PAYLOAD: [u8; 1 << 16] = [b'x'; 1 << 16];

/// Does one thing. A negative result is an errno.
fn act(act: u8, fd: RawFd, value: i32) -> i64 {
    let mut buffer = [0_u8; 4096];
    let into = buffer.as_mut_ptr().cast();
    let length = (value.max(0) as usize).min(PAYLOAD.len());
    // SAFETY: every pointer is to a buffer of at least the length that is passed with it.
    let result = unsafe {
        match act {
            act if act == Act::Listen as u8 => return listen(value),
            act if act == Act::Connect as u8 => return connect(value as u16),
            act if act == Act::Accept as u8 => {
                libc::accept(fd, std::ptr::null_mut(), std::ptr::null_mut()) as isize
            }
            act if act == Act::Read as u8 => libc::recv(fd, into, length.min(buffer.len()), 0),
            act if act == Act::Peek as u8 => libc::recv(fd, into, buffer.len(), libc::MSG_PEEK),
            act if act == Act::ReadPieces as u8 => pieces::read(fd, length, 0),
            act if act == Act::PeekPieces as u8 => pieces::read(fd, length, libc::MSG_PEEK),
            act if act == Act::Say as u8 => pieces::write(fd, value),
            act if act == Act::Write as u8 => {
                libc::send(fd, PAYLOAD.as_ptr().cast(), length, libc::MSG_NOSIGNAL)
            }
            act if act == Act::ShutdownWrite as u8 => libc::shutdown(fd, libc::SHUT_WR) as isize,
            act if act == Act::Close as u8 => libc::close(fd) as isize,
            act if act == Act::LingerZero as u8 => {
                let linger = libc::linger { l_onoff: 1, l_linger: 0 };
                let length = size_of_val(&linger) as libc::socklen_t;
                let value = (&raw const linger).cast();
                libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, length) as isize
            }
            act if act == Act::NonBlocking as u8 => libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) as isize,
            act if act == Act::HandleStop as u8 => {
                libc::signal(libc::SIGTERM, nothing as *const () as libc::sighandler_t);
                0
            }
            act if act == Act::IgnoreStop as u8 => {
                libc::signal(libc::SIGTERM, libc::SIG_IGN);
                0
            }
            act if act == Act::RaiseStop as u8 => libc::kill(libc::getpid(), libc::SIGTERM) as isize,
            act if act == Act::Fork as u8 => match libc::fork() {
                0 => {
                    // Nobody else would end it.
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    loop {
                        libc::pause();
                    }
                }
                pid => pid as isize,
            },
            _ => libc::_exit(value),
        }
    };
    outcome(result as i64)
}

extern "C" fn nothing(_: c_int) {}

fn outcome(result: i64) -> i64 {
    if result >= 0 { result } else { -i64::from(errno()) }
}

fn errno() -> i32 {
    // SAFETY: the pointer is to this thread's errno.
    unsafe { *libc::__errno_location() }
}

fn listen(at: i32) -> i64 {
    let (family, protocol) = match at {
        at if at == Address::V6Any as i32 => (libc::AF_INET6, 0),
        at if at == Address::Mptcp as i32 => (libc::AF_INET, libc::IPPROTO_MPTCP),
        _ => (libc::AF_INET, 0),
    };
    let mut address = libc::sockaddr_in6 {
        sin6_family: family as libc::sa_family_t,
        sin6_port: 0,
        // Where an IPv4 address stands in its own structure.
        sin6_flowinfo: if at == Address::V4Any as i32 || family == libc::AF_INET6 { 0 } else { LOOPBACK },
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    };
    let pointer = (&raw mut address).cast();
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address has the length that is passed with it; an IPv4 address is shorter.
    unsafe {
        let fd = libc::socket(family, libc::SOCK_STREAM, protocol);
        if fd < 0 || libc::bind(fd, pointer, length) != 0 || libc::listen(fd, 64) != 0 {
            return -i64::from(errno());
        }
        libc::getsockname(fd, pointer, &raw mut length);
        i64::from(fd) << 16 | i64::from(u16::from_be(address.sin6_port))
    }
}

const LOOPBACK: u32 = u32::from_ne_bytes([127, 0, 0, 1]);

fn connect(port: u16) -> i64 {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: LOOPBACK },
        sin_zero: [0; 8],
    };
    // SAFETY: the address has the length that is passed with it.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let length = size_of_val(&address) as libc::socklen_t;
        if fd < 0 || libc::connect(fd, (&raw const address).cast(), length) != 0 {
            return -i64::from(errno());
        }
        i64::from(fd)
    }
}
