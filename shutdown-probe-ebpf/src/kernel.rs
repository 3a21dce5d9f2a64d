//! The kernel's own structures, typed. Two ways to read:
//!
//! - a [`Sock`] comes from a hook's argument, and the verifier knows its type: its fields are plain
//!   loads, for they are read often;
//! - everything else is an address, read by a helper that answers a bad one with zeros.

use crate::emit::count;
use crate::offsets::*;
use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_SK_STORAGE_GET_F_CREATE;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_get_socket_cookie, bpf_jiffies64, bpf_probe_read_kernel, bpf_sk_storage_get,
    bpf_skc_to_tcp_sock,
};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{addr_of, null_mut};
use shutdown_probe_common::connection::{ListenAddress, Process, Tuple};
use shutdown_probe_common::loss::Loss;
use shutdown_probe_common::record::COMM_LENGTH;

use crate::maps::{SOCKETS, Socket};

/// The address of something in the kernel. The verifier takes it for a number.
pub type Address = u64;

/// `PF_EXITING` of `include/linux/sched.h`.
const PF_EXITING: u32 = 4;
/// `SIGNAL_UNKILLABLE` of `include/linux/sched/signal.h`.
const SIGNAL_UNKILLABLE: u32 = 0x40;
const AF_INET6: u16 = 10;

/// Reads from any kernel address. An unreadable one is counted and gives zeros.
#[inline(always)]
pub fn probe<T: Copy>(base: Address, offset: &Global<u64>) -> T {
    probe_at(base + offset.load())
}

/// Reads from this very address.
#[inline(always)]
pub fn probe_at<T: Copy>(address: Address) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes `size_of::<T>()` bytes to `value` whatever the address is.
    let result = unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void)
    };
    if result != 0 {
        count(Loss::KernelRead);
    }
    // SAFETY: the helper has written all of it, zeros where it failed; only integers and arrays of
    // them are read, for which every pattern is a value.
    unsafe { value.assume_init() }
}

/// Jiffies since boot.
#[inline(always)]
pub fn jiffies() -> u64 {
    // SAFETY: the helper takes nothing and always succeeds.
    unsafe { bpf_jiffies64() }
}

/// `struct cgroup`.
#[derive(Clone, Copy)]
pub struct Cgroup(Address);

impl Cgroup {
    /// The one at this address.
    #[inline(always)]
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    /// Whether it is of the v2 hierarchy. The ids of others overlap with it.
    #[inline(always)]
    pub fn is_unified(self) -> bool {
        let root = probe(self.0, &CGROUP_ROOT);
        probe::<u32>(root, &ROOT_HIERARCHY) == 0
    }

    /// Its id.
    #[inline(always)]
    pub fn id(self) -> u64 {
        let node = probe(self.0, &CGROUP_NODE);
        probe(node, &NODE_ID)
    }

    /// The id of its parent. 0: it is the root.
    #[inline(always)]
    pub fn parent_id(self) -> u64 {
        let parent: Address = probe(self.0, &CGROUP_PARENT);
        if parent == 0 { 0 } else { Self(probe(parent, &CSS_CGROUP)).id() }
    }
}

/// `struct task_struct`: a thread.
#[derive(Clone, Copy, PartialEq)]
pub struct Task(Address);

impl Task {
    /// The one at this address.
    #[inline(always)]
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    /// The one that runs, or that an interrupt has stopped.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper takes nothing and always succeeds.
        Self(unsafe { bpf_get_current_task() })
    }

    /// The thread that its group is named after.
    #[inline(always)]
    pub fn leader(self) -> Self {
        Self(probe(self.0, &TASK_GROUP_LEADER))
    }

    /// The process that waits for it: the parent's thread group leader.
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self(probe(self.0, &TASK_REAL_PARENT)).leader()
    }

    #[inline(always)]
    pub fn tgid(self) -> u32 {
        probe(self.0, &TASK_TGID)
    }

    #[inline(always)]
    pub fn is_leader(self) -> bool {
        probe::<u32>(self.0, &TASK_PID) == self.tgid()
    }

    /// The process it is a thread of.
    #[inline(always)]
    pub fn process(self) -> Process {
        let leader = self.leader();
        Process { start: probe(leader.0, &TASK_START_BOOTTIME), tgid: leader.tgid(), reserved: 0 }
    }

    #[inline(always)]
    pub fn comm(self) -> [u8; COMM_LENGTH] {
        probe(self.0, &TASK_COMM)
    }

    #[inline(always)]
    pub fn exit_code(self) -> u32 {
        probe(self.0, &TASK_EXIT_CODE)
    }

    #[inline(always)]
    pub fn is_exiting(self) -> bool {
        probe::<u32>(self.0, &TASK_FLAGS) & PF_EXITING != 0
    }

    /// Its cgroup of the v2 hierarchy.
    #[inline(always)]
    pub fn cgroup(self) -> Cgroup {
        let set = probe(self.0, &TASK_CGROUPS);
        Cgroup(probe(set, &CSS_SET_CGROUP))
    }

    /// Whether it is PID 1 of its PID namespace.
    #[inline(always)]
    pub fn is_init(self) -> bool {
        let signal = probe(self.0, &TASK_SIGNAL);
        probe::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_UNKILLABLE != 0
    }

    /// How many threads of its process have not begun to exit.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        let signal = probe(self.0, &TASK_SIGNAL);
        probe(signal, &SIGNAL_LIVE)
    }

    /// What is installed for this signal (1 to 64): the handler's address, 0 or 1.
    #[inline(always)]
    pub fn handler(self, signal: u32) -> u64 {
        let hand: Address = probe(self.0, &TASK_SIGHAND);
        let action = hand + SIGHAND_ACTION.load() + u64::from(signal - 1) * K_SIGACTION_SIZE.load();
        probe(action, &K_SIGACTION_HANDLER)
    }

    /// Its signal mask: bit n - 1 for signal n.
    #[inline(always)]
    pub fn blocked(self) -> u64 {
        probe(self.0, &TASK_BLOCKED)
    }
}

/// `struct sock` of a connection or a listener, known to the verifier.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

/// `struct tcp_sock`, known to the verifier.
#[derive(Clone, Copy)]
pub struct TcpSock(*const c_void);

/// Reads a field through a pointer that the verifier knows.
///
/// # Safety
/// The pointer is to the structure that the offset is of.
#[inline(always)]
unsafe fn load<T: Copy>(base: *const c_void, offset: &Global<u64>) -> T {
    // SAFETY: the verifier admits the load only where the structure has such a field there; the
    // kernel answers a stale pointer with zeros.
    unsafe { base.byte_add(offset.load() as usize).cast::<T>().read_volatile() }
}

macro_rules! fields {
    ($type:ident: $($(#[$doc:meta])* $name:ident: $field:ty = $offset:ident;)*) => {
        impl $type {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub fn $name(self) -> $field {
                    // SAFETY: the pointer is to the structure that the offset is of.
                    unsafe { load(self.0, &$offset) }
                }
            )*
        }
    };
}

fields! { Sock:
    state: u8 = SOCK_STATE;
    family: u16 = SOCK_FAMILY;
    /// In host order.
    local_port: u16 = SOCK_LOCAL_PORT;
    remote_port_be: u16 = SOCK_REMOTE_PORT;
    /// Bit 0: no more is received; bit 1: no more is sent.
    shutdown: u8 = SOCK_SHUTDOWN;
    /// The errno that ended it, or 0.
    error: u32 = SOCK_ERROR;
}

fields! { TcpSock:
    write_seq: u32 = TCP_WRITE_SEQ;
    copied_seq: u32 = TCP_COPIED_SEQ;
    rcv_nxt: u32 = TCP_RCV_NXT;
    snd_una: u32 = TCP_SND_UNA;
    bytes_received: u64 = TCP_BYTES_RECEIVED;
    bytes_sent: u64 = TCP_BYTES_SENT;
    /// When data last went out, in jiffies.
    last_sent: u32 = TCP_LAST_SENT;
    /// When data last came in, in jiffies.
    last_received: u32 = TCP_LAST_RECEIVED;
}

impl TcpSock {
    /// Whether it is a subflow of an MPTCP connection.
    #[inline(always)]
    pub fn is_mptcp(self) -> bool {
        let mask = TCP_IS_MPTCP_MASK.load() as u8;
        if mask == 0 {
            return false;
        }
        // SAFETY: the pointer is to the structure that the offset is of.
        unsafe { load::<u8>(self.0, &TCP_IS_MPTCP) & mask != 0 }
    }
}

impl Sock {
    /// The one that a hook was given.
    #[inline(always)]
    pub fn new(pointer: *const c_void) -> Self {
        Self(pointer)
    }

    /// As TCP's own structure. Nothing: it is no TCP socket (an MPTCP parent is none).
    #[inline(always)]
    pub fn tcp(self) -> Option<TcpSock> {
        // SAFETY: the pointer is to a socket, as the helper demands.
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut()) };
        if tcp.is_null() { None } else { Some(TcpSock(tcp.cast())) }
    }

    /// What is remembered of it.
    #[inline(always)]
    pub fn storage(self) -> Option<&'static Socket> {
        // SAFETY: the map is socket storage, the pointer is to a socket.
        let storage = unsafe {
            bpf_sk_storage_get(addr_of!(SOCKETS).cast_mut().cast(), self.0.cast_mut(), null_mut(), 0)
        };
        // SAFETY: the storage lives at least until the program ends; its words are cells.
        unsafe { storage.cast::<Socket>().as_ref() }
    }

    /// What is remembered of it, all zero where nothing was. Nothing: no memory.
    #[inline(always)]
    pub fn storage_or_new(self) -> Option<&'static Socket> {
        // SAFETY: as in `storage`.
        let storage = unsafe {
            bpf_sk_storage_get(
                addr_of!(SOCKETS).cast_mut().cast(),
                self.0.cast_mut(),
                null_mut(),
                BPF_SK_STORAGE_GET_F_CREATE.into(),
            )
        };
        if storage.is_null() {
            count(Loss::SocketStorage);
        }
        // SAFETY: as in `storage`.
        unsafe { storage.cast::<Socket>().as_ref() }
    }

    /// Unique on the node until it restarts.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // SAFETY: the pointer is to a socket.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut()) }
    }

    /// Whether a process accept()ed or connect()ed it.
    #[inline(always)]
    pub fn has_owner(self) -> bool {
        probe::<Address>(self.0 as Address, &SOCK_SOCKET) != 0
    }

    /// The id of the cgroup that it was made in; a child has its listener's.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        // SAFETY: each pointer is to the structure that the next offset is of.
        unsafe {
            let cgroup: *const c_void = load(self.0, &SOCK_CGROUP);
            let node: *const c_void = load(cgroup, &CGROUP_NODE);
            load(node, &NODE_ID)
        }
    }

    /// Its network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        // SAFETY: each pointer is to the structure that the next offset is of.
        unsafe {
            let net: *const c_void = load(self.0, &SOCK_NET);
            load(net, &NET_INUM)
        }
    }

    #[inline(always)]
    fn local_address(self) -> [u8; 16] {
        let base = self.0 as Address;
        if self.family() == AF_INET6 {
            probe(base, &SOCK_LOCAL_V6)
        } else {
            mapped(probe(base, &SOCK_LOCAL_V4))
        }
    }

    #[inline(always)]
    fn remote_address(self) -> [u8; 16] {
        let base = self.0 as Address;
        if self.family() == AF_INET6 {
            probe(base, &SOCK_REMOTE_V6)
        } else {
            mapped(probe(base, &SOCK_REMOTE_V4))
        }
    }

    /// Its two ends. Not inlined, like what else needs much of the little stack.
    #[inline(never)]
    pub fn tuple(self) -> Tuple {
        Tuple {
            local_address: self.local_address(),
            remote_address: self.remote_address(),
            netns: self.netns(),
            local_port: self.local_port(),
            remote_port: u16::from_be(self.remote_port_be()),
        }
    }

    /// Where it listens, or where the listener it came from may.
    #[inline(never)]
    pub fn listen_address(self) -> ListenAddress {
        ListenAddress {
            address: self.local_address(),
            netns: self.netns(),
            port: self.local_port(),
            reserved: 0,
        }
    }
}

/// The IPv4-mapped form of an IPv4 address (RFC 4291, 2.5.5.2).
#[inline(always)]
pub fn mapped(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d]
}
