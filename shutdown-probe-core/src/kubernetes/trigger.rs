//! What set a termination off, as the API proves it.
//!
//! | trigger | proof |
//! |---|---|
//! | `force_deleted` | the pod is gone from the API, or was deleted with a grace of 0, while its process runs |
//! | `preempted` | `DisruptionTarget` PreemptionByScheduler, or the kubelet's reason Preempting |
//! | `node_shutdown` | the kubelet says in the pod's status that the node shuts down |
//! | `evicted` | `DisruptionTarget` of the eviction API, a taint, or the kubelet; `status.reason` Evicted |
//! | `rollout` | deleted, and the owner has a newer revision than the pod |
//! | `scaled_down` | deleted, the owner wants fewer pods, and none was made in its place |
//! | `pod_deleted` | deleted, or gone from the API once it was over, and nothing of the above |
//! | `liveness_failed`, `startup_failed` | not deleted; the kubelet's Event `Killing` says so |
//! | `evicted` | the same by its Event `Evicted`, where the pod was too quick for its status to say so |
//! | `completed` | a sidecar, not deleted: all but the sidecars have ended |

use super::pod::{Change, Container, KubeletReason, Pod};
use crate::identity::KernelInstant;
use crate::trigger::Trigger;
use core::time::Duration;

/// The kubelet tells its reason just before it stops a container; its Events have whole seconds.
const TOLD_BEFORE: Duration = Duration::from_secs(3);
/// A preStop hook runs between the two.
const TOLD_AFTER: Duration = Duration::from_secs(600);

/// As [`Spec::kind`](crate::report::Spec) has it.
const SIDECAR: &str = "sidecar";

/// Whether the API still has a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removal {
    /// It has.
    #[default]
    No,
    /// It had it no more while the container still ran.
    WhileRunning,
    /// It had it no more when the container was over.
    Afterwards,
}

/// Why the whole pod ends; nothing where no reason is known. `stopped_at`: what came later is not why.
pub fn of_pod(pod: &Pod, removal: Removal, stopped_at: KernelInstant) -> Option<Trigger> {
    let deletion = pod.deletion.filter(|deletion| deletion.began_at <= stopped_at.after(TOLD_BEFORE));
    if removal == Removal::WhileRunning || deletion.is_some_and(|deletion| deletion.grace_seconds == 0) {
        return Some(Trigger::ForceDeleted);
    }
    let by_condition = pod.disruption.as_deref().and_then(|reason| of_disruption(reason, pod));
    let by_status = || pod.reason.as_deref().and_then(|reason| of_status(reason, pod));
    by_condition.or_else(by_status).or_else(|| {
        let is_deleted = deletion.is_some() || pod.deletion.is_none() && removal == Removal::Afterwards;
        is_deleted.then_some(match pod.change {
            Some(Change::NewRevision) => Trigger::Rollout,
            Some(Change::FewerReplicas) => Trigger::ScaledDown,
            Some(Change::Unchanged) | None => Trigger::PodDeleted,
        })
    })
}

fn of_disruption(reason: &str, pod: &Pod) -> Option<Trigger> {
    match reason {
        "PreemptionByScheduler" => Some(Trigger::Preempted),
        "EvictionByEvictionAPI" | "DeletionByTaintManager" => Some(Trigger::Evicted),
        // The kubelet gives one reason for all that it does by itself; its status says more.
        "TerminationByKubelet" => {
            let told = pod.reason.as_deref().and_then(|reason| of_status(reason, pod));
            Some(told.unwrap_or(if pod.says_node_shutdown {
                Trigger::NodeShutdown
            } else {
                Trigger::Evicted
            }))
        }
        _ => None,
    }
}

fn of_status(reason: &str, pod: &Pod) -> Option<Trigger> {
    match reason {
        "Evicted" => Some(Trigger::Evicted),
        "Preempting" => Some(Trigger::Preempted),
        "NodeShutdown" => Some(Trigger::NodeShutdown),
        "Terminated" if pod.says_node_shutdown => Some(Trigger::NodeShutdown),
        _ => None,
    }
}

/// Why one container of a pod that is not deleted was stopped at this moment; nothing where nobody says it.
pub fn of_container(pod: &Pod, container: &Container, stopped_at: KernelInstant) -> Option<Trigger> {
    let told = |stopped: &&super::pod::Stopped| {
        stopped.at.after(TOLD_AFTER) >= stopped_at && stopped_at.after(TOLD_BEFORE) >= stopped.at
    };
    let last = container.stopped.iter().filter(told).max_by_key(|stopped| stopped.at);
    match last.map(|stopped| stopped.why) {
        Some(KubeletReason::LivenessProbe) => Some(Trigger::LivenessFailed),
        Some(KubeletReason::StartupProbe) => Some(Trigger::StartupFailed),
        Some(KubeletReason::Evicted) => Some(Trigger::Evicted),
        None => (pod.is_finished && container.spec.kind == SIDECAR).then_some(Trigger::Completed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::{Deletion, Stopped};
    use super::*;
    use crate::report::Spec;

    const DELETED: Option<Deletion> = Some(Deletion { began_at: KernelInstant(0), grace_seconds: 30 });

    fn pod(edit: impl FnOnce(&mut Pod)) -> Pod {
        let mut pod = Pod::default();
        edit(&mut pod);
        pod
    }

    #[test]
    fn a_pod_that_lives_has_no_trigger() {
        assert_eq!(of_pod(&Pod::default(), Removal::No, KernelInstant(0)), None);
    }

    #[test]
    fn each_reason_has_its_proof() {
        type Edit = fn(&mut Pod);
        let table: &[(Edit, Trigger)] = &[
            (|pod| pod.deletion = DELETED, Trigger::PodDeleted),
            (|pod| (pod.deletion, pod.change) = (DELETED, Some(Change::Unchanged)), Trigger::PodDeleted),
            (|pod| (pod.deletion, pod.change) = (DELETED, Some(Change::NewRevision)), Trigger::Rollout),
            (|pod| (pod.deletion, pod.change) = (DELETED, Some(Change::FewerReplicas)), Trigger::ScaledDown),
            (|pod| pod.disruption = Some("EvictionByEvictionAPI".into()), Trigger::Evicted),
            (|pod| pod.disruption = Some("DeletionByTaintManager".into()), Trigger::Evicted),
            (|pod| pod.disruption = Some("PreemptionByScheduler".into()), Trigger::Preempted),
            (|pod| pod.disruption = Some("TerminationByKubelet".into()), Trigger::Evicted),
            (
                |pod| {
                    pod.disruption = Some("TerminationByKubelet".into());
                    (pod.reason, pod.says_node_shutdown) = (Some("Terminated".into()), true);
                },
                Trigger::NodeShutdown,
            ),
            (
                |pod| {
                    pod.disruption = Some("TerminationByKubelet".into());
                    pod.reason = Some("Preempting".into());
                },
                Trigger::Preempted,
            ),
            (|pod| pod.reason = Some("Evicted".into()), Trigger::Evicted),
            (
                |pod| pod.deletion = Some(Deletion { began_at: KernelInstant(0), grace_seconds: 0 }),
                Trigger::ForceDeleted,
            ),
            // An eviction deletes, too, and may meet a rollout.
            (
                |pod| {
                    (pod.deletion, pod.change) = (DELETED, Some(Change::NewRevision));
                    pod.disruption = Some("EvictionByEvictionAPI".into());
                },
                Trigger::Evicted,
            ),
            // A reason that this version does not know hides nothing.
            (
                |pod| (pod.deletion, pod.disruption) = (DELETED, Some("SomethingNew".into())),
                Trigger::PodDeleted,
            ),
        ];
        for (index, (edit, expected)) in table.iter().enumerate() {
            assert_eq!(of_pod(&pod(edit), Removal::No, KernelInstant(0)), Some(*expected), "row {index}");
        }
        assert_eq!(
            of_pod(&Pod::default(), Removal::WhileRunning, KernelInstant(0)),
            Some(Trigger::ForceDeleted)
        );
        assert_eq!(of_pod(&Pod::default(), Removal::Afterwards, KernelInstant(0)), Some(Trigger::PodDeleted));
    }

    #[test]
    fn a_deletion_that_came_later_is_not_why() {
        let deleted = pod(|pod| pod.deletion = Some(Deletion { began_at: second(100), grace_seconds: 30 }));
        assert_eq!(of_pod(&deleted, Removal::Afterwards, second(90)), None);
        assert_eq!(
            of_pod(&deleted, Removal::Afterwards, second(99)),
            Some(Trigger::PodDeleted),
            "dates are coarse"
        );
    }

    fn second(second: u64) -> KernelInstant {
        KernelInstant(second * 1_000_000_000)
    }

    #[test]
    fn what_is_only_a_word_proves_no_shutdown_of_the_node() {
        let deleted = pod(|pod| (pod.deletion, pod.reason) = (DELETED, Some("Terminated".into())));
        assert_eq!(of_pod(&deleted, Removal::No, KernelInstant(0)), Some(Trigger::PodDeleted));
    }

    #[test]
    fn the_kubelets_word_counts_for_the_stop_it_was_about() {
        let stopped = |s, why| Stopped { at: second(s), why };
        let container = Container {
            stopped: vec![
                stopped(1_000, KubeletReason::StartupProbe),
                stopped(2_000, KubeletReason::LivenessProbe),
            ],
            ..Container::default()
        };
        let of = |at| of_container(&Pod::default(), &container, second(at));
        assert_eq!(of(1_000), Some(Trigger::StartupFailed));
        assert_eq!(of(2_030), Some(Trigger::LivenessFailed), "a preStop hook ran first");
        assert_eq!(of(990), None, "it was stopped before the kubelet had a reason");
        assert_eq!(of(5_000), None, "that reason was of long ago");
    }

    #[test]
    fn a_sidecar_ends_when_the_work_is_done() {
        let finished = pod(|pod| pod.is_finished = true);
        let of = |pod: &Pod, kind: &str| {
            let spec = Spec { kind: kind.into(), ..Spec::default() };
            of_container(pod, &Container { spec, ..Container::default() }, KernelInstant(0))
        };
        assert_eq!(of(&finished, "sidecar"), Some(Trigger::Completed));
        assert_eq!(of(&finished, "container"), None, "something stopped it, and nobody says what");
        assert_eq!(of(&Pod::default(), "sidecar"), None);
    }
}
