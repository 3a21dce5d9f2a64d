//! From time to places in the picture.
//!
//! A shutdown lasts milliseconds or minutes, and what is of interest may be in its first hundredth. So each phase has
//! a stretch of its own with a scale of its own, wide enough to be seen; the stretches say how long they are.

use crate::admin::page::text::{after, duration};
use shutdown_probe_core::report::{State, Termination};

/// The picture's width, in its own unit.
pub const WIDTH: f64 = 960.0;
/// Where the first phase begins: to the left of it is what was before.
pub const LEFT: f64 = 56.0;
/// Where the last phase ends.
pub const RIGHT: f64 = WIDTH - 12.0;
/// The least part of the width that a phase takes.
const LEAST_PART: f64 = 0.2;
/// A phase that takes no time is drawn as if it took this, in seconds.
const INSTANT: f64 = 0.001;
/// The room that a label of the axis takes.
const LABEL: f64 = 76.0;

/// One phase, and where it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub phase: &'static str,
    pub from: f64,
    pub to: f64,
    pub x: f64,
    pub width: f64,
}

impl Stretch {
    fn seconds(&self) -> f64 {
        (self.to - self.from).max(INSTANT)
    }

    /// Its name and how long it takes.
    pub fn label(&self) -> String {
        format!("{} {}", self.phase, duration(self.to - self.from))
    }
}

/// A label of the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub x: f64,
    pub text: String,
}

/// All phases, in order and without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub stretches: Vec<Stretch>,
    /// What times are counted from: the stop signal, or what came in its place.
    pub origin: f64,
}

impl Scale {
    /// The phases of this termination. `now` is where one that is not over ends.
    pub fn of(termination: &Termination, now: f64) -> Self {
        let announced = termination.announced.as_ref().map(|announced| announced.at);
        let begin = announced.unwrap_or(termination.began_at).min(termination.began_at);
        let origin = origin(termination).max(begin);
        let last = last_seen(termination).fold(origin, f64::max);
        let end = end(termination).unwrap_or(if is_over(termination) { last } else { last.max(now) });
        let end = end.max(origin);
        let mut phases = Vec::new();
        if origin - begin > INSTANT {
            phases.push(("announced", begin, origin));
        }
        phases.push(("draining", origin, end));
        if last - end > INSTANT {
            phases.push(("gone", end, last));
        }
        Self { stretches: laid_out(&phases), origin }
    }

    /// Where this moment is; the edge that is next to it, if it is outside.
    pub fn x(&self, at: f64) -> f64 {
        let inside = self.stretches.iter().find(|stretch| at < stretch.to).or(self.stretches.last());
        inside.map_or(LEFT, |stretch| {
            let part = ((at - stretch.from) / stretch.seconds()).clamp(0.0, 1.0);
            stretch.x + part * stretch.width
        })
    }

    /// The last moment that is drawn.
    pub fn end(&self) -> f64 {
        self.stretches.last().map_or(self.origin, |stretch| stretch.to)
    }

    /// The labels of the axis, none over another.
    pub fn ticks(&self) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        for stretch in &self.stretches {
            let step = step(stretch.seconds() / (stretch.width / LABEL).max(1.0));
            let from = stretch.from - self.origin;
            let first = (from / step - 1e-6).ceil() as i64;
            let count = (stretch.seconds() / step) as i64;
            for n in first..=first + count {
                let at = n as f64 * step;
                let x = self.x(self.origin + at);
                let fits = ticks.last().is_none_or(|last| x - last.x >= LABEL * 0.75);
                if fits && x <= RIGHT - LABEL / 4.0 && at <= from + stretch.seconds() {
                    ticks.push(Tick { x, text: after(at) });
                }
            }
        }
        ticks
    }
}

/// When it was asked to end; when it began, if nobody asked.
fn origin(termination: &Termination) -> f64 {
    let stop = termination.stop_signal.as_ref().map(|stop| stop.at);
    let kill = termination.kill_signal.as_ref().map(|kill| kill.at);
    let exit = termination.exit.as_ref().map(|exit| exit.at);
    match termination.announced {
        Some(_) => stop.or(kill).or(exit).unwrap_or(f64::MIN),
        None => stop.or(kill).unwrap_or(termination.began_at),
    }
}

/// When its last process had ended, as far as that is known.
fn end(termination: &Termination) -> Option<f64> {
    let empty = termination.timeline.iter().find(|entry| entry.event == "empty").map(|entry| entry.at);
    empty.or_else(|| termination.exit.as_ref().map(|exit| exit.at))
}

fn is_over(termination: &Termination) -> bool {
    termination.state == State::Complete
}

/// The moments of all that was seen.
fn last_seen(termination: &Termination) -> impl Iterator<Item = f64> {
    let entries = termination.timeline.iter().map(|entry| entry.at);
    let severed = termination.severed.iter().map(|it| it.at);
    entries.chain(severed).chain(termination.unsevered.iter().map(|it| it.at)).filter(|at| at.is_finite())
}

fn laid_out(phases: &[(&'static str, f64, f64)]) -> Vec<Stretch> {
    let seconds = |&(_, from, to): &(&str, f64, f64)| (to - from).max(INSTANT);
    let total: f64 = phases.iter().map(seconds).sum();
    let parts: Vec<_> = phases.iter().map(|phase| (seconds(phase) / total).max(LEAST_PART)).collect();
    let sum: f64 = parts.iter().sum();
    let mut x = LEFT;
    let mut stretches = Vec::new();
    for (&(phase, from, to), part) in phases.iter().zip(parts) {
        let width = (RIGHT - LEFT) * part / sum;
        stretches.push(Stretch { phase, from, to, x, width });
        x += width;
    }
    stretches
}

/// The next of 1, 2, 5, 10, 20, ... that is not less.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-6).log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&step| step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Announced, TimelineEntry};

    fn entry(event: &str, at: f64) -> TimelineEntry {
        TimelineEntry { at, after_seconds: 0.0, event: event.into(), text: event.into() }
    }

    /// Announced for 5 s, drained for 12 ms, refused until 4 s later.
    fn termination() -> Termination {
        let began_at = 1_000.0;
        let mut it = Termination { began_at, ..sample::termination() };
        it.announced = Some(Announced { at: began_at, ..Announced::default() });
        if let Some(stop) = &mut it.stop_signal {
            stop.at = 1_005.0;
        }
        it.severed.clear();
        it.timeline = vec![entry("empty", 1_005.012), entry("severed", 1_009.0)];
        it
    }

    #[test]
    fn each_phase_has_room_and_they_meet() {
        let scale = Scale::of(&termination(), 2_000.0);
        let phases: Vec<_> = scale.stretches.iter().map(Stretch::label).collect();
        assert_eq!(phases, ["announced 5 s", "draining 12 ms", "gone 4 s"]);
        let mut x = LEFT;
        for stretch in &scale.stretches {
            assert!((stretch.x - x).abs() < 1e-6 && stretch.width > 0.14 * (RIGHT - LEFT), "{stretch:?}");
            x += stretch.width;
        }
        assert!((x - RIGHT).abs() < 1e-6);
    }

    #[test]
    fn places_follow_time_and_stay_inside() {
        let scale = Scale::of(&termination(), 2_000.0);
        let places: Vec<_> =
            [0.0, 1_000.0, 1_004.0, 1_005.0, 1_005.006, 1_006.0, 1_009.0, 1e9].map(|at| scale.x(at)).into();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!((places[0], places[7]), (LEFT, RIGHT));
        let draining = &scale.stretches[1];
        assert!((scale.x(1_005.006) - draining.x - draining.width / 2.0).abs() < 0.5);
    }

    #[test]
    fn labels_are_round_and_apart() {
        let ticks = Scale::of(&termination(), 2_000.0).ticks();
        let texts: Vec<_> = ticks.iter().map(|tick| tick.text.as_str()).collect();
        assert!(texts.contains(&"0") && texts.contains(&"−5 s"), "{texts:?}");
        assert!(ticks.windows(2).all(|pair| pair[1].x - pair[0].x >= 50.0), "{ticks:?}");
    }

    #[test]
    fn one_that_is_not_over_ends_now() {
        let mut it = termination();
        (it.state, it.exit) = (State::InProgress, None);
        it.timeline.clear();
        let scale = Scale::of(&it, 1_025.0);
        assert_eq!(scale.end(), 1_025.0);
        // Deleted, and not yet sent a signal.
        it.stop_signal = None;
        assert_eq!(Scale::of(&it, 1_025.0).stretches.len(), 1);
    }

    #[test]
    fn absurd_times_break_nothing() {
        for absurd in [f64::NAN, f64::INFINITY, -1e300, 0.0] {
            let mut it = termination();
            it.began_at = absurd;
            it.timeline.push(entry("severed", absurd));
            let scale = Scale::of(&it, 2_000.0);
            assert!(scale.ticks().len() < 50);
        }
    }
}
