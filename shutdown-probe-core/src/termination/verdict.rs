//! What follows from the facts of a termination: disposition, trigger, cause.
//!
//! Judged by the order of events and by what was lost, not by one number: an exit status of 137 or a
//! handler's address alone proves nothing.

use super::ledger::Listed;
use super::{Kill, Received, Stop, Termination};
use crate::cause::Cause;
use crate::command::KillReason;
use crate::identity::ProcessId;
use crate::input::{Handler, ProcessExited};
use crate::signal::{Disposition, SIGKILL};
use crate::trigger::Trigger;
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeSet;
use std::time::Duration;

/// A container younger than this when the signal came, that never listened, was not ready yet.
const STARTING: Duration = Duration::from_secs(5);
/// The part of the grace period before whose end a SIGKILL came too early.
const CUT_SHORT: f64 = 0.9;

/// What the verdict needs to know of the container beyond the termination's own facts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subject {
    /// How long the grace period is, where that is known.
    pub grace: Option<Duration>,
    /// The same by its spec alone, whoever ended it.
    pub own_grace: Option<Duration>,
    /// It is a container of a pod.
    pub is_in_pod: bool,
    /// Why somebody outside ended it, as the API proves it.
    pub trigger: Option<Trigger>,
    /// The runtime says that the OOM killer ended it.
    pub oom_killed: bool,
}

impl Termination {
    /// The stop signal from outside, as its target got it.
    pub(super) fn stop_signal(&self) -> Option<&Received> {
        self.received.get(&self.stop.as_ref()?.target)
    }

    /// What the stop signal met; `None` where there was none.
    pub fn disposition(&self) -> Option<Disposition> {
        self.stop_signal().map(|received| self.disposition_of(received))
    }

    pub(super) fn disposition_of(&self, received: &Received) -> Disposition {
        let signal = &received.signal;
        if signal.dropped || signal.handler == Handler::Ignore {
            Disposition::Ignored
        } else if signal.blocked && !received.delivered && !self.died_of(received) {
            Disposition::Blocked
        } else if signal.handler == Handler::Default {
            Disposition::Default
        } else if received.wants_default_action {
            self.disposition_reraised(received)
        } else {
            Disposition::Handled
        }
    }

    /// The first signal itself ended its target. If it was blocked, then only in the main thread, or for the moment in
    /// which a thread is made.
    fn died_of(&self, received: &Received) -> bool {
        let Received { signal, reraised, .. } = received;
        let mut exits = self.exits.iter();
        !reraised && exits.any(|exit| exit.process == signal.target && exit.signal == Some(signal.signal))
    }

    /// A handler that does nothing but ask for the default action. PID 1 does not get it, and lives on.
    fn disposition_reraised(&self, received: &Received) -> Disposition {
        match self.exits.iter().find(|exit| exit.process == received.signal.target) {
            Some(exit) if self.killed_by(exit) => Disposition::Ignored,
            None if self.kill.is_some() => Disposition::Ignored,
            _ => Disposition::Default,
        }
    }

    /// The stop signal as the server got it: from outside, or passed on by an init or a master.
    pub(super) fn signal_to_server(&self) -> Option<&Received> {
        let stop = self.stop.as_ref()?;
        let serving = self.serving();
        if serving.contains(&stop.target) {
            return self.stop_signal();
        }
        serving.iter().find_map(|process| self.received.get(process)).or_else(|| self.stop_signal())
    }

    /// The processes that read from connections; where none did, those that opened listeners.
    pub(super) fn serving(&self) -> &BTreeSet<ProcessId> {
        if self.reading.is_empty() { &self.listening } else { &self.reading }
    }

    fn killed_by(&self, exit: &ProcessExited) -> bool {
        exit.signal == Some(SIGKILL) && self.kill.as_ref().is_some_and(|kill| kill.at <= exit.at)
    }

    /// The SIGKILL from outside, where it is what ended the container.
    pub(super) fn deadly_kill(&self) -> Option<&Kill> {
        let ended_before = |kill: &&Kill| {
            self.principal()
                .is_some_and(|exit| exit.at < kill.at || exit.signal != Some(SIGKILL) && exit.is_init)
        };
        self.kill.as_ref().filter(|kill| !ended_before(kill))
    }

    /// What set it off. Where something outside did, the API knows what that was.
    pub fn trigger(&self, subject: Subject) -> Trigger {
        let from_outside = self.announced.is_some() || self.stop.is_some();
        match self.trigger_seen() {
            Trigger::ContainerStopped => subject.trigger.unwrap_or(Trigger::ContainerStopped),
            Trigger::Crashed if subject.oom_killed && !from_outside => Trigger::OomKilled,
            // A preStop hook may have ended it.
            Trigger::Crashed | Trigger::Completed | Trigger::Unknown if self.announced.is_some() => {
                subject.trigger.unwrap_or(Trigger::PodDeleted)
            }
            seen => seen,
        }
    }

    /// The same, from what the kernel saw alone.
    fn trigger_seen(&self) -> Trigger {
        match (&self.stop, &self.kill, self.principal()) {
            (Some(_), _, _) => Trigger::ContainerStopped,
            (None, Some(kill), exit) if exit.is_none_or(|exit| exit.at >= kill.at) => {
                if kill.oom {
                    Trigger::OomKilled
                } else {
                    Trigger::ContainerStopped
                }
            }
            (None, _, Some(exit)) if exit.code == Some(0) => Trigger::Completed,
            (None, _, Some(_)) => Trigger::Crashed,
            (None, _, None) => Trigger::Unknown,
        }
    }

    /// Why it was killed, where it was.
    pub fn kill_reason(&self, subject: Subject) -> Option<KillReason> {
        let kill = self.deadly_kill()?;
        Some(match &self.stop {
            _ if kill.oom => KillReason::OomKilled,
            None => KillReason::NoStopSignal,
            Some(stop) if self.cut_short(stop, kill, subject) => KillReason::GraceCutShort,
            Some(_) => KillReason::GraceExceeded,
        })
    }

    /// The cause of what was lost in the server's hands; `None` where the process ended well.
    pub fn process_cause(&self, subject: Subject) -> Option<Cause> {
        if self.pinned_cause.is_some() {
            return self.pinned_cause;
        }
        let (Some(stop), Some(received)) = (&self.stop, self.signal_to_server()) else {
            return self.cause_without_stop_signal();
        };
        if self.was_not_forwarded() {
            return Some(Cause::StopSignalNotForwarded);
        }
        match self.deadly_kill() {
            Some(kill) => Some(self.cause_of_kill(stop, received, kill, subject)),
            None if self.disposition_of(received) == Disposition::Default => {
                Some(Cause::StopSignalKilledProcess)
            }
            None => self.exited_by_itself(),
        }
    }

    fn cause_without_stop_signal(&self) -> Option<Cause> {
        match self.trigger_seen() {
            Trigger::ContainerStopped | Trigger::OomKilled => Some(Cause::KilledWithoutStopSignal),
            Trigger::Crashed | Trigger::Completed => Some(Cause::Crashed),
            _ => self.ledger_has_hands_losses().then_some(Cause::Crashed),
        }
    }

    fn exited_by_itself(&self) -> Option<Cause> {
        (self.cause_is_known() || self.ledger_has_hands_losses()).then_some(Cause::ExitedWithoutDrain)
    }

    fn cause_of_kill(&self, stop: &Stop, received: &Received, kill: &Kill, subject: Subject) -> Cause {
        let nothing_done = self.did_nothing(received);
        if nothing_done && was_not_ready(stop, received, kill, self.listener_opened) {
            Cause::SignalBeforeReady
        } else if nothing_done {
            Cause::IgnoredStopSignal
        } else if kill.oom || self.cut_short(stop, kill, subject) {
            Cause::GraceCutShort
        } else if self.listener_closed
            && !self.ledger_has_hands_losses()
            && self.ledger.idle_until_death() > 0
        {
            Cause::WaitedOnIdleConnections
        } else {
            Cause::GraceExceeded
        }
    }

    /// Nobody took up the stop signal. A worker may block what its master handles.
    fn did_nothing(&self, received: &Received) -> bool {
        match self.disposition_of(received) {
            Disposition::Ignored => true,
            Disposition::Blocked => !self.acted && self.disposition() != Some(Disposition::Handled),
            Disposition::Handled | Disposition::Default => false,
        }
    }

    /// The processes that serve are others than those that were signalled; none of them got a stop signal,
    /// and they ended by SIGKILL.
    fn was_not_forwarded(&self) -> bool {
        let serving = self.serving();
        let mut ends = self.exits.iter().filter(|exit| serving.contains(&exit.process)).peekable();
        // A master may tell its workers by other means than signals: then somebody closes a listener.
        !self.listener_closed
            && !serving.iter().any(|process| self.received.contains_key(process))
            && ends.peek().is_some()
            && ends.all(|exit| exit.signal == Some(SIGKILL))
    }

    pub(super) fn ledger_has_hands_losses(&self) -> bool {
        self.ledger.in_servers_hands() > 0
    }

    /// The primary cause, and the others that hold.
    pub fn causes(&self, subject: Subject) -> (Cause, Vec<Cause>) {
        let mut ranked = Vec::new();
        let process = self.process_cause(subject);
        if self.ledger_has_hands_losses() || process.is_some_and(Cause::holds_without_loss) {
            ranked.extend(process);
        }
        ranked.extend(self.connection_causes());
        let primary = ranked.first().copied().unwrap_or(Cause::Clean);
        (primary, ranked.split_off(ranked.len().min(1)))
    }

    /// Connection-level causes, most losses first.
    fn connection_causes(&self) -> Vec<Cause> {
        let by_fate = Fate::ALL
            .into_iter()
            .filter_map(|fate| Some((self.ledger.total(fate), Cause::of_connection(fate)?)));
        let own = [Cause::StreamWithoutGoaway, Cause::NetworkWithdrawn];
        let own = own.into_iter().map(|cause| (self.ledger.own_cause_total(cause), cause));
        let mut causes: Vec<_> = by_fate.chain(own).filter(|&(count, _)| count > 0).collect();
        causes.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
        causes.into_iter().map(|(_, cause)| cause).collect()
    }

    /// The cause of one severed connection that is listed.
    pub(super) fn cause_of_loss(&self, loss: &Listed, subject: Subject) -> Cause {
        loss.own_cause.unwrap_or_else(|| self.cause_of(loss.fate, subject))
    }

    /// The cause of a severed connection of this fate.
    pub fn cause_of(&self, fate: Fate, subject: Subject) -> Cause {
        Cause::of_connection(fate)
            .or_else(|| self.process_cause(subject))
            .unwrap_or(Cause::ExitedWithoutDrain)
    }

    /// SIGKILL came before the grace period was over, which begins with the pod's deletion.
    fn cut_short(&self, stop: &Stop, kill: &Kill, subject: Subject) -> bool {
        let began = self.announced.unwrap_or(stop.at);
        subject.grace.is_some_and(|grace| kill.at.since(began) < grace.mul_f64(CUT_SHORT))
    }

    /// How much of the grace period was used, which begins with the pod's deletion: preStop hooks are part of it.
    pub fn grace_used_since_deletion(&self) -> Option<Duration> {
        let waited = self.announced.zip(self.stop.as_ref()).map(|(at, stop)| stop.at.since(at));
        self.grace_used().map(|used| used + waited.unwrap_or_default())
    }

    /// How long after it was asked to end, or its pod deleted, the last connection came.
    pub fn last_arrival(&self) -> Option<Duration> {
        match (self.announced, self.last_arrival_at) {
            (Some(announced), Some(last)) => Some(last.since(announced)),
            (Some(_), None) => None,
            (None, _) => self.last_late(),
        }
    }

    /// From its beginning to the exit of the last process.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.empty_at.or_else(|| self.principal_exit_at())?.since(self.began_at))
    }

    /// From the stop signal to the exit of the last process.
    pub fn grace_used(&self) -> Option<Duration> {
        let stop = self.stop.as_ref()?;
        Some(self.empty_at.or_else(|| self.principal_exit_at())?.since(stop.at))
    }

    /// How long after the stop signal the last connection came.
    pub fn last_late(&self) -> Option<Duration> {
        self.last_late
    }
}

/// The handler came after the signal, or the container had not got as far as to listen.
fn was_not_ready(stop: &Stop, received: &Received, kill: &Kill, listener_opened: bool) -> bool {
    let signal = &received.signal;
    let handler_came_later = kill.target == signal.target
        && signal.handler != Handler::Installed
        && kill.handler == Handler::Installed;
    let never_served = signal.accepted == 0 && !stop.listening;
    let was_starting = listener_opened || stop.age.is_some_and(|age| age < STARTING);
    handler_came_later || (never_served && was_starting)
}
