//! The moments that divide a shutdown: lines across the picture, each with its name.

use super::scale::{RIGHT, Scale};
use crate::admin::page::text::{after, words};
use shutdown_probe_core::report::Termination;

/// The room that a letter takes.
const LETTER: f64 = 6.6;
/// How many rows of names there are at most.
const ROWS: usize = 6;

/// One moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub at: f64,
    pub x: f64,
    pub class: &'static str,
    pub text: String,
    /// In which row its name stands.
    pub row: usize,
    /// Its name stands to the left of its line.
    pub to_left: bool,
    /// It is later than all that is drawn.
    pub beyond: bool,
}

/// The moments in order, their names placed so that none is over another.
pub fn events(termination: &Termination, scale: &Scale) -> Vec<Event> {
    let mut events: Vec<_> = moments(termination)
        .into_iter()
        .filter(|(at, ..)| at.is_finite())
        .map(|(at, class, text)| {
            let text = format!("{text} {}", after(at - scale.origin));
            let beyond = at > scale.end();
            Event { at, x: scale.x(at), class, text, row: 0, to_left: false, beyond }
        })
        .collect();
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    place(&mut events);
    events
}

fn moments(termination: &Termination) -> Vec<(f64, &'static str, String)> {
    let mut moments = Vec::new();
    let mut add = |at, class, text: String| moments.push((at, class, text));
    if let Some(announced) = &termination.announced {
        add(announced.at, "announced", "pod deleted".to_owned());
    }
    if let Some(stop) = &termination.stop_signal {
        add(stop.at, "stop", stop.signal.clone());
    }
    for entry in &termination.timeline {
        match entry.event.as_str() {
            "endpoint_not_ready" | "endpoint_removed" => add(entry.at, "endpoint", words(&entry.event)),
            _ => {}
        }
    }
    let closed = termination.timeline.iter().find(|entry| entry.event == "listener_closed");
    if let Some(entry) = closed {
        add(entry.at, "listener", "listener closed".to_owned());
    }
    if let Some(kill) = &termination.kill_signal {
        let by = if kill.oom { "OOM kill" } else { "SIGKILL" };
        add(kill.at, "kill", by.to_owned());
    }
    if let Some(exit) = &termination.exit {
        let how = match (&exit.signal, exit.code) {
            (Some(signal), _) => format!("ended by {signal}"),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) => "exit".to_owned(),
        };
        add(exit.at, "exit", how);
    }
    if let Some(deadline) = deadline(termination) {
        add(deadline, "deadline", "grace deadline".to_owned());
    }
    moments
}

/// The end of the grace period: it begins with the deletion, in Kubernetes.
fn deadline(termination: &Termination) -> Option<f64> {
    let allowed = termination.grace.allowed_seconds?;
    let announced = termination.announced.as_ref().map(|announced| announced.at);
    let begin = announced.or(termination.stop_signal.as_ref().map(|stop| stop.at))?;
    Some(begin + allowed)
}

/// Gives each name the first row in which it is over no other.
fn place(events: &mut [Event]) {
    let mut taken: Vec<Vec<(f64, f64)>> = vec![Vec::new(); ROWS];
    for event in events {
        let length = event.text.chars().count() as f64 * LETTER + 10.0;
        event.to_left = event.x + length > RIGHT;
        let (from, to) =
            if event.to_left { (event.x - length, event.x) } else { (event.x, event.x + length) };
        let is_free = |row: &Vec<(f64, f64)>| row.iter().all(|&(begin, end)| to < begin || from > end);
        let row = taken.iter().position(is_free).unwrap_or(ROWS - 1);
        taken[row].push((from, to));
        event.row = row;
    }
}

/// How many rows the names take.
pub fn rows(events: &[Event]) -> usize {
    events.iter().map(|event| event.row + 1).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Announced, TimelineEntry};

    fn placed(termination: &Termination) -> Vec<(String, usize, bool)> {
        let found = events(termination, &Scale::of(termination, 0.0));
        found.into_iter().map(|event| (event.text, event.row, event.beyond)).collect()
    }

    #[test]
    fn the_moments_are_named_and_the_deadline_may_lie_beyond() {
        let found = placed(&sample::termination());
        assert_eq!(
            found,
            [
                ("SIGTERM 0".to_owned(), 0, false),
                ("exit 0 +3 ms".to_owned(), 0, false),
                ("grace deadline +30 s".to_owned(), 1, true),
            ]
        );
    }

    #[test]
    fn names_at_one_place_stand_in_rows() {
        let mut it = sample::termination();
        it.announced = Some(Announced { at: it.began_at, ..Announced::default() });
        for event in ["endpoint_not_ready", "endpoint_removed"] {
            let text = "x".to_owned();
            it.timeline.push(TimelineEntry {
                at: it.began_at,
                after_seconds: 0.0,
                event: event.into(),
                text,
            });
        }
        let found = placed(&it);
        let at_zero: Vec<_> = found.iter().filter(|(text, ..)| text.ends_with(" 0")).map(|it| it.1).collect();
        assert_eq!(at_zero, [0, 1, 2, 3]);
        assert_eq!(found[2].0, "endpoint not ready 0");
    }
}
