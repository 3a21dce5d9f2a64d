//! TCP sockets.

use super::{Address, load, probe, put_v4, put_v6};
use crate::emit::count;
use crate::maps::{SOCKETS, Socket};
use crate::offsets::*;
use aya_ebpf::bindings::BPF_SK_STORAGE_GET_F_CREATE;
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_sk_storage_get, bpf_skc_to_tcp_sock};
use core::ffi::c_void;
use core::ptr::{addr_of, null_mut};
use shutdown_probe_common::connection::{ListenAddress, Tuple};
use shutdown_probe_common::loss::Loss;

const AF_INET6: u16 = 10;

/// `struct sock` as a hook gives it, known to the verifier.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

/// A TCP connection or listener, known to the verifier as `struct sock` and as `struct tcp_sock`.
/// The latter has more fields, but not every helper takes it on every kernel.
#[derive(Clone, Copy)]
pub struct Tcp {
    sk: *const c_void,
    tcp: *const c_void,
}

macro_rules! fields {
    ($pointer:ident: $($(#[$doc:meta])* $name:ident: $field:ty = $offset:ident;)*) => {
        impl Tcp {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub fn $name(self) -> $field {
                    // SAFETY: the pointer is to the structure that the offset is of.
                    unsafe { load(self.$pointer, &$offset) }
                }
            )*
        }
    };
}

fields! { sk:
    family: u16 = SOCK_FAMILY;
    remote_port_be: u16 = SOCK_REMOTE_PORT;
    /// Bit 0: no more is received; bit 1: no more is sent.
    shutdown: u8 = SOCK_SHUTDOWN;
    /// The errno that ended it, or 0.
    error: u32 = SOCK_ERROR;
    /// Memory of what is not acknowledged, in bytes, and how much it may be.
    queued: u32 = SOCK_QUEUED;
    send_buffer: u32 = SOCK_SEND_BUFFER;
}

fields! { tcp:
    /// Not `skc_num`: that is cleared before a socket goes to CLOSE.
    local_port_be: u16 = INET_LOCAL_PORT;
    write_seq: u32 = TCP_WRITE_SEQ;
    copied_seq: u32 = TCP_COPIED_SEQ;
    rcv_nxt: u32 = TCP_RCV_NXT;
    snd_una: u32 = TCP_SND_UNA;
    snd_nxt: u32 = TCP_SND_NXT;
    /// Of a listener: clients that wait for the end of their handshake, or believe that it is over.
    pending_handshakes: u32 = TCP_PENDING;
    /// How many bytes may wait to be sent (TCP_NOTSENT_LOWAT). 0: any number.
    most_unsent: u32 = TCP_MOST_UNSENT;
    bytes_received: u64 = TCP_BYTES_RECEIVED;
    bytes_sent: u64 = TCP_BYTES_SENT;
    /// When data last went out, in jiffies.
    last_sent: u32 = TCP_LAST_SENT;
    /// When the last segment left, data or not, in ns of `CLOCK_MONOTONIC`.
    departure: u64 = TCP_DEPARTURE;
    /// When data last came in, in jiffies.
    last_received: u32 = TCP_LAST_RECEIVED;
}

impl Sock {
    /// The one that a hook was given.
    #[inline(always)]
    pub fn new(pointer: *const c_void) -> Self {
        Self(pointer)
    }

    /// Its `tcp_state`.
    #[inline(always)]
    pub fn state(self) -> u8 {
        // SAFETY: the pointer is to the structure that the offset is of.
        unsafe { load(self.0, &SOCK_STATE) }
    }

    /// As TCP's own. Nothing: it is no TCP socket (an MPTCP parent is none).
    #[inline(always)]
    pub fn tcp(self) -> Option<Tcp> {
        // SAFETY: the pointer is to a socket, as the helper demands.
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.0.cast_mut()) };
        if tcp.is_null() { None } else { Some(Tcp { sk: self.0, tcp: tcp.cast() }) }
    }

    /// What is remembered of it.
    #[inline(always)]
    pub fn storage(self) -> Option<&'static Socket> {
        self.storage_with(0)
    }

    #[inline(always)]
    fn storage_with(self, flags: u32) -> Option<&'static Socket> {
        // SAFETY: the map is socket storage, the pointer is to a socket.
        let storage = unsafe {
            bpf_sk_storage_get(
                addr_of!(SOCKETS).cast_mut().cast(),
                self.0.cast_mut(),
                null_mut(),
                flags.into(),
            )
        };
        // SAFETY: the storage lives at least until the program ends; its words are cells.
        unsafe { storage.cast::<Socket>().as_ref() }
    }
}

impl Tcp {
    /// As any socket.
    #[inline(always)]
    pub fn sock(self) -> Sock {
        Sock(self.sk)
    }

    /// What is remembered of it.
    #[inline(always)]
    pub fn storage(self) -> Option<&'static Socket> {
        self.sock().storage()
    }

    /// What is remembered of it, all zero where nothing was. Nothing: no memory.
    #[inline(always)]
    pub fn storage_or_new(self) -> Option<&'static Socket> {
        let storage = self.sock().storage_with(BPF_SK_STORAGE_GET_F_CREATE);
        if storage.is_none() {
            count(Loss::SocketStorage);
        }
        storage
    }

    /// Received and not read, in bytes; a FIN counts as one.
    #[inline(always)]
    pub fn unread(self) -> u32 {
        self.rcv_nxt().wrapping_sub(self.copied_seq())
    }

    /// Written and not acknowledged, in bytes; a FIN counts as one.
    #[inline(always)]
    pub fn unacknowledged(self) -> u32 {
        self.write_seq().wrapping_sub(self.snd_una())
    }

    /// Written and never sent, in bytes; a FIN counts as one.
    #[inline(always)]
    pub fn unsent(self) -> u32 {
        self.write_seq().wrapping_sub(self.snd_nxt())
    }

    /// Whether a new segment may be made: `sk_stream_memory_free`, as far as the socket itself says.
    #[inline(always)]
    pub fn has_memory(self) -> bool {
        let most = self.most_unsent();
        self.queued() < self.send_buffer() && (most == 0 || self.unsent() < most)
    }

    /// Whether it is a subflow of an MPTCP connection.
    #[inline(always)]
    pub fn is_mptcp(self) -> bool {
        let mask = TCP_IS_MPTCP_MASK.load() as u8;
        if mask == 0 {
            return false;
        }
        // SAFETY: the pointer is to the structure that the offset is of.
        unsafe { load::<u8>(self.tcp, &TCP_IS_MPTCP) & mask != 0 }
    }

    /// Unique on the node until it restarts.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        // SAFETY: the pointer is to a socket.
        unsafe { bpf_get_socket_cookie(self.sk.cast_mut()) }
    }

    /// Whether a process accept()ed or connect()ed it.
    #[inline(always)]
    pub fn has_owner(self) -> bool {
        probe::<Address>(self.sk as Address, &SOCK_SOCKET) != 0
    }

    /// The id of the cgroup that it was made in; a child has its listener's.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        // SAFETY: each pointer is to the structure that the next offset is of.
        unsafe {
            let cgroup: *const c_void = load(self.sk, &SOCK_CGROUP);
            let node: *const c_void = load(cgroup, &CGROUP_NODE);
            load(node, &NODE_ID)
        }
    }

    /// Its network namespace.
    #[inline(always)]
    fn netns(self) -> u32 {
        // SAFETY: each pointer is to the structure that the next offset is of.
        unsafe {
            let net: *const c_void = load(self.sk, &SOCK_NET);
            load(net, &NET_INUM)
        }
    }

    /// Its own port.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        u16::from_be(self.local_port_be())
    }

    /// Writes down its two ends.
    #[inline(never)]
    pub fn put_tuple(self, tuple: &mut Tuple) {
        let base = self.sk as Address;
        if self.family() == AF_INET6 {
            put_v6(base + SOCK_LOCAL_V6.load(), &mut tuple.local_address);
            put_v6(base + SOCK_REMOTE_V6.load(), &mut tuple.remote_address);
        } else {
            put_v4(base + SOCK_LOCAL_V4.load(), &mut tuple.local_address);
            put_v4(base + SOCK_REMOTE_V4.load(), &mut tuple.remote_address);
        }
        tuple.netns = self.netns();
        tuple.local_port = self.local_port();
        tuple.remote_port = u16::from_be(self.remote_port_be());
    }

    /// Writes down where it listens, or where the listener it came from may.
    #[inline(never)]
    pub fn put_listen_address(self, place: &mut ListenAddress) {
        let base = self.sk as Address;
        if self.family() == AF_INET6 {
            put_v6(base + SOCK_LOCAL_V6.load(), &mut place.address);
        } else {
            put_v4(base + SOCK_LOCAL_V4.load(), &mut place.address);
        }
        place.netns = self.netns();
        place.port = self.local_port();
        place.reserved = 0;
    }
}
