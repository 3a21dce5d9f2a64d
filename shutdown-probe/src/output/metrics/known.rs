//! Which series exist before anything happened, so that `increase()` sees the first event.
//!
//! Invariant: only what can happen. A series that turns up without having been foreseen here is counted all
//! the same; it merely begins at its first value.

use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::trigger::Trigger;

/// The series of severed connections: each fate with the causes it can have.
pub fn severed() -> Vec<(Fate, Cause)> {
    let causes_of = |fate| match Cause::of_connection(fate) {
        Some(cause) => vec![cause],
        None => process_level().collect(),
    };
    let fates = Fate::ALL.into_iter().filter(|fate| fate.is_severed());
    fates.flat_map(|fate| causes_of(fate).into_iter().map(move |cause| (fate, cause))).collect()
}

/// The series of terminations: each trigger that needs no Kubernetes, with the causes it can have; in Kubernetes the
/// others besides, the frequent ones with the causes that hold without a loss.
pub fn terminations(in_kubernetes: bool) -> Vec<(Trigger, Cause)> {
    let possible = |trigger: &Trigger| {
        let trigger = *trigger;
        let causes = Cause::ALL.iter().copied().filter(move |&cause| is_possible(trigger, cause));
        causes.map(move |cause| (trigger, cause))
    };
    let mut known: Vec<_> = Trigger::ALL.iter().flat_map(possible).collect();
    if in_kubernetes {
        known.extend(Trigger::ALL.iter().filter(|&&trigger| is_of_pods(trigger)).flat_map(|&trigger| {
            let is_known = move |cause: &Cause| {
                *cause == Cause::Clean || (is_frequent(trigger) && cause.holds_without_loss())
            };
            Cause::ALL.iter().copied().filter(is_known).map(move |cause| (trigger, cause))
        }));
    }
    known
}

/// What is known from Kubernetes alone.
const fn is_of_pods(trigger: Trigger) -> bool {
    matches!(
        trigger,
        Trigger::PodDeleted
            | Trigger::Rollout
            | Trigger::ScaledDown
            | Trigger::Evicted
            | Trigger::NodeShutdown
            | Trigger::Preempted
            | Trigger::LivenessFailed
            | Trigger::StartupFailed
            | Trigger::ForceDeleted
    )
}

const fn is_frequent(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::PodDeleted | Trigger::Rollout | Trigger::ScaledDown)
}

/// The causes that say how the process ended.
fn process_level() -> impl Iterator<Item = Cause> {
    Cause::ALL.iter().copied().filter(|&cause| level(cause) == Level::Process)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// How the process ended.
    Process,
    /// What befell connections that no process held.
    Connection,
    /// What only framing or Kubernetes can tell.
    Context,
    /// Nothing was lost.
    Nothing,
}

const fn level(cause: Cause) -> Level {
    match cause {
        Cause::StopSignalKilledProcess
        | Cause::ExitedWithoutDrain
        | Cause::IgnoredStopSignal
        | Cause::StopSignalNotForwarded
        | Cause::SignalBeforeReady
        | Cause::GraceExceeded
        | Cause::WaitedOnIdleConnections
        | Cause::GraceCutShort
        | Cause::KilledWithoutStopSignal
        | Cause::Crashed => Level::Process,
        Cause::ListenerClosedWhileRouted | Cause::AcceptQueueDropped | Cause::KeepaliveRace => {
            Level::Connection
        }
        Cause::StreamWithoutGoaway | Cause::SidecarGoneFirst | Cause::NetworkWithdrawn => Level::Context,
        Cause::Clean => Level::Nothing,
    }
}

fn is_possible(trigger: Trigger, cause: Cause) -> bool {
    match (trigger, level(cause)) {
        (_, Level::Context) => false,
        (Trigger::ContainerStopped, _) => cause != Cause::Crashed,
        (Trigger::OomKilled, Level::Process) => cause == Cause::KilledWithoutStopSignal,
        (Trigger::Crashed | Trigger::Completed | Trigger::Unknown, Level::Process) => cause == Cause::Crashed,
        (Trigger::OomKilled | Trigger::Crashed | Trigger::Completed | Trigger::Unknown, _) => true,
        (trigger, _) => !is_of_pods(trigger),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_severed_fate_has_its_causes_and_no_other() {
        let series = severed();
        let count = |fate| series.iter().filter(|(known, _)| *known == fate).count();
        assert_eq!(count(Fate::UnansweredRequest), 10);
        assert_eq!(count(Fate::Refused), 1);
        assert_eq!(count(Fate::Drained), 0);
        assert_eq!(series.len(), 4 * 10 + 3);
        assert!(series.contains(&(Fate::NeverAccepted, Cause::AcceptQueueDropped)));
        assert!(!series.iter().any(|(_, cause)| *cause == Cause::Clean));
    }

    #[test]
    fn a_container_alone_can_be_stopped_killed_or_end() {
        let series = terminations(false);
        assert!(series.contains(&(Trigger::ContainerStopped, Cause::Clean)));
        assert!(series.contains(&(Trigger::Crashed, Cause::Crashed)));
        assert!(series.contains(&(Trigger::OomKilled, Cause::KilledWithoutStopSignal)));
        assert!(!series.iter().any(|(trigger, _)| *trigger == Trigger::Rollout));
        assert!(series.len() < 40, "{} series for each container", series.len());
    }

    #[test]
    fn kubernetes_adds_its_triggers() {
        let series = terminations(true);
        for (trigger, cause) in [
            (Trigger::Rollout, Cause::Clean),
            (Trigger::Rollout, Cause::IgnoredStopSignal),
            (Trigger::NodeShutdown, Cause::Clean),
        ] {
            assert!(series.contains(&(trigger, cause)), "{trigger:?} {cause:?}");
        }
        let added = series.len() - terminations(false).len();
        assert!(added < 40, "{added} more series for each container");
    }
}
