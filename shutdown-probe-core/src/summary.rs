//! One plain sentence that says what a termination cost, and why.

use crate::cause::Cause;
use crate::report::Termination;
use shutdown_probe_common::fate::Fate;

/// The sentence for this report.
pub(crate) fn of(report: &Termination) -> String {
    format!("{}: {}", losses(report), why(report))
}

fn losses(report: &Termination) -> String {
    match report.severed_total {
        0 if !report.measured.complete => "severed no connection that could be measured".to_owned(),
        0 => "severed nothing".to_owned(),
        total => {
            let kinds: Vec<_> = Fate::ALL
                .into_iter()
                .filter_map(|fate| Some(of_kind(fate, *report.severed_by_evidence.get(fate.as_str())?)))
                .collect();
            format!("severed {total} {} ({})", plural(total, "connection", "connections"), kinds.join(", "))
        }
    }
}

fn of_kind(fate: Fate, count: u64) -> String {
    let (one, many) = match fate {
        Fate::UnansweredRequest => ("unanswered request", "unanswered requests"),
        Fate::TruncatedResponse => ("truncated response", "truncated responses"),
        Fate::UndeliveredResponse => ("undelivered response", "undelivered responses"),
        Fate::UnreadRequest => ("unread request", "unread requests"),
        Fate::NeverAccepted => ("never accepted", "never accepted"),
        Fate::RequestAfterClose => ("request after close", "requests after close"),
        Fate::Refused => ("refused attempt", "refused attempts"),
        _ => ("other", "others"),
    };
    format!("{count} {}", plural(count, one, many))
}

const fn plural<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn why(report: &Termination) -> String {
    let stop = report.stop_signal.as_ref().map_or("the stop signal", |stop| stop.signal.as_str());
    let after =
        report.grace.used_seconds.map_or_else(String::new, |used| format!(" after {}", duration(used)));
    match report.cause {
        Cause::StopSignalKilledProcess => format!("nothing handles {stop}, it ended the process{after}"),
        Cause::ExitedWithoutDrain => {
            format!("it handled {stop} and exited{after} without finishing its requests")
        }
        Cause::IgnoredStopSignal => format!("{stop} did nothing, SIGKILL ended it{after}"),
        Cause::StopSignalNotForwarded => {
            let comm = report.stop_signal.as_ref().map_or("", |stop| stop.comm.as_str());
            format!("{stop} went to {}, which does not serve and did not pass it on", comm.escape_debug())
        }
        Cause::SignalBeforeReady => format!("{stop} came before the process had installed a handler"),
        Cause::GraceExceeded => format!("it handled {stop} but still ran when SIGKILL came{after}"),
        Cause::WaitedOnIdleConnections => {
            format!("it waited for idle connections to close until SIGKILL came{after}")
        }
        Cause::GraceCutShort => format!("SIGKILL came{after}, before the grace period was over"),
        Cause::KilledWithoutStopSignal if report.kill_signal.as_ref().is_some_and(|kill| kill.oom) => {
            "the OOM killer ended it, with no stop signal before".to_owned()
        }
        Cause::KilledWithoutStopSignal => "SIGKILL came with no stop signal before it".to_owned(),
        Cause::Crashed => format!("it ended by itself{}", exit(report)),
        Cause::ListenerClosedWhileRouted => {
            "clients were still sent to it after it had stopped listening".to_owned()
        }
        Cause::AcceptQueueDropped => "its listener closed with connections nobody had accepted".to_owned(),
        Cause::KeepaliveRace => "it closed idle connections just as clients used them".to_owned(),
        Cause::StreamWithoutGoaway => "it cut long-lived streams without telling the clients".to_owned(),
        Cause::SidecarGoneFirst => "the pod's proxy ended before the application".to_owned(),
        Cause::NetworkWithdrawn => {
            "its network was removed while answers were still being sent to clients".to_owned()
        }
        Cause::Clean => clean(report, stop),
    }
}

fn clean(report: &Termination, stop: &str) -> String {
    match (&report.stop_signal, report.grace.used_seconds) {
        (Some(_), Some(used)) => {
            format!("it ended {} after {stop}, {} drained", duration(used), report.drained_total)
        }
        (Some(_), None) => format!("{stop} was sent, {} drained so far", report.drained_total),
        (None, _) => format!("it ended{}", exit(report)),
    }
}

fn exit(report: &Termination) -> String {
    match report.exit.as_ref().map(|exit| (exit.code, exit.signal.as_deref())) {
        Some((_, Some(signal))) => format!(", by {signal}"),
        Some((Some(code), None)) => format!(", with status {code}"),
        _ => String::new(),
    }
}

/// A duration for people: `3 ms`, `1.2 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}
