//! The scorecard in Markdown.
//!
//! Invariant: a name can break neither a table nor out of it.

use super::scorecard::{Scorecard, Workload};
use super::words;
use crate::output::console::escape::escape;

/// The whole of it.
pub fn markdown(card: &Scorecard) -> String {
    let mut text = format!("# Connections severed by shutdowns\n\n{}\n\n", words::head(card).join(" "));
    text.push_str("| workload | lost | a day | a rollout | unsafe | trend | main cause | fix |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|---|---|\n");
    text.extend(card.workloads.iter().map(row));
    if card.left_off > 0 {
        text.push_str(&format!("\nAnd {}.\n", words::counted(card.left_off as u64, "more workload")));
    }
    let doubts = words::doubts(card);
    if !doubts.is_empty() {
        text.push_str("\nNot everything is known:\n\n");
    }
    text.extend(doubts.iter().map(|doubt| format!("- {}\n", safe(doubt))));
    text
}

fn row(workload: &Workload) -> String {
    let losses = &workload.losses;
    let notes = words::notes(workload).join("; ");
    let fix = workload.fix.as_deref().unwrap_or_default();
    let fix = [fix, &notes].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let cells = [
        safe(&words::name(workload)),
        losses.severed.to_string(),
        words::rate(losses.per_day),
        words::rate(workload.per_rollout),
        words::percent(losses.retry_unsafe_share),
        words::trend(losses),
        workload.cause.as_ref().map(|cause| format!("`{cause}`")).unwrap_or_default(),
        safe(&fix),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// As text, whatever it is.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        assert_eq!(safe("a|b [x](y) <i>\n"), r"a\|b \[x\](y) &lt;i>\\n");
    }
}
