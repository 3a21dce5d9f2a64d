//! What set a termination off: the closed set.

use crate::closed_set::closed_set;

closed_set! {
    /// What set a termination off.
    Trigger {
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
}
