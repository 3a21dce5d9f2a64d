//! What became of the connections of one termination, those of a kind in one line.

use super::escape::escape;
use super::paint::Paint;
use super::text::{counted, wrapped};
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{Severed, Termination};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Those that were severed alike.
type Kind<'a> = (Cow<'a, str>, Cause, bool);

/// Under a heading of its own.
pub fn connections(termination: &Termination, paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.title("Connections"));
    text.push_str(&wrapped("  ", &totals(termination)));
    let kinds = kinds(&termination.severed);
    let width = kinds.keys().map(|(evidence, ..)| evidence.len()).max().unwrap_or_default();
    for ((evidence, cause, retry_safe), count) in &kinds {
        let retry = if *retry_safe { "safe to retry" } else { "not safe to retry" };
        let what = format!("{}, {retry} ({})", meaning(evidence), cause.as_str());
        text.push_str(&paint.bad(&wrapped(&format!("  {count:>5} x {evidence:<width$}  "), &what)));
    }
    let unlisted = termination.severed_total.saturating_sub(termination.severed.len() as u64);
    if unlisted > 0 {
        text.push_str(&wrapped("  ", &format!("{unlisted} of them are not listed")));
    }
    for line in others(termination) {
        text.push_str(&wrapped("  ", &line));
    }
    text
}

fn totals(termination: &Termination) -> String {
    let severed = counted(termination.severed_total, "connection");
    let unsafe_to_retry = match (termination.severed_total, termination.retry_unsafe_total) {
        (0, _) => String::new(),
        (_, count) => format!(", {count} not safe to retry"),
    };
    format!("{severed} severed{unsafe_to_retry}; {} drained", termination.drained_total)
}

fn kinds(severed: &[Severed]) -> BTreeMap<Kind<'_>, usize> {
    let mut kinds = BTreeMap::new();
    for one in severed {
        *kinds.entry((escape(&one.evidence), one.cause, one.retry_safe)).or_default() += 1;
    }
    kinds
}

/// What a fate means, in a word or two.
fn meaning(evidence: &str) -> &'static str {
    match evidence {
        "unanswered_request" => "read, not answered",
        "truncated_response" => "answered in part",
        "undelivered_response" => "answered, not delivered",
        "unread_request" => "sent, never read",
        "never_accepted" => "connected, never accepted",
        "request_after_close" => "sent as the connection was being closed",
        "refused" => "turned away",
        _ => "lost",
    }
}

/// What else there is to say, where there is.
fn others(termination: &Termination) -> Vec<String> {
    let streams = (termination.streams_severed_total > 0).then(|| {
        format!("{} of HTTP/2 severed with them", counted(termination.streams_severed_total, "stream"))
    });
    let outbound = (termination.outbound_unanswered_total > 0).then(|| {
        let requests = counted(termination.outbound_unanswered_total, "request");
        format!("{requests} of its own to others were still unanswered")
    });
    let probes = (termination.kubelet_probes_total > 0).then(|| {
        format!("{} of the kubelet not counted", counted(termination.kubelet_probes_total, "probe"))
    });
    [streams, late(termination), outbound, probes].into_iter().flatten().collect()
}

fn late(termination: &Termination) -> Option<String> {
    let after = termination.last_late_connection_after_seconds?;
    let late = counted(termination.late_connections_total, "connection");
    let sources: Vec<_> =
        termination.late_by_source.iter().map(|(source, count)| format!("{count} {source}")).collect();
    let sources = if sources.is_empty() { String::new() } else { format!(" ({})", sources.join(", ")) };
    Some(format!("{late} came after the stop signal{sources}, the last after {after:.3} s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn those_of_a_kind_are_one_line_and_hostile_ones_stay_on_it() {
        let mut termination = sample::termination();
        let refused = Severed {
            evidence: "refused".into(),
            cause: Cause::ListenerClosedWhileRouted,
            retry_safe: true,
            ..sample::severed()
        };
        let hostile = Severed { evidence: "\x1b[2J\n".into(), ..sample::severed() };
        termination.severed.extend([refused.clone(), refused, hostile]);
        termination.severed_total = 4;
        termination.late_by_source = BTreeMap::from([("cluster".into(), 2)]);
        let expected = "
Connections
  4 connections severed, 3 not safe to retry; 5 drained
      1 x \\x1b[2J\\n           lost, not safe to retry (exited_without_drain)
      2 x refused             turned away, safe to retry
                              (listener_closed_while_routed)
      1 x unanswered_request  read, not answered, not safe to retry
                              (exited_without_drain)
  2 connections came after the stop signal (2 cluster), the last after 0.410 s
";
        assert_eq!(connections(&termination, Paint::PLAIN), expected);
    }
}
