//! What to change, and what was measured that asks for it.

use super::history::{History, MARGIN, rests_on};
use super::{Facts, Unheard, whole_seconds};
use crate::cause::Cause;
use crate::report::{Change, Setting, Termination};
use crate::signal;
use crate::summary::duration;
use core::time::Duration;

/// Programs whose own documents call SIGTERM the fast stop, by the names of their processes, and the signal that they
/// call the graceful one. A name is no proof: it counts only beside a fast stop that was seen.
const GRACEFUL_SIGNALS: [(&str, &str); 5] = [
    ("nginx", "SIGQUIT"),
    ("php-fpm", "SIGQUIT"),
    ("haproxy", "SIGUSR1"),
    ("httpd", "SIGWINCH"),
    ("apache2", "SIGWINCH"),
];

/// Everything that should be changed, what makes the stop signal arrive first.
pub(crate) fn changes(report: &Termination, history: Option<&History>, facts: &Facts) -> Vec<Change> {
    let basis = Basis { report, history, facts };
    let grace = basis.grace();
    let changes = [basis.command(), basis.pid_1(), basis.stop_signal(), basis.pre_stop(&grace)];
    changes.into_iter().flatten().chain(grace.map(|grace| grace.change())).collect()
}

/// What changes are worked out from.
#[derive(Clone, Copy)]
struct Basis<'a> {
    report: &'a Termination,
    history: Option<&'a History>,
    facts: &'a Facts,
}

/// A grace period that is long enough.
struct Grace {
    seconds: u64,
    setting: &'static str,
    reasons: Vec<String>,
}

impl Grace {
    fn change(self) -> Change {
        Change {
            setting: Setting::GracePeriod,
            value: Some(self.seconds.to_string()),
            what: format!("Set {} to {} s or more.", self.setting, self.seconds),
            reason: self.reasons.join("; "),
        }
    }
}

impl Basis<'_> {
    fn has(self, cause: Cause) -> bool {
        self.report.cause == cause || self.report.other_causes.contains(&cause)
    }

    fn is_pod(self) -> bool {
        self.report.container.pod.is_some()
    }

    fn signal(&self) -> &str {
        self.report.stop_signal.as_ref().map_or("the stop signal", |stop| stop.signal.as_str())
    }

    /// The process that got the stop signal.
    fn target(&self) -> String {
        let stop = self.report.stop_signal.as_ref();
        stop.map_or_else(String::new, |stop| format!("{} ({})", stop.comm.escape_debug(), stop.target))
    }

    fn served(&self) -> String {
        let names: Vec<_> = self.facts.serving.iter().map(|name| name.escape_debug().to_string()).collect();
        if names.is_empty() { "the process that served".to_owned() } else { names.join(", ") }
    }

    fn after_use(&self) -> String {
        self.report.grace.used_seconds.map_or_else(String::new, |used| format!(" after {}", duration(used)))
    }

    /// The stop signal met somebody who does not serve.
    fn command(self) -> Option<Change> {
        if !self.has(Cause::StopSignalNotForwarded) {
            return None;
        }
        let in_manifest = self.report.container.spec.as_ref().and_then(|spec| spec.command_is_shell);
        let place = match in_manifest {
            Some(true) => "In the container's command, put `exec` before the server",
            _ if self.is_pod() => {
                "Write the image's ENTRYPOINT or CMD as a JSON array, or put `exec` before the server in its start \
                 script"
            }
            _ => "Put `exec` before the server where it is started",
        };
        Some(Change {
            setting: Setting::Command,
            value: None,
            what: format!(
                "{place}, or start it by an init that forwards signals to all (tini -g, dumb-init)."
            ),
            reason: format!(
                "{} was sent to {}, which did not pass it on; {} never got it, and SIGKILL ended it{}",
                self.signal(),
                self.target(),
                self.served(),
                self.after_use()
            ),
        })
    }

    /// The stop signal met somebody who does not hear it.
    fn pid_1(self) -> Option<Change> {
        let unheard = self.facts.unheard.filter(|_| self.has(Cause::IgnoredStopSignal))?;
        let (signal, target) = (self.signal(), self.target());
        let what = match unheard {
            Unheard::DefaultOfPid1 => format!(
                "Install a handler for {signal}. An init as PID 1 (tini, docker run --init, \
                 shareProcessNamespace: true) makes the signal work as well, but with no handler it then ends the \
                 process at once, with what is in flight."
            ),
            Unheard::Ignored => format!("Handle {signal} instead of ignoring it; an init does not help."),
            Unheard::Blocked => {
                format!("Take {signal}, which is blocked, with sigwait or signalfd, or unblock it.")
            }
        };
        let why = match unheard {
            Unheard::DefaultOfPid1 => {
                "is PID 1 of its container and has no handler of its own, so that nothing \
                                       came of it"
            }
            Unheard::Ignored => "ignores it (SIG_IGN)",
            Unheard::Blocked => "holds it blocked and never took it",
        };
        let reason = format!("{signal} was sent to {target}, which {why}; SIGKILL came{}", self.after_use());
        Some(Change { setting: Setting::Pid1, value: None, what, reason })
    }

    /// Another stop signal would have drained it.
    fn stop_signal(self) -> Option<Change> {
        if !self.has(Cause::ExitedWithoutDrain) {
            return None;
        }
        let (value, what, reason) = self.proved_signal().or_else(|| self.likely_signal())?;
        let place = if self.is_pod() { " (STOPSIGNAL in the image, or lifecycle.stopSignal)" } else { "" };
        let what = format!("Make {value} the stop signal{place}{what}.");
        Some(Change { setting: Setting::StopSignal, value: Some(value), what, reason })
    }

    /// One by which earlier terminations drained and cut nothing.
    fn proved_signal(self) -> Option<(String, String, String)> {
        let by_signal = self.history?.by_signal();
        let own = signal::number(&self.report.stop_signal.as_ref()?.signal)?;
        let is_better = |number: u32, cut: u64, drained: u64| number != own && cut == 0 && drained > 0;
        let (&number, good) =
            by_signal.iter().find(|&(&number, by)| is_better(number, by.cut, by.drained))?;
        let name = signal::name(number).into_owned();
        let reason = format!(
            "{} by {name} drained {} and cut no request; this one by {} did not drain",
            counted(good.terminations as u64, "termination"),
            counted(good.drained, "connection"),
            self.signal(),
        );
        Some((name, String::new(), reason))
    }

    /// One that a program of this name has, and that was not measured.
    fn likely_signal(self) -> Option<(String, String, String)> {
        let stop = self.report.stop_signal.as_ref().filter(|stop| stop.signal == "SIGTERM")?;
        let (program, signal) = GRACEFUL_SIGNALS.iter().find(|(name, _)| stop.comm.starts_with(name))?;
        let reason = format!(
            "{} handled {} and exited{} without finishing its requests, as the fast stop of {program} does; \
             {signal} was not measured here",
            self.target(),
            stop.signal,
            self.after_use()
        );
        Some(((*signal).to_owned(), format!(", if this is {program}: it is its graceful stop"), reason))
    }

    /// Whether the stop itself went wrong, so that its settings are worth a look.
    fn stop_went_wrong(self) -> bool {
        let harmless = [
            Cause::Clean,
            Cause::Crashed,
            Cause::KilledWithoutStopSignal,
            Cause::SidecarGoneFirst,
            Cause::NetworkWithdrawn,
        ];
        !harmless.contains(&self.report.cause)
    }

    /// Clients came for longer than it waited for them.
    fn pre_stop(self, grace: &Option<Grace>) -> Option<Change> {
        let history = self.history.filter(|_| self.stop_went_wrong())?;
        let wanted = history.wanted_pre_stop();
        let allowed = grace.as_ref().map(|grace| Duration::from_secs(grace.seconds)).or(self.facts.grace);
        // Only a hook takes its time from the grace period.
        let seconds = if self.is_pod() { history.recommend(allowed)?.pre_stop_seconds } else { wanted };
        if seconds == 0 || Duration::from_secs(seconds) <= self.facts.pre_stop {
            return None;
        }
        let had = match self.facts.pre_stop {
            Duration::ZERO => String::new(),
            hook => format!("; its preStop hook took {:.1} s", hook.as_secs_f64()),
        };
        let reason = history.reason((seconds < wanted).then_some(seconds)) + &had;
        let what = if self.is_pod() {
            format!("Let a preStop hook sleep for {seconds} s, and go on accepting meanwhile.")
        } else {
            format!("Send nobody there any more for {seconds} s before the stop signal.")
        };
        Some(Change { setting: Setting::PreStop, value: Some(seconds.to_string()), what, reason })
    }

    /// What is measured needs more time than there is.
    fn grace(self) -> Option<Grace> {
        let history = self.history.filter(|_| self.stop_went_wrong());
        let allowed = self.facts.grace;
        // Without Kubernetes a grace period begins with the stop signal.
        let sleep = history.filter(|_| self.is_pod()).map_or(0, History::wanted_pre_stop);
        let needs = [
            self.of_exceeded(sleep),
            history.and_then(|history| of_drain(history, sleep)),
            history.filter(|_| sleep > 0).map(|_| {
                (sleep * 2, format!("a preStop sleep of {sleep} s should take no more than half of it"))
            }),
        ];
        let is_short = |seconds: u64| allowed.is_some_and(|allowed| Duration::from_secs(seconds) > allowed);
        let exceeded = self.has(Cause::GraceExceeded);
        let needs: Vec<_> =
            needs.into_iter().flatten().filter(|&(seconds, _)| is_short(seconds) || exceeded).collect();
        let seconds = needs.iter().map(|&(seconds, _)| seconds).max()?;
        let now = allowed.map(|allowed| format!("it is {} s now", whole_seconds(allowed)));
        let reasons = needs.into_iter().filter(|(own, _)| is_short(*own) || *own == seconds);
        let reasons = reasons.map(|(_, reason)| reason).chain(now).collect();
        let setting = if self.is_pod() { "terminationGracePeriodSeconds" } else { "the grace period" };
        Some(Grace { seconds, setting, reasons })
    }

    /// It was killed at work: how much longer that would have gone on nobody measured.
    fn of_exceeded(self, sleep: u64) -> Option<(u64, String)> {
        let used = self.report.grace.used_seconds.filter(|_| self.has(Cause::GraceExceeded))?;
        let reason = format!(
            "SIGKILL came{} while it still worked; how much longer it needs is not measured, so this is twice as long",
            self.after_use()
        );
        Some((sleep + (used * 2.0).ceil() as u64, reason))
    }
}

/// The time that whole drains took, behind a sleep of so many seconds.
fn of_drain(history: &History, sleep: u64) -> Option<(u64, String)> {
    let (slowest, drains) = history.drain()?;
    let (rests, caution) = rests_on(drains, "drain");
    let before = if sleep > 0 { format!(", after a preStop sleep of {sleep} s") } else { String::new() };
    let slowest_seconds = slowest.as_secs_f64();
    let reason = format!("in {rests} it took {slowest_seconds:.2} s to drain{before}; plus 1 s{caution}");
    Some((sleep + whole_seconds(slowest + MARGIN), reason))
}

fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
