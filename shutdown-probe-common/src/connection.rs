//! What is known of one connection, and the rule that judges its end.

use crate::fate::Fate;
use crate::framing::{Framed, Hand, framing_flag, protocol};
use bytemuck::{Pod, Zeroable};

/// A process: a thread group id is reused, together with its start it is not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Process {
    /// `task_struct.start_boottime` of the group leader, in ns since boot.
    pub start: u64,
    /// `task_struct.tgid` in the initial PID namespace. 0: unknown.
    pub tgid: u32,
    /// Explicit padding, always 0.
    pub reserved: u32,
}

/// The two ends of a connection, seen from this container. IPv4 addresses are IPv4-mapped
/// (RFC 4291, 2.5.5.2), ports are in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Tuple {
    /// Our address.
    pub local_address: [u8; 16],
    /// The peer's address.
    pub remote_address: [u8; 16],
    /// `net.ns.inum` of the socket's network namespace.
    pub netns: u32,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
}

/// Where somebody listens. The key under which a refused connection finds its container.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct ListenAddress {
    /// Our address, IPv4-mapped; all zero for `::`, `::ffff:0.0.0.0` for `0.0.0.0`.
    pub address: [u8; 16],
    /// `net.ns.inum` of the socket's network namespace.
    pub netns: u32,
    /// Our port, in host order.
    pub port: u16,
    /// Explicit padding, always 0.
    pub reserved: u16,
}

/// The end of the wire this container is on.
pub mod role {
    /// Passive open: SYN_RECV to ESTABLISHED.
    pub const SERVER: u8 = 1;
    /// Active open: SYN_SENT to ESTABLISHED.
    pub const CLIENT: u8 = 2;
}

/// What holds at the end of a connection, as bits of [`Evidence::flags`].
pub mod flag {
    /// A process accept()ed it: `sk->sk_socket` is set.
    pub const ACCEPTED: u32 = 1 << 0;
    /// The closing task was dying (`PF_EXITING`): nobody decided to close.
    pub const CLOSER_EXITING: u32 = 1 << 1;
    /// The peer's FIN came before our end (CLOSE_WAIT).
    pub const PEER_FIN: u32 = 1 << 2;
    /// The peer's RST came before our end.
    pub const PEER_RESET: u32 = 1 << 3;
    /// We end it by RST rather than FIN.
    pub const RESET_SENT: u32 = 1 << 4;
    /// The application has read from it, and the probe saw that.
    pub const READ: u32 = 1 << 5;
    /// It was open before the probe attached.
    pub const PREEXISTING: u32 = 1 << 6;
    /// Its last data went out after the termination began.
    pub const SENT_IN_WINDOW: u32 = 1 << 7;
    /// It was opened after the termination began.
    pub const OPENED_IN_WINDOW: u32 = 1 << 8;
    /// The bytes do not say what was read (MPTCP): only what the flags say is known.
    pub const OPAQUE: u32 = 1 << 9;
    /// The kernel gave it up: a timeout, or an administrator's abort. No process closed it.
    pub const KERNEL_ABORT: u32 = 1 << 10;
    /// It ended well, but not all that it had written was acknowledged: what becomes of the rest is told, too.
    pub const UNDER_WAY: u32 = 1 << 11;
    /// Some of that was not even sent yet when it ended.
    pub const UNSENT: u32 = 1 << 12;
    /// Some of that was never sent, and finds no way any more.
    pub const STRANDED: u32 = 1 << 13;
}

/// Everything known of a connection at the moment it leaves ESTABLISHED or CLOSE_WAIT by our doing,
/// or is reset.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Evidence {
    /// `tcp_sock.bytes_received`: all that the peer ever sent, in bytes.
    pub received: u64,
    /// `tcp_sock.bytes_sent`: all that was ever sent to the peer, in bytes, retransmissions included.
    pub sent: u64,
    /// Received and never read, in bytes: `rcv_nxt - copied_seq`, less one for a FIN.
    pub unread: u32,
    /// Written since the last read, in bytes: `write_seq` less its value at that read.
    pub written: u32,
    /// Written and never acknowledged, in bytes: `write_seq - snd_una`, less one for our FIN.
    pub undelivered: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// What its protocol says.
    pub framed: Framed,
}

impl Evidence {
    /// Whether this bit of [`flag`] is set.
    pub const fn has(&self, bit: u32) -> bool {
        self.flags & bit != 0
    }

    /// The fate of a connection of this [`role`].
    pub const fn judge(&self, role: u8) -> Fate {
        if self.has(flag::KERNEL_ABORT) {
            return Fate::NotMeasured;
        }
        if role == role::CLIENT { self.judge_client() } else { self.judge_server() }
    }

    const fn judge_client(&self) -> Fate {
        let owed = self.written > 0 && !self.has(flag::PEER_FIN) && !self.has(flag::PEER_RESET);
        match owed {
            true if self.has(flag::PREEXISTING) && !self.has(flag::READ) => Fate::NotMeasured,
            true => Fate::OutboundUnanswered,
            false => Fate::OutboundClosed,
        }
    }

    const fn judge_server(&self) -> Fate {
        if self.has(flag::PEER_RESET) {
            return Fate::PeerAborted;
        }
        if self.has(flag::OPAQUE) {
            // Who ends a subflow, and when, says nothing of who ended the connection.
            return Fate::NotMeasured;
        }
        let unread = self.has_unread_request();
        if self.has(flag::PEER_FIN) {
            // A client that left and one that half-closed and waits look the same on the wire.
            return if self.owes() || unread { Fate::NotMeasured } else { Fate::PeerClosed };
        }
        if !self.has(flag::ACCEPTED) {
            // A silent client may be waiting for a greeting, or be a spare connection: who knows.
            return if unread { Fate::NeverAccepted } else { Fate::NotMeasured };
        }
        match self.framed.in_hand() {
            Hand::Answer => return Fate::TruncatedResponse,
            Hand::AnswerUntilClose if self.has(flag::CLOSER_EXITING) => return Fate::TruncatedResponse,
            // Whether it could have been completed nobody can tell, unless more of it lies there.
            Hand::HalfRequest if !unread => return Fate::NotMeasured,
            _ if self.owes() => return Fate::UnansweredRequest,
            _ => {}
        }
        if self.has(flag::RESET_SENT) && self.undelivered > 0 {
            return Fate::UndeliveredResponse;
        }
        if unread {
            return Fate::UnreadRequest;
        }
        if self.has(flag::PREEXISTING) && !self.has(flag::READ) && self.received > 0 {
            return Fate::NotMeasured;
        }
        if self.answered_in_window() { Fate::Drained } else { Fate::ClosedIdle }
    }

    /// Whether an answer was written since the termination began: what was sent may be a GOAWAY or an alert.
    const fn answered_in_window(&self) -> bool {
        let tells = matches!(self.framed.protocol, protocol::HTTP2 | protocol::TLS);
        self.has(flag::SENT_IN_WINDOW) && (!tells || self.framed.flags & framing_flag::ANSWERED != 0)
    }

    /// Whether the server owes an answer, or the rest of one.
    const fn owes(&self) -> bool {
        match self.framed.in_hand() {
            // The plain rule: read something, written nothing since.
            Hand::Unknown => self.has(flag::READ) && self.written == 0,
            Hand::Request | Hand::Answer => true,
            Hand::Nothing | Hand::HalfRequest | Hand::AnswerUntilClose => false,
        }
    }

    /// Whether what was never read may be a request.
    const fn has_unread_request(&self) -> bool {
        self.unread > 0 && self.framed.flags & framing_flag::NOT_ASKED == 0
    }
}

const _: () = {
    assert!(size_of::<Process>() == 16);
    assert!(size_of::<Tuple>() == 40);
    assert!(size_of::<ListenAddress>() == 24);
    assert!(size_of::<Evidence>() == 56);
};
