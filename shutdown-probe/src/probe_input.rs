//! From the kernel side's records to the engine's inputs.
//!
//! Invariant: a pure function of the record. Text stays as it is, control characters included: it is
//! escaped where it is printed.

use shutdown_probe_common::connection::{self as wire, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::{self, Hand, framing_flag, protocol};
use shutdown_probe_common::record::{self, Record, connection_event, disposition, signal_flag};
use shutdown_probe_core::Input;
use shutdown_probe_core::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use shutdown_probe_core::input::{
    Confidence, Connection, FateName, Framed, Handler, ProcessExited, Protocol, Role, Sender, Signal,
};
use std::net::{Ipv6Addr, SocketAddr};

/// `TRACE_SIGNAL_IGNORED` of the kernel's `enum` in `include/trace/events/signal.h`.
const RESULT_IGNORED: u32 = 1;

/// What a record tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Something for the engine.
    Input(Input),
    /// A container was made whose path did not fit into the record: look it up by its id.
    AddedWithCutPath {
        /// When.
        at: KernelInstant,
        /// Which.
        container: ContainerId,
        /// The path's beginning.
        path: String,
    },
    /// A cgroup was made inside a container.
    NestedMade {
        /// Whose.
        container: ContainerId,
        /// Its own id.
        cgroup: u64,
    },
    /// A cgroup inside a container was removed.
    NestedRemoved {
        /// Whose.
        container: ContainerId,
        /// Its own id.
        cgroup: u64,
    },
}

/// Why a record tells nothing: a value that its field cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} has no value {value}")]
pub struct UnknownValue {
    /// The field's name.
    pub field: &'static str,
    /// What stood in it.
    pub value: u32,
}

/// What this record tells.
///
/// # Errors
/// [`UnknownValue`] where kernel side and daemon are not of one build.
pub fn translate(record: &Record) -> Result<Heard, UnknownValue> {
    Ok(match record {
        Record::CgroupMade(made) => cgroup_made(made),
        Record::CgroupRemoved(removed) => cgroup_removed(removed),
        Record::Populated(it) => Heard::Input(Input::ContainerPopulated {
            at: at(&it.header),
            container: container(&it.header),
            populated: it.populated != 0,
        }),
        Record::ProcessEntered(it) => Heard::Input(Input::ProcessEntered {
            at: at(&it.header),
            container: container(&it.header),
            process: process(it.process),
            comm: text(&it.comm),
        }),
        Record::ProcessExited(it) => Heard::Input(Input::ProcessExited(process_exited(it))),
        Record::OomVictim(it) => Heard::Input(Input::OomVictim {
            at: at(&it.header),
            container: container(&it.header),
            process: process(it.process),
        }),
        Record::SignalGenerated(it) => Heard::Input(Input::Signal(signal(it)?)),
        Record::SignalDelivered(it) => Heard::Input(Input::SignalDelivered {
            at: at(&it.header),
            container: container(&it.header),
            process: process(it.process),
            signal: it.signal,
            handler: handler(it.disposition)?,
        }),
        Record::Connection(it) => Heard::Input(connection(it)?),
        Record::Listener(it) => Heard::Input(Input::Listener {
            at: at(&it.header),
            container: container(&it.header),
            process: process(it.process),
            local: address(it.address.address, it.address.port),
            open: it.open != 0,
            by_death: it.flags & flag::CLOSER_EXITING != 0,
        }),
        Record::Refused(it) => Heard::Input(Input::Refused {
            at: at(&it.header),
            container: container(&it.header),
            local: address(it.tuple.local_address, it.tuple.local_port),
            peer: address(it.tuple.remote_address, it.tuple.remote_port),
        }),
    })
}

fn cgroup_made(made: &record::CgroupMade) -> Heard {
    let (at, container) = (at(&made.header), container(&made.header));
    let path = text(&made.path);
    if made.cgroup != container.0 {
        Heard::NestedMade { container, cgroup: made.cgroup }
    } else if may_be_cut(&made.path) {
        Heard::AddedWithCutPath { at, container, path }
    } else {
        Heard::Input(Input::ContainerAdded { at, container, path, from_birth: true })
    }
}

/// The kernel ends a string that it has to cut with a NUL in the last byte, or leaves none.
fn may_be_cut(path: &[u8; record::PATH_LENGTH]) -> bool {
    !path[..record::PATH_LENGTH - 1].contains(&0)
}

fn cgroup_removed(removed: &record::CgroupRemoved) -> Heard {
    let container = container(&removed.header);
    if removed.cgroup == container.0 {
        Heard::Input(Input::ContainerRemoved { at: at(&removed.header), container })
    } else {
        Heard::NestedRemoved { container, cgroup: removed.cgroup }
    }
}

fn process_exited(it: &record::ProcessExited) -> ProcessExited {
    // wait(2): the low seven bits are the signal; without one, the next byte is the exit status.
    let signal = it.exit_code & 0x7f;
    let status = (it.exit_code >> 8) as u8;
    ProcessExited {
        at: at(&it.header),
        container: container(&it.header),
        process: process(it.process),
        root: process(it.root),
        comm: text(&it.comm),
        code: (signal == 0).then_some(status),
        signal: (signal != 0).then_some(signal),
        is_init: it.flags & signal_flag::TARGET_IS_INIT != 0,
        is_main: it.flags & signal_flag::TARGET_IS_MAIN != 0,
    }
}

fn signal(it: &record::SignalGenerated) -> Result<Signal, UnknownValue> {
    let has = |bit| it.flags & bit != 0;
    Ok(Signal {
        at: at(&it.header),
        container: container(&it.header),
        target: process(it.target),
        root: process(it.root),
        comm: text(&it.comm),
        signal: it.signal,
        sender: match (has(signal_flag::FROM_KERNEL), has(signal_flag::FROM_INSIDE)) {
            (false, false) => Sender::Outside,
            (false, true) => Sender::Inside,
            (true, false) => Sender::Kernel,
            (true, true) => Sender::KernelInside,
        },
        sender_process: known_process(it.sender),
        dropped: it.result == RESULT_IGNORED,
        handler: handler(it.disposition)?,
        blocked: has(signal_flag::BLOCKED),
        to_init: has(signal_flag::TARGET_IS_INIT),
        to_main: has(signal_flag::TARGET_IS_MAIN),
        accepted: it.opened,
    })
}

fn connection(it: &record::ConnectionRecord) -> Result<Input, UnknownValue> {
    let described = |fate| -> Result<Connection, UnknownValue> {
        Ok(Connection {
            at: at(&it.header),
            container: container(&it.header),
            cookie: SocketCookie(it.cookie),
            owner: known_process(it.owner),
            role: match it.role {
                role::SERVER => Role::Server,
                role::CLIENT => Role::Client,
                other => return Err(UnknownValue { field: "role", value: other.into() }),
            },
            local: address(it.tuple.local_address, it.tuple.local_port),
            peer: address(it.tuple.remote_address, it.tuple.remote_port),
            fate,
            by_death: it.evidence.has(flag::CLOSER_EXITING),
            accepted: it.evidence.has(flag::ACCEPTED),
            opened_in_window: it.evidence.has(flag::OPENED_IN_WINDOW),
            unread_bytes: it.evidence.unread,
            response_bytes: response_bytes(&it.evidence),
            undelivered_bytes: it.evidence.undelivered,
            under_way: it.evidence.has(flag::UNDER_WAY),
            unsent: it.evidence.has(flag::UNSENT),
            framed: framed(&it.evidence, fate.0),
        })
    };
    Ok(match it.event {
        connection_event::OPENED => Input::ConnectionOpened(described(FateName(Fate::NotMeasured))?),
        connection_event::ENDED => Input::ConnectionEnded(described(fate(it.fate)?)?),
        connection_event::REVISED => Input::ConnectionRevised {
            connection: described(fate(it.fate)?)?,
            previous: fate(it.previous_fate)?,
        },
        connection_event::SETTLED => Input::ConnectionSettled {
            at: at(&it.header),
            container: container(&it.header),
            cookie: SocketCookie(it.cookie),
        },
        connection_event::STRANDED => Input::ConnectionStranded {
            at: at(&it.header),
            container: container(&it.header),
            cookie: SocketCookie(it.cookie),
        },
        other => return Err(UnknownValue { field: "event", value: other.into() }),
    })
}

fn response_bytes(evidence: &wire::Evidence) -> u64 {
    match evidence.framed.in_hand() {
        Hand::Answer | Hand::AnswerUntilClose => evidence.framed.begun,
        _ => evidence.written.into(),
    }
}

fn framed(evidence: &wire::Evidence, fate: Fate) -> Framed {
    let framed = &evidence.framed;
    let has = |bit| framed.flags & bit != 0;
    Framed {
        protocol: match framed.protocol {
            protocol::HTTP1 => Protocol::Http1,
            protocol::HTTP2 => Protocol::Http2,
            protocol::TLS => Protocol::Tls,
            _ => Protocol::Unknown,
        },
        confidence: confidence(framed, fate),
        expected_bytes: (framed.expected > 0).then_some(framed.expected),
        streams: framed.streams,
        goaway: has(framing_flag::GOAWAY),
        upgraded: has(framing_flag::UPGRADED),
    }
}

/// What nobody had in hand the kernel itself tells. What a server owes is proved by its protocol alone.
fn confidence(framed: &framing::Framed, fate: Fate) -> Confidence {
    let inferred = framed.flags & framing_flag::LIKELY != 0
        || matches!(framed.in_hand(), Hand::Unknown | Hand::AnswerUntilClose);
    let rests_on_framing = matches!(fate, Fate::UnansweredRequest | Fate::TruncatedResponse);
    if rests_on_framing && inferred { Confidence::Likely } else { Confidence::Exact }
}

fn at(header: &record::Header) -> KernelInstant {
    KernelInstant(header.at)
}

fn container(header: &record::Header) -> ContainerId {
    ContainerId(header.container)
}

/// A process as it stands on the wire.
pub fn process(process: wire::Process) -> ProcessId {
    ProcessId { tgid: process.tgid, start: process.start }
}

fn known_process(wire: wire::Process) -> Option<ProcessId> {
    (wire.tgid != 0).then(|| process(wire))
}

fn handler(value: u32) -> Result<Handler, UnknownValue> {
    match value {
        disposition::DEFAULT => Ok(Handler::Default),
        disposition::IGNORED => Ok(Handler::Ignore),
        disposition::HANDLED => Ok(Handler::Installed),
        _ => Err(UnknownValue { field: "disposition", value }),
    }
}

fn fate(value: u8) -> Result<FateName, UnknownValue> {
    Fate::from_wire(value).map(FateName).ok_or(UnknownValue { field: "fate", value: value.into() })
}

fn address(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from(address).to_canonical(), port)
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[cfg(test)]
mod tests;
