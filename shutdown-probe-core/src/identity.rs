//! Identities that survive reuse, and time as the kernel tells it.
//!
//! Invariant: never a bare pid or address. A container is a cgroup id, a process is a thread group id
//! with its start, a connection is a socket cookie.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A container: the v2 cgroup id, which is the inode of its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub u64);

/// A connection: the socket's cookie, unique on the node until it restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SocketCookie(pub u64);

/// A moment: ns since boot, suspend included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KernelInstant(pub u64);

impl KernelInstant {
    /// The moment this much later; never overflows.
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_nanos() as u64))
    }

    /// The moment this much earlier; never below 0.
    pub const fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_nanos() as u64))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A process: its thread group id, and its start in ns since boot, since ids are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The thread group id in the initial PID namespace.
    pub tgid: u32,
    /// ns since boot.
    pub start: u64,
}
