//! What a termination measured that recommendations rest on.

use super::{Subject, Termination};
use crate::cause::Cause;
use crate::input::Handler;
use crate::recommendation::{Facts, Sample, Unheard};
use crate::report::Spec;
use crate::signal::Disposition;
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many programs are named.
const PROGRAMS: usize = 3;

impl Termination {
    /// What is remembered of it; nothing of one that nobody asked for.
    pub fn sample(&self, subject: Subject) -> Option<Sample> {
        self.was_asked_for().then(|| Sample {
            last_arrival: (self.announced.is_some() || !subject.is_in_pod)
                .then(|| self.last_arrival().unwrap_or_default()),
            from_deletion: self.announced.is_some(),
            drain: self.drain(subject),
            signal: self.stop_signal().map(|received| received.signal.signal),
            cut: self.ledger.in_servers_hands(),
            drained: self.ledger.total(Fate::Drained),
        })
    }

    /// How long a whole drain took: one that it began by itself, that was not cut short and cut nothing.
    fn drain(&self, subject: Subject) -> Option<Duration> {
        let disposition = self.disposition_of(self.signal_to_server()?);
        let took_it = matches!(disposition, Disposition::Handled | Disposition::Blocked);
        let is_whole = self.deadly_kill().is_none() && !self.ledger_has_hands_losses();
        let is_drain = self.process_cause(subject).is_none_or(|cause| cause == Cause::ExitedWithoutDrain);
        self.grace_used().filter(|_| took_it && is_whole && is_drain)
    }

    /// What else recommendations rest on.
    pub(super) fn facts(
        &self,
        subject: Subject,
        spec: Option<&Spec>,
        server_version: Option<(u32, u32)>,
    ) -> Facts {
        let has_hook = spec.is_some_and(|spec| spec.pre_stop.is_some());
        let waited = self.announced.zip(self.stop.as_ref()).map(|(at, stop)| stop.at.since(at));
        Facts {
            serving: self.programs(),
            unheard: self.unheard(),
            pre_stop: waited.filter(|_| has_hook).unwrap_or_default(),
            grace: subject.own_grace,
            server_version,
        }
    }

    /// The names of the processes that served, as far as they ended.
    fn programs(&self) -> Vec<String> {
        let serving = self.serving();
        let ended = self.exits.iter().filter(|exit| serving.contains(&exit.process));
        let names: BTreeSet<_> = ended.map(|exit| exit.comm.as_str()).collect();
        names.into_iter().take(PROGRAMS).map(str::to_owned).collect()
    }

    fn unheard(&self) -> Option<Unheard> {
        let received = self.signal_to_server()?;
        let signal = &received.signal;
        match self.disposition_of(received) {
            Disposition::Ignored if signal.handler == Handler::Ignore => Some(Unheard::Ignored),
            Disposition::Ignored => Some(Unheard::DefaultOfPid1),
            Disposition::Blocked => Some(Unheard::Blocked),
            Disposition::Handled | Disposition::Default => None,
        }
    }
}
