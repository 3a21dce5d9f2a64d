//! The scorecard for a terminal of 80 columns.
//!
//! Invariant: names come from whoever runs the workloads, and are escaped and cut.

use super::scorecard::{Scorecard, Workload};
use super::words;
use crate::output::console::{Paint, cell, wrapped};

const NAME: usize = 37;
const INDENT: &str = "  ";

/// The whole of it.
pub fn table(card: &Scorecard, paint: Paint) -> String {
    let mut text: String = words::head(card).iter().map(|sentence| wrapped("", sentence)).collect();
    text.push('\n');
    text.push_str(&row("WORKLOAD", ["LOST", "/DAY", "/ROLLOUT", "UNSAFE", "TREND"].map(String::from)));
    for workload in &card.workloads {
        text.push_str(&entry(workload, paint));
    }
    if card.left_off > 0 {
        text.push_str(&format!("and {}: --limit\n", words::counted(card.left_off as u64, "more workload")));
    }
    let doubts = words::doubts(card);
    if !doubts.is_empty() {
        text.push('\n');
    }
    text.extend(doubts.iter().map(|doubt| wrapped("? ", doubt)));
    text
}

fn row(name: &str, [lost, per_day, per_rollout, retry_unsafe, trend]: [String; 5]) -> String {
    format!("{} {lost:>7} {per_day:>6} {per_rollout:>9} {retry_unsafe:>7} {trend:>7}\n", cell(name, NAME))
}

fn entry(workload: &Workload, paint: Paint) -> String {
    let losses = &workload.losses;
    let first = row(
        &words::name(workload),
        [
            losses.severed.to_string(),
            words::rate(losses.per_day),
            words::rate(workload.per_rollout),
            words::percent(losses.retry_unsafe_share),
            words::trend(losses),
        ],
    );
    let mut text = if losses.severed > 0 { paint.bad(&first) } else { first };
    if let (Some(cause), Some(fix)) = (&workload.cause, &workload.fix) {
        text.push_str(&wrapped(INDENT, &format!("{cause}: {fix}")));
    }
    let notes = words::notes(workload);
    if !notes.is_empty() {
        text.push_str(&wrapped(INDENT, &notes.join("; ")));
    }
    text
}
