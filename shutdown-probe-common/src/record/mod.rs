//! The records of the ring buffer. Each begins with a [`Header`] that names its kind.
//!
//! Invariant: [`Record::decode`] accepts any bytes and never panics.

mod cgroup;
mod connection;
mod process;
mod signal;

pub use cgroup::{CgroupMade, CgroupRemoved, PATH_LENGTH, Populated};
pub use connection::{ConnectionRecord, ListenerRecord, Refused, connection_event};
pub use process::{OomVictim, ProcessEntered, ProcessExited};
pub use signal::{SignalDelivered, SignalGenerated, disposition, signal_flag};

use bytemuck::{AnyBitPattern, Pod, Zeroable};

/// The length of `task_struct.comm`, in bytes, the final NUL included.
pub const COMM_LENGTH: usize = 16;

/// What every record begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Header {
    /// `bpf_ktime_get_boot_ns`: ns since boot, suspend included.
    pub at: u64,
    /// The container's cgroup id. 0 where a record is about no container.
    pub container: u64,
    /// The [`kind`].
    pub kind: u32,
    /// Explicit padding, always 0.
    pub reserved: u32,
}

/// The values of [`Header::kind`].
pub mod kind {
    /// [`CgroupMade`](super::CgroupMade).
    pub const CGROUP_MADE: u32 = 1;
    /// [`CgroupRemoved`](super::CgroupRemoved).
    pub const CGROUP_REMOVED: u32 = 2;
    /// [`Populated`](super::Populated).
    pub const POPULATED: u32 = 3;
    /// [`ProcessEntered`](super::ProcessEntered).
    pub const PROCESS_ENTERED: u32 = 4;
    /// [`ProcessExited`](super::ProcessExited).
    pub const PROCESS_EXITED: u32 = 5;
    /// [`OomVictim`](super::OomVictim).
    pub const OOM_VICTIM: u32 = 6;
    /// [`SignalGenerated`](super::SignalGenerated).
    pub const SIGNAL_GENERATED: u32 = 7;
    /// [`SignalDelivered`](super::SignalDelivered).
    pub const SIGNAL_DELIVERED: u32 = 8;
    /// [`ConnectionRecord`](super::ConnectionRecord).
    pub const CONNECTION: u32 = 9;
    /// [`ListenerRecord`](super::ListenerRecord).
    pub const LISTENER: u32 = 10;
    /// [`Refused`](super::Refused).
    pub const REFUSED: u32 = 11;
}

/// One record, whichever it is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is the record of its name")]
#[expect(
    clippy::large_enum_variant,
    reason = "a record lives on the stack for one conversion; there is no heap here"
)]
pub enum Record {
    CgroupMade(CgroupMade),
    CgroupRemoved(CgroupRemoved),
    Populated(Populated),
    ProcessEntered(ProcessEntered),
    ProcessExited(ProcessExited),
    OomVictim(OomVictim),
    SignalGenerated(SignalGenerated),
    SignalDelivered(SignalDelivered),
    Connection(ConnectionRecord),
    Listener(ListenerRecord),
    Refused(Refused),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than a header has.
    Truncated {
        /// How many there were.
        length: usize,
    },
    /// A kind that this version does not know.
    UnknownKind {
        /// The kind as it stands in the header.
        kind: u32,
    },
    /// The size does not fit the kind.
    WrongSize {
        /// The kind as it stands in the header.
        kind: u32,
        /// What the kind needs, in bytes.
        expected: usize,
        /// How many there were.
        length: usize,
    },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Truncated { length } => write!(f, "a record of {length} bytes is too short for a header"),
            Self::UnknownKind { kind } => write!(f, "record kind {kind} is unknown to this version"),
            Self::WrongSize { kind, expected, length } => {
                write!(f, "a record of kind {kind} has {expected} bytes, not {length}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

impl Record {
    /// Reads one record.
    ///
    /// # Errors
    /// [`DecodeError`] says why the bytes are not a record; they can be skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let header: Header = bytes
            .get(..size_of::<Header>())
            .map(bytemuck::pod_read_unaligned)
            .ok_or(DecodeError::Truncated { length: bytes.len() })?;
        let kind = header.kind;
        Ok(match kind {
            kind::CGROUP_MADE => Self::CgroupMade(exactly(kind, bytes)?),
            kind::CGROUP_REMOVED => Self::CgroupRemoved(exactly(kind, bytes)?),
            kind::POPULATED => Self::Populated(exactly(kind, bytes)?),
            kind::PROCESS_ENTERED => Self::ProcessEntered(exactly(kind, bytes)?),
            kind::PROCESS_EXITED => Self::ProcessExited(exactly(kind, bytes)?),
            kind::OOM_VICTIM => Self::OomVictim(exactly(kind, bytes)?),
            kind::SIGNAL_GENERATED => Self::SignalGenerated(exactly(kind, bytes)?),
            kind::SIGNAL_DELIVERED => Self::SignalDelivered(exactly(kind, bytes)?),
            kind::CONNECTION => Self::Connection(exactly(kind, bytes)?),
            kind::LISTENER => Self::Listener(exactly(kind, bytes)?),
            kind::REFUSED => Self::Refused(exactly(kind, bytes)?),
            _ => return Err(DecodeError::UnknownKind { kind }),
        })
    }
}

fn exactly<T: AnyBitPattern>(kind: u32, bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() == size_of::<T>() {
        Ok(bytemuck::pod_read_unaligned(bytes))
    } else {
        Err(DecodeError::WrongSize { kind, expected: size_of::<T>(), length: bytes.len() })
    }
}

const _: () = assert!(size_of::<Header>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_kind_is_answered() {
        let bytes = [0xA5_u8; 2048];
        for length in 0..bytes.len() {
            assert!(Record::decode(&bytes[..length]).is_err());
        }
        let mut header = Header { kind: kind::REFUSED, ..Header::default() };
        assert_eq!(
            Record::decode(bytemuck::bytes_of(&header)),
            Err(DecodeError::WrongSize { kind: kind::REFUSED, expected: size_of::<Refused>(), length: 24 })
        );
        header.kind = 4711;
        assert_eq!(Record::decode(bytemuck::bytes_of(&header)), Err(DecodeError::UnknownKind { kind: 4711 }));
    }

    #[test]
    fn a_record_survives_the_wire() {
        let mut sent = Refused::zeroed();
        sent.header = Header { at: 7, container: 42, kind: kind::REFUSED, reserved: 0 };
        sent.tuple.remote_port = 54321;
        assert_eq!(Record::decode(bytemuck::bytes_of(&sent)), Ok(Record::Refused(sent)));
    }
}
