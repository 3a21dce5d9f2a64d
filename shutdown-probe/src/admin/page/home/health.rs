//! Whether the daemon sees everything that it should, and what it could not measure.

use crate::admin::page::text::{Shown, count, encoded, words};
use crate::admin::{ProbeStatus, Shared, Stage};
use crate::output::console::name;
use crate::probe::Status;
use maud::{Markup, html};
use shutdown_probe_core::report::Termination;
use std::sync::Arc;

/// How many terminations that were not measured in full are named.
const NAMED: usize = 5;

/// One line that says whether the page can be relied upon.
pub fn line(stage: &Stage) -> Markup {
    let (class, text) = match stage {
        Stage::Attaching => ("warn", "Not observing yet: the probes are being attached.".to_owned()),
        Stage::Stopping => ("warn", "Not observing: the daemon is stopping.".to_owned()),
        Stage::Observing(probes) => match probes.iter().filter(|probe| !runs(probe)).count() {
            0 => ("good", format!("Observing, with {} of {} probes.", probes.len(), probes.len())),
            failed => {
                let running = probes.len() - failed;
                (
                    "warn",
                    format!(
                        "Observing, with {running} of {} probes: see what is not measured.",
                        probes.len()
                    ),
                )
            }
        },
    };
    html! { p class={ "state " (class) } { (text) " " a href="#health" { "Node health" } } }
}

fn runs(probe: &ProbeStatus) -> bool {
    probe.verdict == Status::Attached.as_str()
}

/// All of it.
pub fn section(shared: &Shared, kept: &[Arc<Termination>]) -> Markup {
    html! {
        section aria-labelledby="health" {
            h2 id="health" { "Node health" }
            (losses(shared, kept))
            (incomplete(kept))
            @match shared.readiness.stage() {
                Stage::Observing(probes) => (verdicts(&probes)),
                Stage::Attaching => p { "The probes are being attached." },
                Stage::Stopping => p { "The daemon is stopping." },
            }
            p.note { "The same as JSON: " a href="probes" { "probes" } }
        }
    }
}

/// What was lost between the kernel and here.
fn losses(shared: &Shared, kept: &[Arc<Termination>]) -> Markup {
    let lost: Vec<_> = shared.metrics.lost_records().into_iter().filter(|(_, count)| *count > 0).collect();
    let not_measured: u64 = kept.iter().map(|it| it.measured.not_measured_connections).sum();
    html! {
        dl.facts {
            dt { "Records lost" }
            dd {
                @if lost.is_empty() { "none since the daemon started" }
                @for (n, (place, count)) in lost.iter().enumerate() {
                    @if n > 0 { ", " } (count) " (" (Shown(&words(place))) ")"
                }
            }
            dt { "Not measured" }
            dd {
                @if not_measured == 0 { "no connection, in the terminations that are kept" }
                @else { (count(not_measured, "connection")) ", in the terminations that are kept" }
            }
        }
    }
}

/// The newest terminations of which not everything is known, and why.
fn incomplete(kept: &[Arc<Termination>]) -> Markup {
    let all: Vec<_> = kept.iter().filter(|it| !it.measured.complete).collect();
    let more = all.len().saturating_sub(NAMED) as u64;
    html! {
        @if !all.is_empty() {
            p { "Not measured in full: " (count(all.len() as u64, "termination")) " of " (kept.len()) "." }
            ul { @for it in all.iter().take(NAMED) {
                li {
                    a href={ "terminations/" (encoded(&it.id)) } { (Shown(&name(it))) } ": "
                    (Shown(&it.measured.reasons.join("; ")))
                }
            } }
            @if more > 0 { p.note { "and " (more) " more" } }
        }
    }
}

fn verdicts(probes: &[ProbeStatus]) -> Markup {
    let (running, failed): (Vec<_>, Vec<_>) = probes.iter().partition(|probe| runs(probe));
    html! {
        @if !failed.is_empty() {
            div.scroll tabindex="0" role="group" aria-label="Probes that do not run" { table {
                thead { tr {
                    th scope="col" { "Probe" } th scope="col" { "Verdict" }
                    th scope="col" { "Why" } th scope="col" { "Not measured without it" }
                } }
                tbody { @for probe in failed { (verdict(probe)) } }
            } }
        }
        @if !running.is_empty() {
            details {
                summary { (count(running.len() as u64, "probe")) " attached" }
                ul.inline { @for probe in running { li { code { (Shown(&probe.probe)) } } } }
            }
        }
    }
}

fn verdict(probe: &ProbeStatus) -> Markup {
    let fates: Vec<_> = probe.fates_lost.iter().map(|fate| words(fate)).collect();
    html! {
        tr {
            th scope="row" { code { (Shown(&probe.probe)) } }
            td { span.tag { (Shown(&words(&probe.verdict))) } }
            td { (Shown(probe.reason.as_deref().unwrap_or_default())) }
            td { (Shown(&fates.join(", "))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str, verdict: &str) -> ProbeStatus {
        ProbeStatus { probe: name.into(), verdict: verdict.into(), reason: None, fates_lost: vec![] }
    }

    #[test]
    fn a_probe_that_does_not_run_is_said_first() {
        let all = Stage::Observing([probe("read", "attached"), probe("state", "attached")].into());
        assert!(line(&all).into_string().contains("class=\"state good\">Observing, with 2 of 2 probes"));
        let some = Stage::Observing([probe("read", "attached"), probe("reset_sent", "unsupported")].into());
        assert!(line(&some).into_string().contains("class=\"state warn\">Observing, with 1 of 2 probes"));
        let table = verdicts(&[
            probe("read", "attached"),
            ProbeStatus {
                reason: Some("no tracepoint <tcp_send_reset>".into()),
                fates_lost: vec!["refused".into(), "request_after_close".into()],
                ..probe("reset_sent", "unsupported")
            },
        ])
        .into_string();
        assert!(table.contains("no tracepoint &lt;tcp_send_reset&gt;"), "{table}");
        assert!(
            table.contains("refused, request after close") && table.contains("1 probe attached"),
            "{table}"
        );
    }
}
