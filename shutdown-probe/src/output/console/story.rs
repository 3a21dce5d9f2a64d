//! One termination as a text to read: what happened, what it cost, what to change.

use super::list::name;
use super::text::{counted, time, wrapped};
use shutdown_probe_core::report::{Severed, State, Termination};

/// How many severed connections are shown one by one.
const SHOWN: usize = 20;

/// The whole text.
pub fn story(termination: &Termination) -> String {
    let mut text = head(termination);
    text.push_str("\nTimeline\n");
    for entry in &termination.timeline {
        text.push_str(&wrapped(&format!("  {:>+10.3} s  ", entry.after_seconds), &entry.text));
    }
    text.push_str(&connections(termination));
    if !termination.advice.is_empty() {
        text.push_str("\nAdvice\n");
        for (number, advice) in (1..).zip(&termination.advice) {
            text.push_str(&wrapped(&format!("  {number}. "), advice));
        }
    }
    text
}

fn head(termination: &Termination) -> String {
    let state = match termination.state {
        State::InProgress => ", in progress",
        State::Complete => "",
    };
    let others: Vec<&str> = termination.other_causes.iter().map(|cause| cause.as_str()).collect();
    let also = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    let began = time("%Y-%m-%dT%H:%M:%S%.3fZ", termination.began_at);
    let mut text = wrapped("", &format!("{}: {}", name(termination), termination.summary));
    let mut line = |what: &str, value: &str| text.push_str(&wrapped(&format!("  {what:<10}"), value));
    line("id", &format!("{}{state}", termination.id));
    line("cgroup", &termination.container.cgroup);
    line("began", &format!("{began}, {}", termination.trigger.as_str()));
    line("cause", &format!("{}{also}", termination.cause.as_str()));
    if let Some(taken) = taken(termination) {
        line("took", &taken);
    }
    line("measured", &measured(termination));
    text
}

/// The time from the stop signal to the last exit.
fn taken(termination: &Termination) -> Option<String> {
    let grace = &termination.grace;
    let used = grace.used_seconds?;
    let allowed =
        grace.allowed_seconds.map_or_else(String::new, |allowed| format!(" of {allowed} s granted"));
    let exceeded = if grace.exceeded { ", ended by SIGKILL" } else { "" };
    Some(format!("{used:.3} s{allowed}{exceeded}"))
}

fn measured(termination: &Termination) -> String {
    let measured = &termination.measured;
    if measured.complete {
        "everything".into()
    } else {
        format!("not everything: {}", measured.reasons.join("; "))
    }
}

fn connections(termination: &Termination) -> String {
    let mut text = String::from("\nConnections\n");
    let mut line = |value: String| text.push_str(&wrapped("  ", &value));
    let (severed, unsafe_) = (termination.severed_total, termination.retry_unsafe_total);
    line(format!("{} severed, of which {unsafe_} are not safe to retry", counted(severed, "connection")));
    for one in termination.severed.iter().take(SHOWN) {
        line(format!("- {}", described(one, termination.began_at)));
    }
    let shown = termination.severed.len().min(SHOWN) as u64;
    if severed > shown {
        line(format!("- and {} more", severed - shown));
    }
    line(format!("{} drained", counted(termination.drained_total, "connection")));
    if termination.outbound_unanswered_total > 0 {
        let outbound = counted(termination.outbound_unanswered_total, "request");
        line(format!("{outbound} of its own to others were still unanswered"));
    }
    if termination.late_connections_total > 0 {
        let after = termination.last_late_connection_after_seconds.unwrap_or_default();
        let late = counted(termination.late_connections_total, "connection");
        line(format!("{late} came after the stop signal, the last after {after:.3} s"));
    }
    text
}

fn described(severed: &Severed, began_at: f64) -> String {
    let Severed { peer, local, evidence, cause, at, .. } = severed;
    let retry = if severed.retry_safe { "safe to retry" } else { "not safe to retry" };
    format!("{at:+.3} s {peer} to {local}: {evidence}, {}, {retry}", cause.as_str(), at = at - began_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Measured, TimelineEntry};

    #[test]
    fn a_termination_reads_like_this() {
        let expected = "\
web.service: It exited 3 ms after SIGTERM with 3 requests unanswered.
  id        42-1
  cgroup    /system.slice/web.service
  began     2026-09-21T14:13:20.000Z, container_stopped
  cause     exited_without_drain
  took      0.003 s of 30 s granted
  measured  everything

Timeline
      +0.000 s  SIGTERM was sent to node (1234), which handles it
      +0.003 s  node (1234) exited with status 0

Connections
  3 connections severed, of which 3 are not safe to retry
  - +0.003 s 127.0.0.1:54321 to 127.0.0.1:8080: unanswered_request,
  exited_without_drain, not safe to retry
  - and 2 more
  5 connections drained
  2 connections came after the stop signal, the last after 0.410 s

Advice
  1. Stop accepting, finish the requests in flight, then exit.
";
        assert_eq!(story(&sample::termination()), expected);
    }

    #[test]
    fn hostile_text_and_doubt_are_shown_as_they_are() {
        let mut termination = sample::termination();
        termination.timeline.push(TimelineEntry {
            at: 0.0,
            after_seconds: 0.1,
            event: "exit".into(),
            text: "\x1b]0;owned\x07\nforged line".into(),
        });
        termination.summary = "\x1b[2J".into();
        termination.measured =
            Measured { complete: false, reasons: vec!["9 records were lost".into()], ..termination.measured };
        let text = story(&termination);
        assert!(!text.contains('\x1b') && !text.contains("\nforged"));
        assert!(text.contains("\\x1b]0;owned\\x07\\nforged line"));
        assert!(text.contains("measured  not everything: 9 records were lost"));
    }
}
