//! All that the engine ever asks for.

use crate::cause::Cause;
use crate::closed_set::closed_set;
use crate::identity::{ContainerId, KernelInstant};
use crate::kubernetes::source::Source;
use crate::report::Termination;
use crate::signal::Disposition;
use crate::trigger::Trigger;
use core::time::Duration;
use shutdown_probe_common::fate::Fate;

/// One thing to do. Carry them out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Let the kernel side send this container's records until then.
    Narrate {
        /// Which.
        container: ContainerId,
        /// When to fall silent by itself; [`KernelInstant`]'s maximum: not until told.
        until: KernelInstant,
    },
    /// Let the kernel side fall silent about this container.
    Silence {
        /// Which.
        container: ContainerId,
    },
    /// Read the kernel side's counters and answer with [`Input::Counters`](crate::Input::Counters).
    ReadCounters {
        /// Whose.
        container: ContainerId,
    },
    /// The container is gone and nothing more can come: free what is kept for it.
    Forget {
        /// Which.
        container: ContainerId,
    },
    /// A termination as it stands now; replaces what was said before under the same id.
    Report(Box<Termination>),
    /// Something to count.
    Count {
        /// Whose, by name.
        labels: Labels,
        /// What.
        count: Count,
    },
}

/// The names a container has in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    /// Kubernetes namespace; empty without Kubernetes.
    pub namespace: String,
    /// `Deployment`, `StatefulSet`, ...; empty without Kubernetes.
    pub workload_kind: String,
    /// The workload's name; empty without Kubernetes.
    pub workload: String,
    /// The container's name; standalone, the last part of its cgroup path.
    pub container: String,
    /// The pod's name, for those who ask for series of each pod; empty without Kubernetes.
    pub pod: String,
}

/// Something to count or to observe.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// It serves: its series may start at 0.
    Serving,
    /// Its last termination is complete and it is gone: its series may expire.
    Expired,
    /// A termination is complete.
    Termination {
        /// What set it off.
        trigger: Trigger,
        /// Its primary cause.
        cause: Cause,
        /// From its beginning to the exit of the last process.
        duration: Option<Duration>,
        /// The part of the grace period that was used; may exceed 1.
        grace_used_ratio: Option<f64>,
    },
    /// Connections were severed.
    Severed {
        /// Their fate.
        fate: Fate,
        /// Why.
        cause: Cause,
        /// How many.
        count: u64,
    },
    /// Streams of HTTP/2 were severed, with their connections.
    SeveredStreams {
        /// How many.
        count: u64,
    },
    /// Connections were drained.
    Drained {
        /// How many.
        count: u64,
    },
    /// Connections whose fate cannot be known.
    NotMeasured {
        /// How many.
        count: u64,
    },
    /// The container's own requests that were cut.
    OutboundSevered {
        /// How many.
        count: u64,
    },
    /// A stop signal met a process.
    StopSignal {
        /// The number.
        signal: u32,
        /// What it met.
        disposition: Disposition,
    },
    /// A container was killed.
    Kill {
        /// Why.
        reason: KillReason,
    },
    /// A connection, accepted or refused, came after the stop signal.
    LateConnection {
        /// How long after.
        after: Duration,
        /// Where it came from; nothing without Kubernetes.
        source: Option<Source>,
    },
    /// All that was to be learnt of routing: from the withdrawal of the pod's endpoint to the last connection.
    EndpointLag {
        /// How long; zero where none came after the withdrawal.
        lag: Duration,
    },
    /// The recommended preStop changed.
    RecommendedPreStop {
        /// How long to sleep.
        sleep: Duration,
    },
}

closed_set! {
    /// Why a container was killed.
    KillReason {
        /// The grace period after the stop signal was over.
        GraceExceeded = "grace_exceeded",
        /// SIGKILL came before the deadline.
        GraceCutShort = "grace_cut_short",
        /// SIGKILL came with no stop signal before it.
        NoStopSignal = "no_stop_signal",
        /// The OOM killer.
        OomKilled = "oom_killed",
    }
}
