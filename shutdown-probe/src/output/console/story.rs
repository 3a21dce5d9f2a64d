//! One termination as a text to read: what happened, what it cost, what to change.

use super::connections::connections;
use super::kubernetes;
use super::list::{name, verdict};
use super::paint::Paint;
use super::remedy::remedies;
use super::text::{time, wrapped};
use super::timeline::lines;
use shutdown_probe_core::report::{Setting, State, Termination};

/// The whole text.
pub fn story(termination: &Termination, paint: Paint) -> String {
    let mut text = head(termination, paint);
    text.push_str(&format!("\n{}\n", paint.title("Timeline")));
    for line in lines(&termination.timeline.iter().collect::<Vec<_>>()) {
        let told = wrapped(&format!("  {:>+10.3} s  ", line.first.after_seconds), &line.text);
        text.push_str(&if line.is_loss() { paint.bad(&told) } else { told });
    }
    text.push_str(&connections(termination, paint));
    text.push_str(&remedies(termination, paint));
    text
}

fn head(termination: &Termination, paint: Paint) -> String {
    let state = match termination.state {
        State::InProgress => ", in progress",
        State::Complete => "",
    };
    let others: Vec<&str> = termination.other_causes.iter().map(|cause| cause.as_str()).collect();
    let also = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    let began = time("%Y-%m-%dT%H:%M:%S%.3fZ", termination.began_at);
    let summary = wrapped("", &format!("{}: {}", name(termination), termination.summary));
    let mut text = verdict(termination, paint, &summary);
    let mut line = |what: &str, value: &str| text.push_str(&wrapped(&format!("  {what:<10}"), value));
    line("id", &format!("{}{state}", termination.id));
    if let Some(workload) = &termination.container.workload {
        let revision = workload.revision.as_ref().map_or_else(String::new, |it| format!(", revision {it}"));
        line("workload", &format!("{} {}{revision}", workload.kind, workload.name));
    }
    line("cgroup", &termination.container.cgroup);
    for (what, text) in kubernetes::lines(termination) {
        line(what, &text);
    }
    line("began", &format!("{began}, {}", termination.trigger.as_str()));
    line("cause", &format!("{}{also}", termination.cause.as_str()));
    if let Some(taken) = taken(termination) {
        line("took", &taken);
    }
    if let Some(routed) = routed(termination) {
        line("routing", &routed);
    }
    if let Some(found) = termination.recommendation.as_ref().filter(|_| !changes_pre_stop(termination)) {
        line("preStop", &format!("{} s recommended: {}", found.pre_stop_seconds, found.reason));
    }
    line("measured", &measured(termination));
    text
}

fn changes_pre_stop(termination: &Termination) -> bool {
    termination.changes.iter().any(|change| change.setting == Setting::PreStop)
}

/// When its endpoints were withdrawn, from its deletion.
fn routed(termination: &Termination) -> Option<String> {
    let routing = termination.routing.as_ref()?;
    let not_ready = routing.not_ready_after_seconds?;
    let lag = routing.lag_seconds.filter(|lag| *lag > 0.0);
    let lag = lag.map_or_else(String::new, |lag| format!("; the last connection came {lag:.2} s later"));
    Some(format!("not ready {not_ready:.2} s after the deletion{lag}"))
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
  3 connections severed, 3 not safe to retry; 5 drained
      1 x unanswered_request  read, not answered, not safe to retry
                              (exited_without_drain)
  2 of them are not listed
  2 connections came after the stop signal, the last after 0.410 s

What to change
  1. Stop accepting, finish the requests in flight, then exit.
";
        assert_eq!(story(&sample::termination(), Paint::PLAIN), expected);
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
        let text = story(&termination, Paint::PLAIN);
        assert!(!text.contains('\x1b') && !text.contains("\nforged"));
        assert!(text.contains("\\x1b]0;owned\\x07\\nforged line"));
        assert!(text.contains("measured  not everything: 9 records were lost"));
    }
}
