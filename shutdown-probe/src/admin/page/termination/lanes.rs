//! The connections as bars, one lane for each fate: a thousand of them still fit.
//!
//! Connections that began and ended at the same places in the picture share a bar, which says how many they are. If
//! a lane still has too many bars, neighbours are joined, and the bar shows from when to when they ended.

use super::scale::{LEFT, Scale};
use crate::admin::page::fate::{Kind, named};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::report::{Opened, Termination};
use std::collections::BTreeMap;

/// How many bars a lane has at most.
const BARS: usize = 8;
/// What is closer together than this is one place.
const GRAIN: f64 = 3.0;

/// Where a bar begins.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Begin {
    /// Before the picture.
    Before,
    /// Nobody saw when.
    NotSeen,
    /// Here.
    At(f64),
}

/// Connections that are drawn as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub begin: Begin,
    /// Where the first of them ended.
    pub first_end: f64,
    /// Where the last of them did.
    pub last_end: f64,
    pub count: usize,
    /// Who it was, if it was one.
    pub peer: Option<String>,
}

/// All connections of one fate.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    pub fate: Fate,
    /// How many there were.
    pub total: u64,
    /// How many of them are drawn: lists are capped.
    pub drawn: usize,
    pub bars: Vec<Bar>,
    /// Where each was, for what has no length: attempts.
    pub points: Vec<(f64, usize)>,
}

/// One connection that is listed.
struct Line<'a> {
    peer: &'a str,
    opened: Opened,
    end: f64,
}

/// The lanes, worst first: also those of fates that were only counted.
pub fn lanes(termination: &Termination, scale: &Scale) -> Vec<Lane> {
    let counted = termination.connections_by_fate.keys().filter_map(|name| named(name));
    let shown = counted.filter(|fate| *fate != Fate::OutboundClosed);
    let mut by_fate: BTreeMap<Fate, Vec<Line<'_>>> = shown.map(|fate| (fate, Vec::new())).collect();
    let severed = termination.severed.iter().map(|it| (&it.evidence, &it.peer, it.opened, it.at));
    let others = termination.unsevered.iter().map(|it| (&it.evidence, &it.peer, it.opened, it.at));
    for (evidence, peer, opened, end) in severed.chain(others) {
        if let Some(fate) = named(evidence) {
            by_fate.entry(fate).or_default().push(Line { peer, opened, end });
        }
    }
    let mut lanes: Vec<_> =
        by_fate.into_iter().map(|(fate, lines)| lane(termination, fate, &lines, scale)).collect();
    lanes.sort_by_key(|lane| (Kind::of(lane.fate), lane.fate));
    lanes
}

fn lane(termination: &Termination, fate: Fate, lines: &[Line<'_>], scale: &Scale) -> Lane {
    let total = termination.connections_by_fate.get(fate.as_str()).copied().unwrap_or_default();
    let (bars, points) = if fate == Fate::Refused {
        (Vec::new(), points(lines.iter().map(|line| scale.x(line.end))))
    } else {
        (bars(lines, scale), Vec::new())
    };
    Lane { fate, total: total.max(lines.len() as u64), drawn: lines.len(), bars, points }
}

/// Places, each with how many are there.
pub fn points(places: impl Iterator<Item = f64>) -> Vec<(f64, usize)> {
    let mut sorted: Vec<_> = places.filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut points: Vec<(f64, usize)> = Vec::new();
    for x in sorted {
        match points.last_mut() {
            Some((place, count)) if x - *place < 2.0 * GRAIN => *count += 1,
            _ => points.push((x, 1)),
        }
    }
    points
}

fn bars(lines: &[Line<'_>], scale: &Scale) -> Vec<Bar> {
    let mut bars: Vec<_> = lines.iter().map(|line| bar(line, scale)).collect();
    bars.sort_by(|a, b| {
        let ends = a.last_end.total_cmp(&b.last_end);
        ends.then_with(|| a.begin.partial_cmp(&b.begin).unwrap_or(std::cmp::Ordering::Equal))
    });
    let mut distinct: Vec<Bar> = Vec::new();
    for bar in bars {
        match distinct.last_mut().filter(|last| is_same_place(last, &bar)) {
            Some(last) => join(last, bar),
            None => distinct.push(bar),
        }
    }
    coarsened(distinct)
}

fn bar(line: &Line<'_>, scale: &Scale) -> Bar {
    let end = scale.x(line.end);
    let begin = match line.opened.opened_at {
        Some(at) => Begin::At(scale.x(at).min(end)),
        None if line.opened.opened_before => Begin::Before,
        None => Begin::NotSeen,
    };
    Bar { begin, first_end: end, last_end: end, count: 1, peer: Some(line.peer.to_owned()) }
}

fn is_same_place(one: &Bar, other: &Bar) -> bool {
    let begins = match (one.begin, other.begin) {
        (Begin::At(one), Begin::At(other)) => (one - other).abs() < GRAIN,
        (one, other) => one == other,
    };
    begins && other.last_end - one.first_end < GRAIN
}

fn join(bar: &mut Bar, other: Bar) {
    bar.begin = match (bar.begin, other.begin) {
        (Begin::At(one), Begin::At(other)) => Begin::At(one.min(other)),
        (Begin::Before, _) | (_, Begin::Before) => Begin::Before,
        _ => Begin::NotSeen,
    };
    bar.first_end = bar.first_end.min(other.first_end);
    bar.last_end = bar.last_end.max(other.last_end);
    bar.count += other.count;
    bar.peer = None;
}

/// Joins neighbours until there are few enough.
fn coarsened(bars: Vec<Bar>) -> Vec<Bar> {
    let each = bars.len().div_ceil(BARS).max(1);
    let mut joined = Vec::new();
    let mut bars = bars.into_iter().peekable();
    while let Some(mut bar) = bars.next() {
        for other in bars.by_ref().take(each - 1) {
            join(&mut bar, other);
        }
        joined.push(bar);
    }
    joined
}

/// Where connections came that were opened after the stop signal; those that are listed.
pub fn late(termination: &Termination, scale: &Scale) -> Vec<(f64, usize)> {
    let opened = termination.severed.iter().map(|it| it.opened.opened_at);
    let others = termination.unsevered.iter().map(|it| it.opened.opened_at);
    points(opened.chain(others).flatten().filter(|&at| at >= scale.origin).map(|at| scale.x(at)))
}

/// Where a bar is drawn from.
pub fn left_edge(begin: Begin) -> f64 {
    match begin {
        Begin::Before | Begin::NotSeen => LEFT - 18.0,
        Begin::At(x) => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::input::Protocol;
    use shutdown_probe_core::report::{Phase, Unsevered};

    const BEGAN: f64 = 1_790_000_000.0;

    fn ended(evidence: &str, opened: Option<f64>, after: f64) -> Unsevered {
        Unsevered {
            peer: "10.0.0.1:1".into(),
            local: "10.0.0.2:80".into(),
            evidence: evidence.into(),
            opened: Opened { opened_at: opened.map(|after| BEGAN + after), opened_before: opened.is_none() },
            at: BEGAN + after,
            phase: Phase::Draining,
            protocol: Protocol::Http1,
        }
    }

    fn drawn(unsevered: Vec<Unsevered>) -> Vec<Lane> {
        let it = Termination { unsevered, ..sample::termination() };
        lanes(&it, &Scale::of(&it, BEGAN))
    }

    #[test]
    fn lanes_are_worst_first_and_tell_totals() {
        let lanes = drawn(vec![ended("closed_idle", None, 0.001), ended("drained", None, 0.002)]);
        let fates: Vec<_> = lanes.iter().map(|lane| (lane.fate, lane.total, lane.drawn)).collect();
        assert_eq!(fates, [(Fate::UnansweredRequest, 3, 1), (Fate::Drained, 5, 1), (Fate::ClosedIdle, 1, 1)]);
    }

    #[test]
    fn a_thousand_at_one_place_are_one_bar() {
        let bars = &drawn(vec![ended("drained", None, 0.001); 1_000])[1].bars;
        assert_eq!((bars.len(), bars[0].count, bars[0].begin), (1, 1_000, Begin::Before));
    }

    #[test]
    fn a_thousand_everywhere_are_few_bars_and_none_is_lost() {
        let all =
            (0..1_000).map(|n| ended("drained", Some(f64::from(n) / 1e3), f64::from(n) / 500.0)).collect();
        let lanes = drawn(all);
        let bars = &lanes[1].bars;
        assert!(bars.len() <= BARS);
        assert_eq!(bars.iter().map(|bar| bar.count).sum::<usize>(), 1_000);
        assert!(
            bars.iter().all(|bar| bar.first_end <= bar.last_end && left_edge(bar.begin) <= bar.first_end)
        );
    }

    #[test]
    fn what_began_unseen_is_not_said_to_be_older() {
        let mut unseen = ended("drained", None, 0.001);
        unseen.opened = Opened::default();
        assert_eq!(drawn(vec![unseen])[1].bars[0].begin, Begin::NotSeen);
    }

    #[test]
    fn unknown_fates_are_not_drawn() {
        assert_eq!(drawn(vec![ended("<script>", None, 0.001)]).len(), drawn(Vec::new()).len());
    }
}
