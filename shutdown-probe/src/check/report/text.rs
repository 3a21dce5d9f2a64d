//! The report for a terminal of 80 columns.

use super::document::{Document, Group, Run};
use crate::output::console::escape::escape;
use crate::output::console::wrapped;
use std::fmt::Write;

/// The colours of a terminal, or none.
#[derive(Clone, Copy, Debug)]
struct Paint(bool);

impl Paint {
    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn verdict(self, text: &str, passes: bool) -> String {
        self.paint(if passes { "1;32" } else { "1;31" }, text)
    }
}

/// The whole report, what a reader in a hurry needs first.
pub fn text(document: &Document, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = head(document, paint);
    if let Some(run) = document.worst_run() {
        text.push_str(&losses(run, paint));
    }
    text.push_str(&remedies(document, paint));
    if let Some(run) = document.worst_run() {
        text.push_str(&timeline(document, run, paint));
    }
    if !document.notes.is_empty() {
        let _ = write!(text, "\n{}\n", paint.title("Notes"));
    }
    for note in &document.notes {
        text.push_str(&wrapped("  - ", note));
    }
    text
}

fn timeline(document: &Document, run: &Run, paint: Paint) -> String {
    let which = if document.runs.len() > 1 { format!(", run {}", document.worst + 1) } else { String::new() };
    let mut text = format!("\n{} (seconds from the stop signal{which})\n", paint.title("Timeline"));
    for event in &run.timeline {
        let first = format!("  {:>+8.3}  {:<8} ", event.after_seconds, event.who);
        text.push_str(&wrapped(&first, &event.text));
    }
    text
}

fn head(document: &Document, paint: Paint) -> String {
    let service = &document.service;
    let mut text = wrapped("", &format!("shutdown-probe check: {}", document.command));
    let asked = document.request.as_ref().map_or_else(String::new, |request| {
        let millis = request.latency_seconds * 1e3;
        format!("; GET {} answers {} in {millis:.1} ms", request.path, service.status)
    });
    text.push_str(&wrapped("  ", &format!("{} on {}{asked}", service.runtime_name, service.address)));
    let stop = &document.stop;
    let settings = format!(
        "preStop {1} s, then {0}; connections still come for {2} s; grace {3} s",
        stop.signal, stop.pre_stop_seconds, stop.propagation_delay_seconds, stop.grace_seconds
    );
    text.push_str(&wrapped("  ", &settings));
    let word = if document.passes() { "PASS" } else { "FAIL" };
    let sentence = wrapped(&format!("{word}  "), &document.summary);
    let painted = sentence.replacen(word, &paint.verdict(word, document.passes()), 1);
    let _ = write!(text, "\n{painted}");
    if !document.passes() {
        let mut causes = vec![document.cause.as_str()];
        causes.extend(document.other_causes.iter().map(|cause| cause.as_str()));
        text.push_str(&wrapped("      cause: ", &causes.join(", then ")));
    }
    text.push_str(&wrapped("      how sure: ", &document.sureness));
    text
}

fn losses(run: &Run, paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.title("Requests"));
    text.push_str(&wrapped(
        "  ",
        &format!(
            "{} in flight at the stop signal, {} answered after it, {} lost",
            run.in_flight_at_stop, run.answered_after_stop, run.severed
        ),
    ));
    for group in &run.groups {
        text.push_str(&wrapped(&format!("  {:>4} x ", group.count), &described(group)));
    }
    for disagreement in &run.disagreements {
        text.push_str(&wrapped("  ! ", disagreement));
    }
    text
}

fn described(group: &Group) -> String {
    let retry = match group.retry_safe {
        Some(true) => ", safe to retry",
        Some(false) => ", not safe to retry: it may have been executed",
        None => "",
    };
    let evidence = if group.evidence.is_empty() { "unseen by the probe" } else { &group.evidence };
    format!("{}: {} ({evidence}{retry})", group.client, group.saw)
}

/// What to copy says what to do, too; for what there is nothing to copy, words must do.
fn remedies(document: &Document, paint: Paint) -> String {
    let mut text = String::new();
    if !document.words.is_empty() || !document.fixes.is_empty() {
        let _ = write!(text, "\n{}\n", paint.title("What to change"));
    }
    for (number, words) in (1..).zip(&document.words) {
        text.push_str(&wrapped(&format!("  {number}. "), words));
    }
    for (number, fix) in (document.words.len() + 1..).zip(&document.fixes) {
        let gap = if number == 1 { "" } else { "\n" };
        let _ = write!(text, "{gap}{}", wrapped(&format!("  {number}. "), &format!("{}:", fix.title)));
        for line in fix.code.lines() {
            // Code is not broken into lines: it is there to be copied.
            let _ = writeln!(text, "     {}", escape(&line.replace('\t', "    ")));
        }
    }
    text
}
