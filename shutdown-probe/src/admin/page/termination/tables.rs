//! The facts of a termination as tables.

use crate::admin::page::fate::{Kind, label, meaning, named};
use crate::admin::page::text::{Shown, after, count, words};
use crate::output::console::timeline;
use maud::{Markup, html};
use shutdown_probe_core::report::{Opened, Phase, Severed, Termination, Unsevered};
use std::collections::BTreeMap;

/// How many connections are listed one by one.
const LISTED: usize = 100;

/// What became of the connections, by fate; worst first.
pub fn fates(termination: &Termination) -> Markup {
    let by_fate = &termination.connections_by_fate;
    let mut fates: Vec<_> = by_fate.iter().filter_map(|(name, &total)| Some((named(name)?, total))).collect();
    fates.sort_by_key(|&(fate, _)| (Kind::of(fate), fate));
    html! {
        section aria-labelledby="losses" {
            h2 id="losses" { "What became of the connections" }
            @if fates.is_empty() { p { "No connection ended in it." } } @else {
                div.scroll tabindex="0" role="group" aria-labelledby="losses" { table {
                    thead { tr {
                        th.number scope="col" { "Connections" } th scope="col" { "Fate" }
                        th scope="col" { "Which means" } th scope="col" { "Lost" }
                    } }
                    tbody { @for (fate, total) in fates {
                        @let kind = Kind::of(fate);
                        tr {
                            td.number { (total) }
                            th scope="row" { (kind.sample()) (label(fate)) }
                            td { (meaning(fate)) }
                            td.lost[fate.is_severed()] { (lost(kind, fate.is_severed())) }
                        }
                    } }
                } }
            }
            (beside(termination))
        }
    }
}

const fn lost(kind: Kind, severed: bool) -> &'static str {
    match kind {
        Kind::Unsafe if severed => "yes, not safe to retry",
        Kind::Safe => "yes, safe to retry",
        Kind::Unknown => "not measured",
        _ => "no",
    }
}

/// What is counted beside the fates.
fn beside(it: &Termination) -> Markup {
    let late: Vec<_> =
        it.late_by_source.iter().map(|(source, count)| format!("{count} {}", words(source))).collect();
    html! {
        ul.beside {
            @if it.late_connections_total > 0 {
                li {
                    (count(it.late_connections_total, "connection")) " came after the stop signal"
                    @if let Some(last) = it.last_late_connection_after_seconds { ", the last at " (after(last)) }
                    @if !late.is_empty() { " (" (Shown(&late.join(", "))) ")" } "."
                }
            }
            @if it.streams_severed_total > 0 {
                li { (count(it.streams_severed_total, "HTTP/2 stream")) " were open on the severed connections." }
            }
            @if it.kubelet_probes_total > 0 {
                li { (count(it.kubelet_probes_total, "connection")) " of the kubelet's probes are counted nowhere else." }
            }
        }
    }
}

/// Everything that happened, in order; losses that are alike in one line.
pub fn timeline(termination: &Termination, origin: f64) -> Markup {
    let entries: Vec<_> = termination.timeline.iter().collect();
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Timeline" }
            div.scroll tabindex="0" role="group" aria-labelledby="timeline" { table.narrow {
                thead { tr { th.number scope="col" { "When" } th scope="col" { "What" } } }
                tbody { @for line in timeline::lines(&entries) {
                    tr { td.number { (after(line.first.at - origin)) } td { (Shown(&line.text)) } }
                } }
            } }
        }
    }
}

/// The connections one by one, worst first, as many as a page can hold.
pub fn connections(termination: &Termination, origin: f64) -> Markup {
    let (severed, others) = (&termination.severed, &termination.unsevered);
    let listed = severed.len() + others.len();
    let total = termination.connections_by_fate.values().sum::<u64>().max(listed as u64);
    html! {
        @if listed > 0 {
            details {
                summary { "The connections one by one" }
                @if total > LISTED as u64 {
                    p.note {
                        "The first " (LISTED.min(listed)) " of " (total)
                        ", severed ones first. The JSON has up to 1,000 of each kind."
                    }
                }
                div.scroll tabindex="0" role="group" aria-label="Connections" { table {
                    thead { tr {
                        th scope="col" { "Client" } th scope="col" { "Server" }
                        th.number scope="col" { "Opened" } th.number scope="col" { "Ended" }
                        th scope="col" { "Fate" } th scope="col" { "Cause" } th scope="col" { "Bytes" }
                    } }
                    tbody {
                        @for it in severed.iter().take(LISTED) { (severed_row(it, origin)) }
                        @for it in others.iter().take(LISTED.saturating_sub(severed.len())) { (other_row(it, origin)) }
                    }
                } }
            }
        }
    }
}

fn severed_row(it: &Severed, origin: f64) -> Markup {
    html! {
        tr {
            (ends(&it.peer, &it.local, it.opened, it.at, origin))
            td { (Shown(&words(&it.evidence))) @if it.confidence.as_str() != "exact" { " (" (it.confidence.as_str()) ")" } }
            td { (words(it.cause.as_str())) }
            td { (bytes(it)) }
        }
    }
}

fn other_row(it: &Unsevered, origin: f64) -> Markup {
    html! { tr { (ends(&it.peer, &it.local, it.opened, it.at, origin)) td { (Shown(&words(&it.evidence))) } td {} td {} } }
}

fn ends(peer: &str, local: &str, opened: Opened, at: f64, origin: f64) -> Markup {
    html! {
        th scope="row" { (Shown(peer)) }
        td { (Shown(local)) }
        td.number { @match opened {
            Opened { opened_at: Some(at), .. } => { (after(at - origin)) },
            Opened { opened_before: true, .. } => "before",
            Opened { .. } => "not seen",
        } }
        td.number { (after(at - origin)) }
    }
}

/// What is known of the bytes that were lost.
fn bytes(it: &Severed) -> String {
    let response = match it.expected_bytes {
        Some(expected) => format!("{} of {expected} sent", it.response_bytes),
        None => format!("{} sent", it.response_bytes),
    };
    let parts = [
        (it.response_bytes > 0).then_some(response),
        (it.unread_bytes > 0).then(|| format!("{} never read", it.unread_bytes)),
        (it.undelivered_bytes > 0).then(|| format!("{} not acknowledged", it.undelivered_bytes)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The losses of each cause and phase: what happened most, in a line each.
pub fn causes(termination: &Termination) -> Markup {
    let mut groups: BTreeMap<(&str, Phase), u64> = BTreeMap::new();
    for it in &termination.severed {
        *groups.entry((it.cause.as_str(), it.phase)).or_default() += 1;
    }
    html! {
        @if groups.len() > 1 {
            ul.beside { @for ((cause, phase), lost) in groups {
                li { (count(lost, "connection")) " while " (phase_name(phase)) ": " (words(cause)) "." }
            } }
        }
    }
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Announced => "announced",
        Phase::Draining => "draining",
        Phase::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn losses_come_first_and_are_explained() {
        let page = fates(&sample::termination()).into_string();
        let (lost, drained) = (page.find("unanswered request"), page.find("answered in full"));
        assert!(lost < drained && lost.is_some(), "{page}");
        assert!(page.contains("yes, not safe to retry"), "{page}");
        assert!(page.contains("2 connections came after the stop signal, the last at +410 ms."), "{page}");
    }

    #[test]
    fn a_list_that_is_too_long_says_so() {
        let severed = vec![sample::severed(); 1_000];
        let page = connections(&Termination { severed, ..sample::termination() }, 0.0).into_string();
        assert_eq!(page.matches("<tr>").count(), LISTED + 1);
        assert!(page.contains("The first 100 of 1000, severed ones first."), "{page}");
    }

    #[test]
    fn a_cut_answer_says_how_much_was_sent() {
        let cut = Severed { response_bytes: 512, expected_bytes: Some(4_096), ..sample::severed() };
        assert_eq!(bytes(&cut), "512 of 4096 sent");
        assert_eq!(bytes(&Severed { unread_bytes: 70, ..sample::severed() }), "70 never read");
    }
}
