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
        if !self.cause_is_known() {
            return 0;
        }
        let under_way = self.deliveries.count(Fate::Drained);
        self.take_up_to(Fate::Drained, self.ledger.total(Fate::Drained).saturating_sub(under_way))
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
            let mut count = self.take(fate);
            for (cause, own) in self.take_own_causes(fate) {
                let own = own.min(count);
                count -= own;
                news.push((fate, cause, own));
            }
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

    /// How many connections of this fate, having causes of their own, were not taken yet.
    fn take_own_causes(&mut self, fate: Fate) -> Vec<(Cause, u64)> {
        let of_this = self.ledger.own_causes().iter().filter(|((its, _), _)| *its == fate);
        let news = of_this.map(|(&key, &total)| {
            let taken = self.counted_own_causes.insert(key, total).unwrap_or_default();
            (key.1, total.saturating_sub(taken))
        });
        news.filter(|&(_, count)| count > 0).collect()
    }

    /// How many severed streams were not taken yet.
    fn take_streams(&mut self) -> u64 {
        let total = self.ledger.streams();
        total.saturating_sub(std::mem::replace(&mut self.counted_streams, total))
    }

    /// How many connections of this fate were not taken yet.
    fn take(&mut self, fate: Fate) -> u64 {
        self.take_up_to(fate, self.ledger.total(fate))
    }

    fn take_up_to(&mut self, fate: Fate, total: u64) -> u64 {
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
