//! The home page: who loses requests, since when, and whether that is all there is to know.

mod filter;
mod health;
mod ranking;
mod recent;
mod trend;

use super::asked::Asked;
use super::layout::{Place, document};
use super::text::{Shown, count, duration};
use crate::admin::Shared;
use jiff::Timestamp;
use maud::{Markup, html};
use shutdown_probe_core::report::Termination;
use std::sync::Arc;

/// The whole page.
pub fn page(shared: &Shared, asked: &Asked, now: Timestamp) -> Markup {
    let kept = shared.store.newest(|_| true);
    let chosen: Vec<_> = kept.iter().filter(|it| asked.fits(it, now)).cloned().collect();
    let now = now.as_duration().as_secs_f64();
    let body = html! {
        h1 { "Shutdowns on this node" }
        (health::line(&shared.readiness.stage()))
        @if kept.is_empty() {
            (nothing_yet())
        } @else {
            (filter::form(asked, &kept))
            @if let Some(problem) = asked.problem() {
                p.problem role="alert" { "This cannot be answered: " (Shown(problem)) }
            } @else if chosen.is_empty() {
                p { "No termination fits. " (kept_ones(kept.len())) "; " a href="./" { "show all" } "." }
            } @else {
                (in_short(&chosen, now))
                (ranking::section(&chosen))
                (trend::section(&chosen, now))
                (recent::section(&chosen, asked, now))
            }
        }
        (health::section(shared, &kept))
    };
    document(Place::Home, "Shutdowns on this node - shutdown-probe", &body)
}

fn kept_ones(kept: usize) -> String {
    let verb = if kept == 1 { "is" } else { "are" };
    format!("There {verb} {} kept", count(kept as u64, "termination"))
}

/// What all of it comes to.
fn in_short(chosen: &[Arc<Termination>], now: f64) -> Markup {
    let sum = |of: fn(&Termination) -> u64| chosen.iter().map(|it| of(it)).sum::<u64>();
    let (severed, retry_unsafe) = (sum(|it| it.severed_total), sum(|it| it.retry_unsafe_total));
    let harmful = chosen.iter().filter(|it| it.severed_total > 0).count();
    let oldest = chosen.iter().map(|it| it.began_at).fold(now, f64::min);
    html! {
        dl.figures {
            div { dt { "Severed connections" } dd.lost[severed > 0] { (severed) } }
            div { dt { "Not safe to retry" } dd.lost[retry_unsafe > 0] { (retry_unsafe) } }
            div { dt { "Terminations with losses" } dd { (harmful) " of " (chosen.len()) } }
            div { dt { "Seen over the last" } dd { (duration((now - oldest).round())) } }
        }
    }
}

/// What to do where there is nothing to show.
fn nothing_yet() -> Markup {
    html! {
        section aria-labelledby="nothing" {
            h2 id="nothing" { "Nothing has been seen yet" }
            p { "This page fills when a container on this node ends. To see one now, stop one that serves requests:" }
            pre tabindex="0" { code {
                "kubectl rollout restart deployment/NAME    # in Kubernetes\n"
                "docker stop NAME                           # Docker\n"
                "systemctl restart NAME                     # systemd"
            } }
            p { "Then load this page again. If it stays empty, see whether the probes below are attached." }
        }
    }
}
