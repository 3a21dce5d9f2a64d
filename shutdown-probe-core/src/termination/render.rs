//! A termination as a report.

use super::ledger::Listed;
use super::{Subject, Termination};
use crate::advice;
use crate::identity::KernelInstant;
use crate::recommendation::{self, History};
use crate::report::{self, Measured, Opened, Phase, Severed, State, TimelineEntry, Unsevered};
use crate::signal;
use crate::summary;
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeMap;

/// What a report needs beyond the termination's own facts.
pub(crate) struct Frame<'a> {
    pub id: String,
    pub container: report::Container,
    pub state: State,
    /// Of terminations before, and of this one once it is complete.
    pub history: Option<&'a History>,
    pub server_version: Option<(u32, u32)>,
    pub subject: Subject,
    pub unix: &'a dyn Fn(KernelInstant) -> f64,
}

impl Termination {
    /// The report of what is known now.
    pub fn report(&self, frame: Frame<'_>) -> report::Termination {
        let Frame { id, container, state, history, server_version, subject, unix } = frame;
        let facts = self.facts(subject, container.spec.as_ref(), server_version);
        let (cause, other_causes) = self.causes(subject);
        let mut report = report::Termination {
            id,
            state,
            container,
            began_at: unix(self.began_at),
            trigger: self.trigger(subject),
            cause,
            other_causes,
            summary: String::new(),
            advice: Vec::new(),
            stop_signal: self.report_stop_signal(unix),
            kill_signal: self.report_kill_signal(unix),
            exit: self.report_exit(unix),
            grace: report::Grace {
                allowed_seconds: subject.grace.map(|grace| grace.as_secs_f64()),
                used_seconds: self.grace_used().map(|used| used.as_secs_f64()),
                exceeded: self.stop.is_some() && self.deadly_kill().is_some(),
            },
            severed_total: self.ledger.sum(Fate::is_severed),
            severed_by_evidence: self.by_fate(Fate::is_severed),
            retry_unsafe_total: self.ledger.sum(|fate| fate.is_severed() && !fate.is_retry_safe()),
            streams_severed_total: self.ledger.streams(),
            severed: self.report_severed(subject, unix),
            unsevered: self.report_unsevered(unix),
            drained_total: self.ledger.total(Fate::Drained),
            connections_by_fate: self.by_fate(|_| true),
            outbound_unanswered_total: self.ledger.total(Fate::OutboundUnanswered),
            late_connections_total: self.late_total,
            last_late_connection_after_seconds: self.last_late().map(|after| after.as_secs_f64()),
            timeline: self.report_timeline(unix),
            recommendation: history.and_then(|history| history.recommend(subject.own_grace)),
            changes: Vec::new(),
            patches: Vec::new(),
            measured: self.report_measured(),
            announced: self.report_announced(unix),
            routing: self.report_routing(),
            kubelet_probes_total: self.probes.total(),
            late_by_source: self
                .late_by_source
                .iter()
                .map(|(source, &count)| (source.as_str().to_owned(), count))
                .collect(),
        };
        report.advice = advice::of(&report);
        report.summary = summary::of(&report);
        report.changes = recommendation::changes(&report, history, &facts);
        report.patches = recommendation::patches(&report, &report.changes, &facts);
        report
    }

    fn by_fate(&self, condition: impl Fn(Fate) -> bool) -> BTreeMap<String, u64> {
        Fate::ALL
            .into_iter()
            .filter(|&fate| condition(fate))
            .map(|fate| (fate.as_str().to_owned(), self.ledger.total(fate)))
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    fn report_stop_signal(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Option<report::StopSignal> {
        let stop = &self.stop_signal()?.signal;
        Some(report::StopSignal {
            signal: signal::name(stop.signal).into_owned(),
            at: unix(stop.at),
            disposition: self.disposition()?,
            target: stop.target.tgid,
            comm: stop.comm.clone(),
        })
    }

    fn report_kill_signal(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Option<report::KillSignal> {
        let kill = self.kill.as_ref()?;
        Some(report::KillSignal {
            signal: signal::name(signal::SIGKILL).into_owned(),
            at: unix(kill.at),
            target: kill.target.tgid,
            oom: kill.oom,
        })
    }

    fn report_exit(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Option<report::Exit> {
        let exit = self.principal()?;
        Some(report::Exit {
            at: unix(exit.at),
            code: exit.code,
            signal: exit.signal.map(|number| signal::name(number).into_owned()),
        })
    }

    fn report_severed(&self, subject: Subject, unix: &dyn Fn(KernelInstant) -> f64) -> Vec<Severed> {
        let severed = |loss: &Listed| Severed {
            peer: loss.peer.to_string(),
            local: loss.local.to_string(),
            evidence: loss.fate.as_str().to_owned(),
            cause: self.cause_of_loss(loss, subject),
            opened: opened(loss, unix),
            at: unix(loss.at),
            phase: self.phase(loss.at),
            protocol: loss.framed.protocol,
            confidence: loss.framed.confidence,
            streams_severed: loss.framed.streams,
            retry_safe: loss.fate.is_retry_safe(),
            unread_bytes: loss.unread_bytes,
            response_bytes: loss.response_bytes,
            expected_bytes: loss.framed.expected_bytes,
            undelivered_bytes: loss.undelivered_bytes,
        };
        self.ledger.severed().iter().map(severed).collect()
    }

    fn report_unsevered(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Vec<Unsevered> {
        let unsevered = |connection: &Listed| Unsevered {
            peer: connection.peer.to_string(),
            local: connection.local.to_string(),
            evidence: connection.fate.as_str().to_owned(),
            opened: opened(connection, unix),
            at: unix(connection.at),
            phase: self.phase(connection.at),
            protocol: connection.framed.protocol,
        };
        self.ledger.unsevered().iter().map(unsevered).collect()
    }

    fn report_announced(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Option<report::Announced> {
        let announced = self.announced?;
        let after = |at: KernelInstant| at.since(announced).as_secs_f64();
        Some(report::Announced {
            at: unix(announced),
            stop_signal_after_seconds: self.stop.as_ref().map(|stop| after(stop.at)),
            connections: self.opened_announced,
            last_connection_after_seconds: self.last_arrival_at.map(after),
        })
    }

    fn phase(&self, at: KernelInstant) -> Phase {
        if self.announced.is_some() && self.stop.as_ref().is_none_or(|stop| at < stop.at) && !self.is_gone(at)
        {
            return Phase::Announced;
        }
        if self.is_gone(at) { Phase::Gone } else { Phase::Draining }
    }

    fn is_gone(&self, at: KernelInstant) -> bool {
        self.empty_at.is_some_and(|empty| at > empty)
    }

    fn report_timeline(&self, unix: &dyn Fn(KernelInstant) -> f64) -> Vec<TimelineEntry> {
        let mut entries: Vec<_> = self
            .timeline
            .sorted()
            .into_iter()
            .map(|entry| TimelineEntry {
                at: unix(entry.at),
                after_seconds: entry.at.since(self.began_at).as_secs_f64(),
                event: entry.event.to_owned(),
                text: entry.text.clone(),
            })
            .collect();
        if let (Some(last), dropped @ 1..) = (entries.last().cloned(), self.timeline.dropped()) {
            let text = format!("{dropped} more entries found no room here; the totals have them");
            entries.push(TimelineEntry { event: "cut".to_owned(), text, ..last });
        }
        entries
    }

    fn report_measured(&self) -> Measured {
        let not_measured = self.ledger.total(Fate::NotMeasured);
        let mut reasons = Vec::new();
        let lost_records = self.lost_records();
        if lost_records > 0 {
            reasons.push(format!("{lost_records} records were lost; totals come from the kernel's counters"));
        }
        let unacknowledged = self.deliveries.unacknowledged();
        let unclear = not_measured.saturating_sub(unacknowledged);
        if unclear > 0 {
            reasons
                .push(format!("nobody can tell whether an answer was owed on {unclear} of the connections"));
        }
        if unacknowledged > 0 {
            reasons.push(format!(
                "the end of what was sent on {unacknowledged} of the connections was not acknowledged in time"
            ));
        }
        if self.linger_was_cut {
            reasons.push("the daemon was stopped while late connections could still come".to_owned());
        }
        Measured {
            complete: reasons.is_empty(),
            lost_records,
            not_measured_connections: not_measured,
            reasons,
        }
    }
}

fn opened(connection: &Listed, unix: &dyn Fn(KernelInstant) -> f64) -> Opened {
    Opened { opened_at: connection.opened_at.map(unix), opened_before: connection.opened_before }
}
