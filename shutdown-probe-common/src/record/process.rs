//! Processes enter a container, and end.

use super::{COMM_LENGTH, Header};
use crate::connection::Process;
use bytemuck::{Pod, Zeroable};

/// A process came into the container from outside it, by migration (`cgroup_attach_task`) or by
/// being cloned into it (`CLONE_INTO_CGROUP`). Forks inside are not told.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ProcessEntered {
    /// The header.
    pub header: Header,
    /// Who.
    pub process: Process,
    /// Its name, chosen by whoever runs it: escape it.
    pub comm: [u8; COMM_LENGTH],
}

/// The last thread of a process is ending; its sockets are still open.
/// Sent inside a termination, and always for a process whose parent is outside the container or
/// which is PID 1 of its namespace.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ProcessExited {
    /// The header.
    pub header: Header,
    /// Who.
    pub process: Process,
    /// Its topmost ancestor inside the container; itself if its parent is outside.
    pub root: Process,
    /// `task_struct.exit_code`: the wait status (exit status << 8 | signal, 0x80 with a core).
    pub exit_code: u32,
    /// Bits of [`signal_flag`](super::signal_flag): `TARGET_IS_INIT`, `TARGET_IS_MAIN`.
    pub flags: u32,
    /// Its name: escape it.
    pub comm: [u8; COMM_LENGTH],
}

/// The OOM killer chose this process (`oom/mark_victim`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct OomVictim {
    /// The header.
    pub header: Header,
    /// Who. `start` is 0 where the kernel gives only a pid.
    pub process: Process,
}

const _: () = {
    assert!(size_of::<ProcessEntered>() == 56);
    assert!(size_of::<ProcessExited>() == 80);
    assert!(size_of::<OomVictim>() == 40);
};
