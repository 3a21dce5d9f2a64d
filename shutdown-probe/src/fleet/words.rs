//! What table and Markdown say in the same words.

use super::scorecard::{Losses, NotMeasured, Scorecard, Workload};
use jiff::Timestamp;

const DAY: f64 = 86_400.0;

/// What is not known.
pub const UNKNOWN: &str = "-";

/// Who it is: namespace and workload in Kubernetes, and the container.
pub fn name(workload: &Workload) -> String {
    if workload.workload.is_empty() {
        return workload.container.clone();
    }
    format!("{}/{} {}", workload.namespace, workload.workload, workload.container)
}

/// A rate, with as many digits as it deserves.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.into(),
        Some(rate) if rate >= 100.0 || rate == 0.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

/// A share.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| UNKNOWN.into(), |share| format!("{:.0}%", share * 100.0))
}

/// Where it goes.
pub fn trend(losses: &Losses) -> String {
    match (losses.trend, losses.previous) {
        (Some(trend), _) => format!("{:+.0}%", trend * 100.0),
        (None, Some(_)) if losses.severed == 0 => "=".into(),
        (None, Some(_)) => "new".into(),
        (None, None) => UNKNOWN.into(),
    }
}

/// The first sentences: who was asked, for when, and what they come to.
pub fn head(card: &Scorecard) -> Vec<String> {
    let workloads = card.workloads.len() + card.left_off;
    let total = &card.total;
    let mut lost = format!(
        "{} severed {} in {}",
        counted(workloads as u64, "workload"),
        counted(total.severed, "connection"),
        days(card.observed_seconds)
    );
    if let Some(per_day) = total.per_day {
        lost.push_str(&format!(", {} a day", rate(Some(per_day))));
    }
    if let Some(share) = total.retry_unsafe_share {
        lost.push_str(&format!("; {} of them unsafe to repeat", percent(Some(share))));
    }
    match total.previous {
        Some(previous) => lost.push_str(&format!("; in the window before: {previous}.")),
        None => lost.push_str("; the window before is not known."),
    }
    let window = format!(
        "{} to {} UTC, seen by {}.",
        date(card.since),
        date(card.until),
        counted(card.daemons.scraped, "daemon")
    );
    vec![lost, window]
}

/// What else must be known to read it rightly.
pub fn doubts(card: &Scorecard) -> Vec<String> {
    let mut doubts = Vec::new();
    let window = card.until - card.since;
    if card.observed_seconds < window {
        doubts.push(format!(
            "Prometheus has daemons in {} of {} only.",
            days(card.observed_seconds),
            days(window)
        ));
    }
    if card.daemons.scraped == 0 {
        doubts.push("No daemon is scraped now: what ends from here on is not counted.".into());
    }
    if card.daemons.down > 0 {
        let count = counted(card.daemons.down, "daemon");
        doubts.push(format!("{count} of this window cannot be scraped now: what ends there is not counted."));
    }
    if card.daemons.scraped_twice > 0 {
        let count = counted(card.daemons.scraped_twice, "daemon");
        doubts.push(format!("Two jobs scrape {count}: whatever they say is counted twice. Keep one job."));
    }
    doubts.extend(not_measured(&card.not_measured));
    doubts.extend(card.warnings.iter().map(|warning| format!("Prometheus warns: {warning}")));
    doubts
}

fn not_measured(what: &NotMeasured) -> Vec<String> {
    let mut sentences = Vec::new();
    if what.connections > 0 {
        let count = counted(what.connections, "connection");
        sentences.push(format!("Not measured: the fate of {count}."));
    }
    for (place, count) in &what.lost_records {
        sentences.push(format!("Lost: {} ({place}); details are missing.", counted(*count, "record")));
    }
    for probe in &what.probes {
        let nodes = counted(probe.nodes, "node");
        sentences.push(format!(
            "Probe {} is {} on {nodes}: some fates are not measured there.",
            probe.probe, probe.verdict
        ));
    }
    sentences
}

/// What a workload needs besides its fix.
pub fn notes(workload: &Workload) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(seconds) = workload.recommended_pre_stop_seconds.filter(|seconds| *seconds > 0.0) {
        notes.push(format!("preStop sleep: {seconds} s"));
    }
    if workload.not_measured_connections > 0 {
        notes.push(format!("not measured: {}", counted(workload.not_measured_connections, "connection")));
    }
    notes
}

/// A number and what it counts.
pub fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

fn days(seconds: u64) -> String {
    let number = seconds as f64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{:.0} min", number / 60.0),
        7_200..=172_799 => format!("{:.0} h", number / 3600.0),
        _ => format!("{:.1} days", number / DAY).replace(".0 days", " days"),
    }
}

fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}
