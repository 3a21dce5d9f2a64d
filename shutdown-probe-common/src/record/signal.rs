//! Signals that end processes: generated, delivered.

use super::{COMM_LENGTH, Header};
use crate::connection::Process;
use bytemuck::{Pod, Zeroable};

/// What the target had installed for the signal when it was generated.
pub mod disposition {
    /// `SIG_DFL`.
    pub const DEFAULT: u32 = 0;
    /// `SIG_IGN`.
    pub const IGNORED: u32 = 1;
    /// A handler's address.
    pub const HANDLED: u32 = 2;
}

/// Bits of the `flags` of signal and exit records.
pub mod signal_flag {
    /// Sent by the kernel itself: OOM killer, end of a PID namespace, terminal. Who writes to
    /// `cgroup.kill`, or dies and leaves a parent-death signal, is a sender like any other.
    pub const FROM_KERNEL: u32 = 1 << 0;
    /// Sent from inside the same container.
    pub const FROM_INSIDE: u32 = 1 << 1;
    /// The target is PID 1 of its PID namespace (`SIGNAL_UNKILLABLE`).
    pub const TARGET_IS_INIT: u32 = 1 << 2;
    /// The target is the container's main process.
    pub const TARGET_IS_MAIN: u32 = 1 << 3;
    /// The signal is blocked in the target's leader: it is queued, for sigwait or signalfd.
    pub const BLOCKED: u32 = 1 << 4;
}

/// A stop signal or SIGKILL was sent to a process of the container (`signal_generate`).
/// Sent always: such signals are rare.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SignalGenerated {
    /// The header.
    pub header: Header,
    /// Who it was sent to.
    pub target: Process,
    /// The target's topmost ancestor inside the container; the target if its parent is outside.
    pub root: Process,
    /// Who sent it, where a process did; all 0 with `FROM_KERNEL`.
    pub sender: Process,
    /// Connections the container had ever accepted by then.
    pub opened: u64,
    /// The signal's number.
    pub signal: u32,
    /// `TRACE_SIGNAL_*`: 0 delivered, 1 ignored, 2 already pending, 3 and 4 lost.
    pub result: u32,
    /// The [`disposition`]. For SIGKILL: that of SIGTERM at this moment.
    pub disposition: u32,
    /// Bits of [`signal_flag`].
    pub flags: u32,
    /// The target's name: escape it.
    pub comm: [u8; COMM_LENGTH],
}

/// A process took a stop signal (`signal_deliver`). Sent inside a termination.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SignalDelivered {
    /// The header.
    pub header: Header,
    /// Who.
    pub process: Process,
    /// The signal's number.
    pub signal: u32,
    /// The [`disposition`] acted upon.
    pub disposition: u32,
}

const _: () = {
    assert!(size_of::<SignalGenerated>() == 112);
    assert!(size_of::<SignalDelivered>() == 48);
};
