//! All that the engine is ever told. The format of recordings: one JSON object a line.

use crate::closed_set::closed_set;
use crate::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use crate::kubernetes::Pod;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// One thing that happened. Inputs may come late, twice or not at all: the engine copes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// What to add to ns since boot to get ns since the Unix epoch.
    Clock {
        /// ns; may be sent again when the wall clock is set.
        boot_to_unix_ns: i64,
    },
    /// A container exists.
    ContainerAdded {
        /// When this was seen.
        at: KernelInstant,
        /// Which.
        container: ContainerId,
        /// Path below the v2 root, with a leading slash.
        path: String,
        /// The probe saw it being made; false for one older than the probe.
        from_birth: bool,
    },
    /// Its cgroup directory was removed.
    ContainerRemoved {
        /// When.
        at: KernelInstant,
        /// Which.
        container: ContainerId,
    },
    /// It got its first process, or lost its last.
    ContainerPopulated {
        /// When.
        at: KernelInstant,
        /// Which.
        container: ContainerId,
        /// Whether it has processes now.
        populated: bool,
    },
    /// A process came in from outside; the first is the main process, a later one an exec'd helper.
    ProcessEntered {
        /// When.
        at: KernelInstant,
        /// Where.
        container: ContainerId,
        /// Who.
        process: ProcessId,
        /// Its `comm`.
        comm: String,
    },
    /// A process ended; what it held is still open.
    ProcessExited(ProcessExited),
    /// The OOM killer chose a process.
    OomVictim {
        /// When.
        at: KernelInstant,
        /// Where.
        container: ContainerId,
        /// Who; its start is 0 on kernels that give only a pid.
        process: ProcessId,
    },
    /// A stop signal or SIGKILL was sent to a process.
    Signal(Signal),
    /// A process took a stop signal.
    SignalDelivered {
        /// When.
        at: KernelInstant,
        /// Where.
        container: ContainerId,
        /// Who.
        process: ProcessId,
        /// The number.
        signal: u32,
        /// What it acted upon.
        handler: Handler,
    },
    /// A connection was opened.
    ConnectionOpened(Connection),
    /// A connection ended; its `fate` is the kernel side's judgement.
    ConnectionEnded(Connection),
    /// What came after its end changed its fate.
    ConnectionRevised {
        /// The connection, with its new fate.
        connection: Connection,
        /// The fate it had.
        previous: FateName,
    },
    /// Nothing is under way any more to the peer of a connection that ended: it has acknowledged everything, or given up.
    ConnectionSettled {
        /// When.
        at: KernelInstant,
        /// Whose.
        container: ContainerId,
        /// Which.
        cookie: SocketCookie,
    },
    /// Some of what was under way was never sent, and the kernel finds no way to the peer any more.
    ConnectionStranded {
        /// When.
        at: KernelInstant,
        /// Whose.
        container: ContainerId,
        /// Which.
        cookie: SocketCookie,
    },
    /// A connection attempt was answered by RST.
    Refused {
        /// When.
        at: KernelInstant,
        /// To whose listening address.
        container: ContainerId,
        /// The address asked for.
        local: SocketAddr,
        /// Who asked.
        peer: SocketAddr,
    },
    /// A listener was opened or closed.
    Listener {
        /// When.
        at: KernelInstant,
        /// Whose.
        container: ContainerId,
        /// The process that did it.
        process: ProcessId,
        /// Where it listens.
        local: SocketAddr,
        /// Opened, or closed.
        open: bool,
        /// Closed by the death of the process rather than by its will.
        by_death: bool,
    },
    /// The answer to [`Command::ReadCounters`](crate::Command::ReadCounters).
    Counters {
        /// When they were read.
        at: KernelInstant,
        /// Whose.
        container: ContainerId,
        /// What they grew by since narration began.
        grown: Counters,
    },
    /// A pod as the API tells it; replaces what was told of it before.
    Pod {
        /// When this was heard.
        at: KernelInstant,
        /// What was heard.
        pod: Box<Pod>,
    },
    /// The API has this pod no more.
    PodRemoved {
        /// When this was heard.
        at: KernelInstant,
        /// Its uid.
        uid: String,
    },
    /// By which addresses the node speaks to its pods, besides those that their statuses have.
    NodeAddresses {
        /// When this was seen.
        at: KernelInstant,
        /// All of them.
        addresses: Vec<IpAddr>,
    },
    /// The version of the API server.
    ServerVersion {
        /// When this was heard.
        at: KernelInstant,
        /// As in `1.34`: 1.
        major: u32,
        /// As in `1.34`: 34.
        minor: u32,
    },
    /// An endpoint of a pod changed, in one Service.
    Endpoint {
        /// When this was heard.
        at: KernelInstant,
        /// The pod's uid.
        pod: String,
        /// The Service.
        service: String,
        /// What became of it.
        step: EndpointStep,
    },
    /// Records were lost that no container's counter names.
    RecordsLost {
        /// When this was noticed.
        at: KernelInstant,
        /// How many.
        count: u64,
    },
}

/// How far the withdrawal of an endpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStep {
    /// Ready: new connections are sent to it.
    Ready,
    /// Not ready any more: no new connections should be.
    NotReady,
    /// Out of the Service's slices.
    Removed,
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessExited {
    /// When.
    pub at: KernelInstant,
    /// Where.
    pub container: ContainerId,
    /// Who.
    pub process: ProcessId,
    /// Its topmost ancestor inside the container.
    pub root: ProcessId,
    /// Its `comm`.
    pub comm: String,
    /// Exit status (0 to 255), if it exited.
    pub code: Option<u8>,
    /// The signal that ended it, if one did.
    pub signal: Option<u32>,
    /// It was PID 1 of its namespace.
    pub is_init: bool,
    /// The kernel side takes it for the main process.
    pub is_main: bool,
}

/// A stop signal or SIGKILL was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// When.
    pub at: KernelInstant,
    /// To whose process.
    pub container: ContainerId,
    /// To whom.
    pub target: ProcessId,
    /// The target's topmost ancestor inside the container.
    pub root: ProcessId,
    /// The target's `comm`.
    pub comm: String,
    /// The number.
    pub signal: u32,
    /// Who sent it.
    pub sender: Sender,
    /// The sending process, where one is known.
    pub sender_process: Option<ProcessId>,
    /// `TRACE_SIGNAL_IGNORED`: the kernel dropped it.
    pub dropped: bool,
    /// What the target had installed; for SIGKILL: for SIGTERM, at this moment.
    pub handler: Handler,
    /// Blocked in the target's main thread: queued for sigwait or signalfd.
    pub blocked: bool,
    /// The target is PID 1 of its namespace.
    pub to_init: bool,
    /// The kernel side takes the target for the main process.
    pub to_main: bool,
    /// Connections the container had ever accepted by then.
    pub accepted: u64,
}

/// Where a signal came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// A process outside the container.
    Outside,
    /// A process of the container, itself included.
    Inside,
    /// The kernel by itself: a terminal, the OOM killer while an outsider allocates.
    Kernel,
    /// The kernel while a process of the container runs: end of a PID namespace, OOM killer.
    KernelInside,
}

/// What a process had installed for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// `SIG_DFL`.
    Default,
    /// `SIG_IGN`.
    Ignore,
    /// An address.
    Installed,
}

/// Which end of the connection the container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Passive open.
    Server,
    /// Active open.
    Client,
}

/// A fate, by its name in recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct FateName(pub shutdown_probe_common::fate::Fate);

impl From<FateName> for &'static str {
    fn from(name: FateName) -> Self {
        name.0.as_str()
    }
}

impl TryFrom<String> for FateName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        shutdown_probe_common::fate::Fate::ALL
            .into_iter()
            .find(|fate| fate.as_str() == name)
            .map(Self)
            .ok_or_else(|| format!("unknown fate {name:?}"))
    }
}

/// A connection, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// When it was opened, ended, or judged anew.
    pub at: KernelInstant,
    /// Whose.
    pub container: ContainerId,
    /// Which.
    pub cookie: SocketCookie,
    /// The process that last read from it, else the one that closed it.
    pub owner: Option<ProcessId>,
    /// Which end the container is.
    pub role: Role,
    /// Our address.
    pub local: SocketAddr,
    /// The other's.
    pub peer: SocketAddr,
    /// Meaningful once it has ended.
    pub fate: FateName,
    /// Closed by the death of the process rather than by its will.
    pub by_death: bool,
    /// A process had accepted it.
    pub accepted: bool,
    /// It was opened after the termination began.
    pub opened_in_window: bool,
    /// Received and never read, in bytes.
    pub unread_bytes: u32,
    /// Written of the response in hand, in bytes; where the protocol is not known, since the last read.
    pub response_bytes: u64,
    /// Written and never acknowledged, in bytes.
    pub undelivered_bytes: u32,
    /// They are still under way: what becomes of them is told, too.
    #[serde(default)]
    pub under_way: bool,
    /// Some of them were not even sent yet.
    #[serde(default)]
    pub unsent: bool,
    /// What its protocol says.
    #[serde(default)]
    pub framed: Framed,
}

/// What is known of a connection by its protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Framed {
    /// What it spoke.
    pub protocol: Protocol,
    /// Whether its fate is proved or inferred.
    pub confidence: Confidence,
    /// The whole length of the response in hand, head and body, in bytes; `None`: not known.
    pub expected_bytes: Option<u64>,
    /// Streams of HTTP/2 that were open at the end, or reset by the server since the beginning.
    pub streams: u32,
    /// The server had sent GOAWAY.
    pub goaway: bool,
    /// No more requests and responses, since an upgrade.
    pub upgraded: bool,
}

closed_set! {
    /// What a connection speaks.
    #[derive(Default)]
    Protocol {
        /// None of the others, or not followed.
        #[default]
        Unknown = "unknown",
        /// HTTP/1.0 or 1.1.
        Http1 = "http1",
        /// HTTP/2 in the clear.
        Http2 = "http2",
        /// TLS, whatever is inside.
        Tls = "tls",
    }
}

closed_set! {
    /// How sure a fate is.
    #[derive(Default)]
    Confidence {
        /// Proved.
        #[default]
        Exact = "exact",
        /// Inferred.
        Likely = "likely",
    }
}

/// What a container's kernel-side counters grew by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Connections opened.
    pub opened: u64,
    /// Connections ended, by fate; only those above 0.
    pub fates: Vec<(FateName, u64)>,
    /// Records lost.
    pub lost: u64,
}
