//! What is to be counted of a termination, each thing once.

use super::{Subject, Termination};
use crate::cause::Cause;
use crate::command::Count;
use crate::command::KillReason;
use crate::kubernetes::source::Source;
use crate::signal::Disposition;
use shutdown_probe_common::fate::Fate;
use std::time::Duration;

impl Termination {
    /// What became known since this was last asked. What depends on how the process ends waits for it.
    pub fn take_counts(&mut self, subject: Subject) -> Vec<Count> {
        let some = |count: u64| (count > 0).then_some(count);
        let mut counts = Vec::new();
        if self.cause_is_known() {
            counts.extend(
                self.take_stop_signal()
                    .map(|(signal, disposition)| Count::StopSignal { signal, disposition }),
            );
            counts.extend(self.take_kill(subject).map(|reason| Count::Kill { reason }));
        }
        let severed = self.take_severed(subject);
        counts.extend(severed.into_iter().map(|(fate, cause, count)| Count::Severed { fate, cause, count }));
        counts.extend(some(self.take_streams()).map(|count| Count::SeveredStreams { count }));
        counts.extend(some(self.take(Fate::NotMeasured)).map(|count| Count::NotMeasured { count }));
        counts
            .extend(some(self.take(Fate::OutboundUnanswered)).map(|count| Count::OutboundSevered { count }));
        counts.extend(some(self.take_drained()).map(|count| Count::Drained { count }));
        let late = self.take_late().into_iter();
        counts.extend(late.map(|(after, source)| Count::LateConnection { after, source }));
        counts
    }

    /// Drained connections, once nothing can change their fate but the rare revision.
    fn take_drained(&mut self) -> u64 {
        if self.cause_is_known() { self.take(Fate::Drained) } else { 0 }
    }

    /// Late arrivals since this was last asked.
    fn take_late(&mut self) -> Vec<(Duration, Option<Source>)> {
        std::mem::take(&mut self.late)
    }

    /// Severed connections that were not counted yet, with their cause. Those in the server's hands wait until
    /// the process has ended, unless `all` is asked for: only then its cause is known, and it stays.
    fn take_severed(&mut self, subject: Subject) -> Vec<(Fate, Cause, u64)> {
        let cause_is_known = self.cause_is_known();
        let mut news = Vec::new();
        for fate in Fate::ALL.into_iter().filter(|fate| fate.is_severed()) {
            if fate.was_in_servers_hands() && !cause_is_known {
                continue;
            }
            let count = self.take(fate);
            let streams = self.take_streams_cut(fate).min(count);
            if streams > 0 {
                news.push((fate, Cause::StreamWithoutGoaway, streams));
            }
            let count = count - streams;
            if count > 0 {
                let cause = self.cause_of(fate, subject);
                if fate.was_in_servers_hands() {
                    self.pinned_cause = Some(cause);
                }
                news.push((fate, cause, count));
            }
        }
        news
    }

    /// How many connections of this fate, being streams cut without a word, were not taken yet.
    fn take_streams_cut(&mut self, fate: Fate) -> u64 {
        let total = self.ledger.streams_cut(fate);
        let taken = self.counted_streams_cut.insert(fate, total).unwrap_or_default();
        total.saturating_sub(taken)
    }

    /// How many severed streams were not taken yet.
    fn take_streams(&mut self) -> u64 {
        let total = self.ledger.streams();
        total.saturating_sub(std::mem::replace(&mut self.counted_streams, total))
    }

    /// How many connections of this fate were not taken yet.
    fn take(&mut self, fate: Fate) -> u64 {
        let total = self.ledger.total(fate);
        let taken = self.counted.entry(fate).or_default();
        let news = total.saturating_sub(*taken);
        *taken = total.max(*taken);
        news
    }

    /// The reason of the kill, to be counted once.
    fn take_kill(&mut self, subject: Subject) -> Option<KillReason> {
        let reason = self.kill_reason(subject)?;
        (!std::mem::replace(&mut self.counted_kill, true)).then_some(reason)
    }

    /// The disposition of the stop signal, to be counted once.
    fn take_stop_signal(&mut self) -> Option<(u32, Disposition)> {
        let disposition = self.disposition()?;
        let number = self.stop_signal()?.signal.signal;
        (!std::mem::replace(&mut self.counted_stop_signal, true)).then_some((number, disposition))
    }
}
