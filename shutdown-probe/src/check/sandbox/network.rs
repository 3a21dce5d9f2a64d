//! A network namespace of the service's own, with a loopback that is up.

use crate::exit::{Exit, Failure, OrExit};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::io;
use std::os::fd::AsRawFd;

/// Moves this thread into a fresh one: what it opens and starts from now on is in there.
///
/// # Errors
/// [`Exit::NotMeasured`] without CAP_SYS_ADMIN, or where the loopback does not come up.
pub fn enter_own() -> Result<(), Failure> {
    // SAFETY: only the network namespace of this thread changes; no file descriptor does.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
        .or_exit(Exit::NotMeasured, || "cannot make a network namespace (--network own)")?;
    raise_loopback().or_exit(Exit::NotMeasured, || "the loopback of the network namespace does not come up")
}

fn raise_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all fields of ifreq are integers, addresses of none: zero is a value of each.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a whole ifreq with a terminated name, as netdevice(7) wants it, and outlives the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
