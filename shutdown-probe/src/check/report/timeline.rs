//! What happened in a run, in order: the kubelet's deeds, the probe's sight, the clients' losses.

use crate::check::options::Plan;
use crate::check::round::Round;
use crate::check::verdict::{self, Judged, seconds};
use serde::Serialize;
use shutdown_probe_core::signal;

/// How many lines of the probe's are kept; a fork-happy service makes many.
const PROBE_LINES: usize = 30;

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// From the stop signal, in seconds.
    pub after_seconds: f64,
    /// `kubelet`, `service` or `clients`.
    pub who: &'static str,
    /// What happened. It may hold text of the service's: escape it.
    pub text: String,
}

/// The lines of one run.
pub fn timeline(plan: &Plan, round: &Round, judged: &Judged) -> Vec<Event> {
    let mut events = kubelet(plan, round);
    events.extend(service(round));
    events.extend(clients(judged));
    events.sort_by(|a, b| a.after_seconds.total_cmp(&b.after_seconds));
    events
}

fn kubelet(plan: &Plan, round: &Round) -> Vec<Event> {
    let moments = &round.moments;
    let event =
        |at, text: String| Event { after_seconds: seconds(at, moments.stopped), who: "kubelet", text };
    let mut events = Vec::new();
    let sleep = plan.pre_stop.as_secs_f64();
    let then = if sleep > 0.0 { format!("; preStop sleeps {sleep} s") } else { String::new() };
    events.push(event(moments.deleted, format!("the pod is deleted{then}")));
    events.push(event(moments.stopped, format!("sends {}", signal::name(plan.signal))));
    if round.cost.is_some() {
        events
            .push(event(moments.unpublished, "the last proxy has learned of it: no new connections".into()));
    }
    if let Some(killed) = moments.killed {
        let why = if moments.shortened {
            "sends SIGKILL early: nobody heeds the stop signal"
        } else {
            "sends SIGKILL: the grace period is over"
        };
        events.push(event(killed, why.into()));
    }
    events
}

/// What the probe saw of the service: not the signals, which the kubelet tells, nor single losses.
fn service(round: &Round) -> Vec<Event> {
    let told_elsewhere = |event: &str| matches!(event, "severed" | "kill_signal");
    let entries = round.termination.iter().flat_map(|termination| &termination.timeline);
    let entries = entries.filter(|entry| !told_elsewhere(&entry.event)).take(PROBE_LINES);
    let event = |entry: &shutdown_probe_core::report::TimelineEntry| Event {
        after_seconds: entry.after_seconds,
        who: "service",
        text: entry.text.clone(),
    };
    entries.map(event).collect()
}

fn clients(judged: &Judged) -> Vec<Event> {
    let event = |group: &verdict::Group<'_>| {
        let plural = if group.count == 1 { "" } else { "s" };
        let until = match group.span.1 - group.span.0 {
            apart if apart >= 0.01 => format!(", until {:+.3} s", group.span.1),
            _ => String::new(),
        };
        let text = format!("{} {}{plural}: {}{until}", group.count, group.kind.in_words(), group.words);
        Event { after_seconds: group.span.0, who: "clients", text }
    };
    verdict::groups(&judged.losses).iter().map(event).collect()
}
