//! Connections open, end, and are judged anew; listeners open and close; attempts are refused.

use super::Header;
use crate::connection::{Evidence, ListenAddress, Process, Tuple};
use bytemuck::{Pod, Zeroable};

/// The values of [`ConnectionRecord::event`].
pub mod connection_event {
    /// The handshake was completed. `fate` means nothing yet.
    pub const OPENED: u8 = 1;
    /// It ended; `fate` is the kernel side's judgement.
    pub const ENDED: u8 = 2;
    /// What came after the end changed its fate from `previous_fate` to `fate`.
    pub const REVISED: u8 = 3;
    /// Nothing is under way to the peer any more: it has acknowledged everything, or given up.
    pub const SETTLED: u8 = 4;
    /// Some of what is under way was never sent, and the kernel finds no way to the peer any more.
    pub const STRANDED: u8 = 5;
}

/// Something happened to a connection. Sent inside a termination, and for connections that a dying
/// process held.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ConnectionRecord {
    /// The header.
    pub header: Header,
    /// The socket's cookie: unique on the node until it restarts.
    pub cookie: u64,
    /// The process that last read from it, else the one that closed it. tgid 0: unknown.
    pub owner: Process,
    /// The two ends.
    pub tuple: Tuple,
    /// What is known of it. In a revision, what is known anew: `unread` is what came too late, in
    /// bytes, `undelivered` what was never acknowledged.
    pub evidence: Evidence,
    /// One of [`connection_event`].
    pub event: u8,
    /// A [`Fate`](crate::fate::Fate).
    pub fate: u8,
    /// A [`Fate`](crate::fate::Fate); meaningful in a revision only.
    pub previous_fate: u8,
    /// One of [`role`](crate::connection::role).
    pub role: u8,
    /// `tcp_state` before.
    pub old_state: u8,
    /// `tcp_state` after.
    pub new_state: u8,
    /// Explicit padding, always 0.
    pub reserved: [u8; 2],
}

/// A listener was opened (sent always: it is rare) or closed (sent inside a termination or where
/// the closing process was dying).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct ListenerRecord {
    /// The header.
    pub header: Header,
    /// The process that did it.
    pub process: Process,
    /// Where it listens.
    pub address: ListenAddress,
    /// 1: opened; 0: closed.
    pub open: u32,
    /// [`flag::CLOSER_EXITING`](crate::connection::flag::CLOSER_EXITING) or 0.
    pub flags: u32,
}

/// A connection attempt to a container's listening address was answered by RST.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Refused {
    /// The header.
    pub header: Header,
    /// The two ends.
    pub tuple: Tuple,
}

const _: () = {
    assert!(size_of::<ConnectionRecord>() == 152);
    assert!(size_of::<ListenerRecord>() == 72);
    assert!(size_of::<Refused>() == 64);
};
