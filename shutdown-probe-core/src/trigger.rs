//! What set a termination off: the closed set.

use serde::{Deserialize, Serialize};

macro_rules! triggers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What set a termination off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Trigger { $($(#[$doc])* $variant,)* }

        impl Trigger {
            /// Every trigger.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in JSON, metrics and documents.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

triggers! {
    /// Somebody deleted the pod.
    PodDeleted = "pod_deleted",
    /// A new revision replaced it.
    Rollout = "rollout",
    /// Fewer replicas were asked for.
    ScaledDown = "scaled_down",
    /// The eviction API, or the kubelet under pressure.
    Evicted = "evicted",
    /// The node is shutting down.
    NodeShutdown = "node_shutdown",
    /// A pod of higher priority needed the room.
    Preempted = "preempted",
    /// The liveness probe failed.
    LivenessFailed = "liveness_failed",
    /// The startup probe failed.
    StartupFailed = "startup_failed",
    /// The OOM killer.
    OomKilled = "oom_killed",
    /// Deleted with grace 0 and force.
    ForceDeleted = "force_deleted",
    /// Something outside sent it a stop signal or SIGKILL.
    ContainerStopped = "container_stopped",
    /// It ended by itself, with a status other than 0 or by a signal of its own.
    Crashed = "crashed",
    /// It ended by itself, with status 0.
    Completed = "completed",
    /// The probe did not see how it began.
    Unknown = "unknown",
}
