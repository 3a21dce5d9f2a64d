//! What to change, in plain words, most important first.

use crate::cause::Cause;
use crate::report::Termination;
use crate::trigger::Trigger;

/// The advice for this report: for its primary cause, then for the others that hold.
pub(crate) fn of(report: &Termination) -> Vec<String> {
    let causes = std::iter::once(report.cause).chain(report.other_causes.iter().copied());
    causes
        .flat_map(|cause| for_cause(cause, report.trigger, report.last_late_connection_after_seconds))
        .collect()
}

/// The advice for a cause alone, where no report is at hand.
pub fn in_words(cause: Cause, trigger: Trigger) -> Option<String> {
    for_cause(cause, trigger, None).into_iter().next()
}

/// `last_late`: after how many seconds the last connection came that was too late.
fn for_cause(cause: Cause, trigger: Trigger, last_late: Option<f64>) -> Vec<String> {
    let advice = match cause {
        Cause::StopSignalKilledProcess => {
            "Handle the stop signal: stop accepting, finish the requests in flight, then exit."
        }
        Cause::ExitedWithoutDrain => {
            "Wait for the requests in flight before exiting. For nginx and its like, make the graceful stop \
             signal (SIGQUIT) the container's stop signal."
        }
        Cause::IgnoredStopSignal => {
            "Install a handler for the stop signal: PID 1 without one ignores it. An init as PID 1 (tini, docker run \
             --init, shareProcessNamespace) only makes the signal end the process at once, with what is in flight."
        }
        Cause::StopSignalNotForwarded => {
            "Start the server with exec, so that the shell does not stand in front of it, or use an init that \
             forwards signals (tini, dumb-init)."
        }
        Cause::SignalBeforeReady => "Install the signal handler first, before the slow part of starting up.",
        Cause::GraceExceeded => "Shorten the drain, or raise terminationGracePeriodSeconds above it.",
        Cause::WaitedOnIdleConnections => {
            "Close idle keep-alive connections when shutting down, and send Connection: close on the last responses."
        }
        Cause::GraceCutShort => {
            "Something killed it before its grace period was over: look at node shutdown settings, the autoscaler \
             and PodDisruptionBudgets."
        }
        Cause::KilledWithoutStopSignal if trigger == Trigger::OomKilled => {
            "Raise the memory limit or use less: the OOM killer gives no notice."
        }
        Cause::KilledWithoutStopSignal => {
            "Stop it with a stop signal and a grace period, not with SIGKILL (docker kill, --force, --grace-period=0)."
        }
        Cause::Crashed => "Fix the crash: its own end, not a stop from outside, cost these requests.",
        Cause::ListenerClosedWhileRouted => return vec![sleep_before_stopping(last_late)],
        Cause::AcceptQueueDropped => {
            "Accept what is queued before closing the listener, and raise accept capacity."
        }
        Cause::KeepaliveRace => {
            "Add a preStop sleep, send Connection: close on the last responses, and keep the server's keep-alive \
             timeout above the proxy's."
        }
        Cause::StreamWithoutGoaway => {
            "Use the server's graceful stop (GOAWAY), and limit the age of connections."
        }
        Cause::SidecarGoneFirst => "Make the proxy a native sidecar, so that it ends after the application.",
        Cause::NetworkWithdrawn => {
            "Exit a few seconds after the last answer: what is still being sent when a pod's last container ends is \
             lost with its network. Or wait for the client's FIN before closing (lingering close, SO_LINGER)."
        }
        Cause::Clean => return Vec::new(),
    };
    vec![advice.to_owned()]
}

fn sleep_before_stopping(last_late: Option<f64>) -> String {
    let measured = last_late.map_or_else(String::new, |after| {
        format!(", longer than the {after:.1} s after which the last connection came")
    });
    format!("Keep listening until nobody is sent here any more: add a preStop sleep{measured}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alerts name the fix in these words, for every cause.
    #[test]
    fn the_alerts_give_the_same_advice() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/alerts/rules.yaml");
        let rules = std::fs::read_to_string(path).expect("rules.yaml");
        for cause in Cause::ALL.iter().copied().filter(|cause| *cause != Cause::Clean) {
            let advice = for_cause(cause, Trigger::Unknown, None);
            let given = format!("eq $labels.cause \"{}\" -}}}}\n            {}\n", cause.as_str(), advice[0]);
            assert!(rules.contains(&given), "rules.yaml does not say {given}");
        }
    }
}
