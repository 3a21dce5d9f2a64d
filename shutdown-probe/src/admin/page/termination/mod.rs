//! One termination: what it cost, why, what to change, and the picture of it.

mod change;
mod events;
mod lanes;
mod picture;
mod scale;
mod tables;

use super::layout::{Place, document};
use super::text::{Shown, duration, encoded, moment, sentence, words};
use crate::output::console::name;
use jiff::Timestamp;
use maud::{Markup, html};
use scale::Scale;
use shutdown_probe_core::report::{State, Termination};

/// The most JSON that stands in the page itself, in bytes; more is a link away.
const JSON_MOST: usize = 12_000;

/// The whole page.
pub fn page(termination: &Termination, now: Timestamp) -> Markup {
    let now = now.as_duration().as_secs_f64();
    let origin = Scale::of(termination, now).origin;
    let name = name(termination);
    let body = html! {
        nav.way aria-label="Way" { a href="../" { "All terminations" } }
        h1 { (Shown(&name)) }
        (verdict(termination, now))
        div.columns { (change::section(termination)) (facts(termination)) }
        (picture::section(termination, now))
        (tables::fates(termination))
        (tables::causes(termination))
        (tables::connections(termination, origin))
        (tables::timeline(termination, origin))
        (measured(termination))
        (json(termination))
    };
    document(Place::Termination, &format!("{name} - shutdown-probe"), &body)
}

/// The page of a termination that is not kept.
pub fn missing(id: &str) -> Markup {
    let body = html! {
        h1 { "No such termination" }
        p { "There is no termination " code { (Shown(id)) } ", or it is no longer kept: only the last ones are." }
        p { a href="../" { "All terminations" } }
    };
    document(Place::Termination, "No such termination - shutdown-probe", &body)
}

/// What an engineer reads first.
fn verdict(it: &Termination, now: f64) -> Markup {
    let class = match (it.severed_total, it.measured.complete) {
        (1.., _) => "bad",
        (0, true) => "good",
        (0, false) => "warn",
    };
    html! {
        p class={ "verdict " (class) } { (Shown(&sentence(&it.summary))) "." }
        p.note {
            (moment(it.began_at, now)) " · " (words(it.trigger.as_str())) " · cause: " (words(it.cause.as_str()))
            @if !it.other_causes.is_empty() {
                @let others: Vec<_> = it.other_causes.iter().map(|cause| words(cause.as_str())).collect();
                ", also " (others.join(", "))
            }
            @if it.state == State::InProgress { " · " strong { "in progress" } ": load the page again for more" }
        }
    }
}

/// How it was stopped and how it ended.
fn facts(it: &Termination) -> Markup {
    html! {
        section aria-labelledby="facts" {
            h2 id="facts" { "How it was stopped" }
            dl.facts {
                dt { "Severed" }
                dd { (it.severed_total) ", of which " (it.retry_unsafe_total) " not safe to retry" }
                dt { "Drained" }
                dd { (it.drained_total) }
                @if let Some(announced) = &it.announced {
                    dt { "Announced" }
                    dd { @match announced.stop_signal_after_seconds {
                        Some(after) => { (duration(after)) " before the stop signal" },
                        None => "no stop signal after it",
                    } }
                }
                dt { "Stop signal" }
                dd { (stop_signal(it)) }
                @if let Some(kill) = &it.kill_signal {
                    dt { "Kill" }
                    dd { @if kill.oom { "by the OOM killer" } @else { (Shown(&kill.signal)) " from outside" } }
                }
                dt { "Ended" }
                dd { (exit(it)) }
                dt { "Grace" }
                dd { (grace(it)) }
                @if let Some(routing) = &it.routing {
                    dt { "Endpoint" }
                    dd { (Shown(&endpoint(routing))) }
                }
                @if let Some(pre_stop) = it.container.spec.as_ref().and_then(|spec| spec.pre_stop.as_deref()) {
                    dt { "preStop" }
                    dd { (Shown(pre_stop)) }
                }
                dt { "Cgroup" }
                dd { code { (Shown(&it.container.cgroup)) } }
                @if !it.container.image.is_empty() { dt { "Image" } dd { code { (Shown(&it.container.image)) } } }
            }
        }
    }
}

fn stop_signal(it: &Termination) -> Markup {
    html! {
        @match &it.stop_signal {
            Some(stop) => {
                (Shown(&stop.signal)) " to " (Shown(&stop.comm)) " (" (stop.target) "): "
                (words(stop.disposition.as_str()))
            },
            None => "none",
        }
    }
}

fn exit(it: &Termination) -> Markup {
    html! {
        @match it.exit.as_ref().map(|exit| (exit.code, exit.signal.as_deref())) {
            Some((_, Some(signal))) => { "by " (Shown(signal)) },
            Some((Some(code), None)) => { "with status " (code) },
            Some((None, None)) => "in a way that was not seen",
            None => "not yet",
        }
    }
}

fn grace(it: &Termination) -> String {
    let grace = &it.grace;
    let used = grace.used_seconds.map_or_else(|| "not known how long it took".to_owned(), duration);
    let allowed =
        grace.allowed_seconds.map_or_else(String::new, |it| format!(" of {} granted", duration(it)));
    let exceeded = if grace.exceeded { ", ended by SIGKILL" } else { "" };
    format!("{used}{allowed}{exceeded}")
}

fn endpoint(routing: &shutdown_probe_core::report::Routing) -> String {
    let services = routing.services.join(", ");
    let after = |step: &str, seconds: Option<f64>| seconds.map(|it| format!("{step} after {}", duration(it)));
    let steps = [
        after("not ready", routing.not_ready_after_seconds),
        after("removed", routing.removed_after_seconds),
        after("still used", routing.lag_seconds.filter(|lag| *lag > 0.0)),
    ];
    let steps: Vec<_> = steps.into_iter().flatten().collect();
    format!("{services}: {}", if steps.is_empty() { "not withdrawn".to_owned() } else { steps.join(", ") })
}

/// What the probe can vouch for.
fn measured(it: &Termination) -> Markup {
    let unanswered = it.routing.as_ref().map(|routing| routing.unanswered_attempts.as_str());
    html! {
        section aria-labelledby="measured" {
            h2 id="measured" { "What was not measured" }
            @if it.measured.complete { p { "Nothing of what it can measure here was missed." } }
            @else { ul { @for reason in &it.measured.reasons { li { (Shown(&sentence(reason))) "." } } } }
            @if unanswered == Some("not_measured") {
                p.note {
                    "Attempts that came after the pod's network was gone die without an answer: they are not measured."
                }
            }
        }
    }
}

/// The whole report, to copy.
fn json(it: &Termination) -> Markup {
    let whole = serde_json::to_string_pretty(it).unwrap_or_default();
    let is_short = whole.len() > JSON_MOST;
    let text = if is_short { without_lists(it) } else { whole };
    let address = format!("../api/v1/terminations/{}", encoded(&it.id));
    html! {
        section aria-labelledby="json" {
            h2 id="json" { "JSON" }
            p {
                a href=(address) { "The whole report as JSON" }
                @if is_short { ". Below it is without its lists of connections and events." }
            }
            textarea readonly aria-labelledby="json" rows="12" spellcheck="false" { (super::text::json(&text)) }
        }
    }
}

fn without_lists(it: &Termination) -> String {
    let short = Termination { severed: vec![], unsevered: vec![], timeline: vec![], ..it.clone() };
    let mut value = serde_json::to_value(short).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        for list in ["severed", "unsevered", "timeline"] {
            fields.remove(list);
        }
    }
    serde_json::to_string_pretty(&value).unwrap_or_default()
}
