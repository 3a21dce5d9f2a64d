//! What the kernel side remembers.

use crate::hook::payload::Walk;
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::SkStorage;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{HashMap, LruHashMap, PerCpuArray, RingBuf};
use core::cell::{Cell, UnsafeCell};
use shutdown_probe_common::connection::{ListenAddress, Process, Tuple};
use shutdown_probe_common::container::Container;
use shutdown_probe_common::framing::Framing;
use shutdown_probe_common::loss::Loss;

const MIB: u32 = 1 << 20;

/// The records. User space may set another size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4 * MIB, 0);

/// What is remembered of a socket lives and dies with it.
#[btf_map]
pub static SOCKETS: SkStorage<Socket> = SkStorage::new();

/// Cgroup id to the id of the container it belongs to.
#[map]
pub static CGROUPS: HashMap<u64, u64> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Container id to the container.
#[map]
pub static CONTAINERS: HashMap<u64, Container> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// The cgroups in which containers are made, and those in which pods are: see `watched`.
#[map]
pub static WATCHED: HashMap<u64, u32> = HashMap::with_max_entries(4_096, BPF_F_NO_PREALLOC);

/// Where the containers listen, or did.
#[map]
pub static LISTENERS: HashMap<ListenAddress, Listener> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Connections that ended inside a termination, for what the peer may still send.
#[map]
pub static CLOSED: LruHashMap<Tuple, Closed> = LruHashMap::with_max_entries(65_536, 0);

/// How often something was lost, by [`Loss`].
#[map]
pub static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(Loss::COUNT as u32, 0);

/// Bytes that are being looked at: what was read, and what is written.
#[map]
pub static WALKS: PerCpuArray<Walk> = PerCpuArray::with_max_entries(2, 0);

/// No fate yet, in [`Socket::fate`].
pub const OPEN: u8 = u8::MAX;

/// What is remembered of a socket. Written under the socket's lock, in cells because a program on
/// another CPU may read a word meanwhile.
#[repr(C)]
pub struct Socket {
    /// The container it belongs to. 0: nothing is remembered yet.
    pub container: Cell<u64>,
    /// The process that last read from it. tgid 0: unknown.
    pub owner: Cell<Process>,
    /// `bytes_received` when it ended.
    pub received_at_end: Cell<u64>,
    /// `write_seq` at the last read.
    pub write_seq: Cell<u32>,
    /// `copied_seq` after the last read.
    pub copied_seq: Cell<u32>,
    /// Bits of `flag` that hold until the end.
    pub flags: Cell<u32>,
    /// A `role`; 0 for a listener.
    pub role: Cell<u8>,
    /// A `Fate`, or [`OPEN`].
    pub fate: Cell<u8>,
    /// Whether its end was told: 0 or 1.
    pub narrated: Cell<u8>,
    /// Explicit padding.
    pub reserved: u8,
    /// What its bytes mean.
    framing: UnsafeCell<Framing>,
}

impl Socket {
    /// What its bytes mean. Each hook takes it once.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the socket's lock keeps others away")]
    pub fn framing(&self) -> &mut Framing {
        // SAFETY: the hooks that change it run under the socket's lock, and any pattern is a value.
        unsafe { &mut *self.framing.get() }
    }

    /// Sets this bit of its flags.
    #[inline(always)]
    pub fn set(&self, flag: u32) {
        self.flags.set(self.flags.get() | flag);
    }

    /// Clears this bit of its flags.
    #[inline(always)]
    pub fn unset(&self, flag: u32) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Whether this bit of its flags is set.
    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.flags.get() & flag != 0
    }
}

/// Who listens at an address.
#[repr(C)]
pub struct Listener {
    /// The container that reads from its connections.
    pub container: Cell<u64>,
    /// The container that opened it.
    pub creator: Cell<u64>,
    /// When the last socket there was closed, in ns since boot; 0: one is open.
    pub closed_at: Cell<u64>,
    /// The process that opened it.
    pub owner: Cell<Process>,
    /// How many sockets listen there (`SO_REUSEPORT`).
    pub sockets: Cell<u64>,
    /// Handshakes that were not complete when the last was closed, and whose clients have not been heard of since.
    pub pending: Cell<u64>,
}

// SAFETY: each CPU reads and writes whole words, and no two of them have to agree.
unsafe impl Sync for Socket {}
// SAFETY: as for `Socket`.
unsafe impl Sync for Listener {}

/// What is remembered of a connection that ended.
#[repr(C)]
pub struct Closed {
    /// Its container.
    pub container: u64,
    /// Its socket's cookie.
    pub cookie: u64,
    /// The process that last read from it.
    pub owner: Process,
    /// Bytes the peer had not acknowledged.
    pub undelivered: Cell<u32>,
    /// Bytes of the peer's still to come that belong to what was answered: `Framing::rest`.
    pub rest: Cell<u32>,
    /// A `Fate`.
    pub fate: Cell<u8>,
    /// A `role`.
    pub role: u8,
    /// One of `framing::protocol`.
    pub protocol: Cell<u8>,
    /// Bits of `framing_flag`.
    pub framing_flags: Cell<u8>,
    /// Explicit padding.
    pub reserved: u32,
}

// SAFETY: as for `Socket`.
unsafe impl Sync for Closed {}

/// What is remembered of the connection that had these two ends.
#[inline(always)]
pub fn closed(tuple: &Tuple) -> Option<&'static Closed> {
    // SAFETY: the map's value lives at least until the program ends; its words are cells.
    CLOSED.get_ptr(tuple).map(|closed| unsafe { &*closed })
}

const _: () = {
    assert!(size_of::<Socket>() == 48 + size_of::<Framing>());
    assert!(size_of::<Listener>() == 56);
    assert!(size_of::<Closed>() == 48);
};
