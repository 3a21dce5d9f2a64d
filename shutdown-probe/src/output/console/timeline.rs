//! Entries of a timeline in words: many connections that were severed alike, one after the other, are one line.

use shutdown_probe_core::report::TimelineEntry;

/// So many in a row are still told one by one.
const ONE_BY_ONE: usize = 3;

/// A line of a timeline.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// The entry it begins with.
    pub first: &'a TimelineEntry,
    /// What happened.
    pub text: String,
}

impl Line<'_> {
    /// Whether it tells of losses.
    pub fn is_loss(&self) -> bool {
        self.first.event == SEVERED
    }
}

const SEVERED: &str = "severed";

/// The lines for these entries, in their order.
pub fn lines<'a>(entries: &[&'a TimelineEntry]) -> Vec<Line<'a>> {
    let alike = |a: &&TimelineEntry, b: &&TimelineEntry| fate(a).is_some() && fate(a) == fate(b);
    entries.chunk_by(alike).flat_map(told).collect()
}

/// The last word of "severed PEER: FATE".
fn fate(entry: &TimelineEntry) -> Option<&str> {
    (entry.event == SEVERED).then(|| entry.text.rsplit(": ").next().unwrap_or_default())
}

fn told<'a>(run: &[&'a TimelineEntry]) -> Vec<Line<'a>> {
    let one = |&first: &&'a TimelineEntry| Line { first, text: first.text.clone() };
    match run {
        [first, .., last] if run.len() > ONE_BY_ONE => {
            let (count, fate) = (run.len(), fate(first).unwrap_or_default());
            let span = last.at - first.at;
            vec![Line { first, text: format!("severed {count} connections within {span:.3} s: {fate}") }]
        }
        few => few.iter().map(one).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(after_seconds: f64, event: &str, text: &str) -> TimelineEntry {
        TimelineEntry {
            at: 1_790_000_000.0 + after_seconds,
            after_seconds,
            event: event.into(),
            text: text.into(),
        }
    }

    #[test]
    fn many_alike_are_one_line_and_few_are_not() {
        let refused =
            |port: u16| entry(f64::from(port) / 10.0, "severed", &format!("severed [::1]:{port}: refused"));
        let mut entries: Vec<_> = (1..=3).map(refused).collect();
        entries.push(entry(0.35, "exit", "node (1) exited with status 0"));
        entries.extend((4..=9).map(refused));
        entries.push(entry(1.0, "severed", "severed [::1]:10: unread_request"));
        let found = lines(&entries.iter().collect::<Vec<_>>());
        let texts: Vec<_> = found.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "severed [::1]:1: refused",
                "severed [::1]:2: refused",
                "severed [::1]:3: refused",
                "node (1) exited with status 0",
                "severed 6 connections within 0.500 s: refused",
                "severed [::1]:10: unread_request",
            ]
        );
        assert!(found[4].is_loss() && !found[3].is_loss());
        assert_eq!(found[4].first.after_seconds, 0.4);
    }
}
