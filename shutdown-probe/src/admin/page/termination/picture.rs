//! One termination as a picture: time runs to the right, each lane is a fate, each bar a connection.

use super::events::{Event, events, rows};
use super::lanes::{Bar, Begin, Lane, lanes, late, left_edge};
use super::scale::{LEFT, RIGHT, Scale, WIDTH};
use crate::admin::page::fate::{Kind, label};
use crate::admin::page::text::{Shown, after, count, trimmed};
use maud::{Markup, html};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::report::Termination;

const PHASES: f64 = 18.0;
const NAME_ROW: f64 = 16.0;
const AXIS: f64 = 20.0;
const LANE_NAME: f64 = 16.0;
const LANE_GAP: f64 = 8.0;
const BAR: f64 = 6.0;
const BAR_GAP: f64 = 4.0;
/// The room for the number beside a bar.
const NUMBER: f64 = 48.0;

/// The picture, and what its signs mean.
pub fn section(termination: &Termination, now: f64) -> Markup {
    let scale = Scale::of(termination, now);
    let events = events(termination, &scale);
    let lanes = lanes(termination, &scale);
    html! {
        section aria-labelledby="picture" {
            h2 id="picture" { "What happened" }
            div.scroll tabindex="0" role="group" aria-labelledby="picture" {
                (drawing(termination, &scale, &events, &lanes))
            }
            (legend(&lanes))
            p.note {
                "Times count from " (origin(termination)) ". Each phase has a scale of its own. "
                @if has(&lanes, Begin::Before) { "A bar that begins in the left margin is older than the shutdown. " }
                @if has(&lanes, Begin::NotSeen) { "A dashed beginning was not seen. " }
                @if lanes.iter().any(|lane| (lane.drawn as u64) < lane.total) {
                    "Not all connections are listed in the report, so not all are drawn; the numbers count all. "
                }
                "The tables below say the same in words."
            }
        }
    }
}

fn origin(termination: &Termination) -> &'static str {
    match (&termination.stop_signal, &termination.kill_signal) {
        (Some(_), _) => "the stop signal",
        (None, Some(_)) => "SIGKILL",
        (None, None) => "the beginning",
    }
}

fn has(lanes: &[Lane], begin: Begin) -> bool {
    lanes.iter().flat_map(|lane| &lane.bars).any(|bar| bar.begin == begin)
}

fn drawing(termination: &Termination, scale: &Scale, events: &[Event], lanes: &[Lane]) -> Markup {
    let names_top = PHASES + 4.0;
    let axis = names_top + rows(events) as f64 * NAME_ROW + AXIS;
    let late = late(termination, scale);
    let mut y = axis + LANE_GAP;
    let mut drawn = Vec::new();
    if termination.late_connections_total > 0 {
        drawn.push(late_lane(termination, &late, y));
        y += LANE_NAME + BAR + LANE_GAP;
    }
    for lane in lanes {
        drawn.push(lane_of(lane, y));
        y += lane_height(lane);
    }
    html! {
        svg.timeline role="img" aria-labelledby="picture-title picture-text" viewBox={ "0 0 " (WIDTH) " " (px(y)) } {
            title id="picture-title" { "Timeline of the shutdown" }
            desc id="picture-text" { (Shown(&described(scale, events, lanes))) }
            (phases(scale, y))
            (axis_of(scale, axis))
            @for event in events { (event_line(event, names_top, axis, y)) }
            @for lane in drawn { (lane) }
        }
    }
}

/// The picture in words, for who cannot see it.
fn described(scale: &Scale, events: &[Event], lanes: &[Lane]) -> String {
    let phases: Vec<_> = scale.stretches.iter().map(|stretch| stretch.label()).collect();
    let events: Vec<_> = events.iter().map(|event| event.text.as_str()).collect();
    let lanes: Vec<_> = lanes.iter().map(|lane| format!("{} × {}", lane.total, label(lane.fate))).collect();
    format!(
        "Phases: {}. Events: {}. Connections: {}.",
        phases.join(", "),
        events.join(", "),
        lanes.join(", ")
    )
}

fn phases(scale: &Scale, bottom: f64) -> Markup {
    html! {
        @for stretch in &scale.stretches {
            rect class={ "phase " (stretch.phase) } x=(px(stretch.x)) y="0" width=(px(stretch.width)) height=(px(bottom)) {}
            text.phase x=(px(stretch.x + stretch.width / 2.0)) y="13" text-anchor="middle" { (stretch.label()) }
        }
    }
}

fn axis_of(scale: &Scale, y: f64) -> Markup {
    html! {
        line.axis x1=(LEFT) y1=(px(y)) x2=(RIGHT) y2=(px(y)) {}
        @for tick in scale.ticks() {
            path.axis d={ "M" (px(tick.x)) " " (px(y)) "v-4" } {}
            text.tick x=(px(tick.x)) y=(px(y - 6.0)) text-anchor="middle" { (tick.text) }
        }
    }
}

fn event_line(event: &Event, top: f64, axis: f64, bottom: f64) -> Markup {
    let y = top + event.row as f64 * NAME_ROW;
    let (shift, anchor) = if event.to_left { (-4.0, "end") } else { (4.0, "start") };
    html! {
        g class={ "event " (event.class) } {
            @if event.beyond {
                text x=(px(event.x + shift)) y=(px(y + 12.0)) text-anchor=(anchor) { (Shown(&event.text)) " →" }
            } @else {
                @let x = px(event.x);
                path d={ "M" (x) " " (px(y + 2.0)) "V" (px(axis - AXIS)) "M" (x) " " (px(axis)) "V" (px(bottom)) } {}
                text x=(px(event.x + shift)) y=(px(y + 12.0)) text-anchor=(anchor) { (Shown(&event.text)) }
            }
        }
    }
}

fn lane_height(lane: &Lane) -> f64 {
    let bars: f64 = lane.bars.iter().map(|bar| thickness(bar) + BAR_GAP).sum();
    let points = if lane.points.is_empty() { 0.0 } else { BAR + BAR_GAP };
    LANE_NAME + bars + points + LANE_GAP
}

/// More connections make a thicker bar, slowly.
fn thickness(bar: &Bar) -> f64 {
    BAR + (bar.count as f64).log2().min(8.0)
}

fn lane_of(lane: &Lane, top: f64) -> Markup {
    let mut y = top + LANE_NAME;
    let mut bars = Vec::new();
    for bar in &lane.bars {
        let thickness = thickness(bar);
        bars.push(bar_of(lane, bar, y, thickness));
        y += thickness + BAR_GAP;
    }
    html! {
        g class=(Kind::of(lane.fate).class()) {
            text.lane x="4" y=(px(top + 11.0)) {
                (lane.total) " × " (label(lane.fate))
                tspan.means { (aside(lane)) }
            }
            @for bar in bars { (bar) }
            (points_of(lane.fate, &lane.points, y + BAR / 2.0))
        }
    }
}

/// What is said of a lane in passing.
fn aside(lane: &Lane) -> String {
    let verdict = Kind::of(lane.fate).verdict().map_or_else(String::new, |verdict| format!(": {verdict}"));
    let listed = if lane.drawn == 0 { " (not listed one by one)" } else { "" };
    verdict + listed
}

fn bar_of(lane: &Lane, bar: &Bar, y: f64, thickness: f64) -> Markup {
    let left = left_edge(bar.begin);
    let solid = (bar.first_end - left).max(1.0);
    let (middle, end) = (y + thickness / 2.0, bar.last_end);
    let number_to_left = end + NUMBER > RIGHT;
    let (number_x, anchor) = if number_to_left { (left - 4.0, "end") } else { (end + 9.0, "start") };
    html! {
        g {
            title { (Shown(&bar_title(lane, bar))) }
            @match bar.begin {
                Begin::NotSeen => path.unseen d={ "M" (px(left)) " " (px(middle)) "h18" } {},
                Begin::Before => path.older d={ "M" (px(left - 5.0)) " " (px(middle)) "l5-4v8z" } {},
                Begin::At(_) => {},
            }
            rect.bar x=(px(left)) y=(px(y)) width=(px(solid)) height=(px(thickness)) {}
            @if bar.last_end - bar.first_end > 1.0 {
                rect.ends x=(px(bar.first_end)) y=(px(y)) width=(px(bar.last_end - bar.first_end)) height=(px(thickness)) {}
            }
            path.end d={ "M" (px(end)) " " (px(middle)) (Kind::of(lane.fate).mark()) } {}
            @if bar.count > 1 {
                text.number x=(px(number_x)) y=(px(middle + 4.0)) text-anchor=(anchor) { "×" (bar.count) }
            }
        }
    }
}

fn bar_title(lane: &Lane, bar: &Bar) -> String {
    match &bar.peer {
        Some(peer) => format!("{peer}: {}", label(lane.fate)),
        None => format!("{}: {}", count(bar.count as u64, "connection"), label(lane.fate)),
    }
}

fn points_of(fate: Fate, points: &[(f64, usize)], y: f64) -> Markup {
    html! {
        @for (x, count) in points {
            path.end d={ "M" (px(*x)) " " (px(y)) (Kind::of(fate).mark()) } {}
            @if *count > 1 && points.len() <= 12 {
                text.number x=(px(*x)) y=(px(y - 7.0)) text-anchor="middle" { "×" (count) }
            }
        }
    }
}

fn late_lane(termination: &Termination, points: &[(f64, usize)], top: f64) -> Markup {
    let y = top + LANE_NAME;
    let last = termination.last_late_connection_after_seconds;
    html! {
        g.late {
            text.lane x="4" y=(px(top + 11.0)) {
                (termination.late_connections_total) " × late arrival"
                @if let Some(last) = last { tspan.means { ": the last at " (after(last)) } }
            }
            @for (x, _) in points { path.arrival d={ "M" (px(*x)) " " (px(y - 2.0)) "v6l-3-3m3 3 3-3" } {} }
        }
    }
}

fn legend(lanes: &[Lane]) -> Markup {
    let shown = |kind: &Kind| lanes.iter().any(|lane| Kind::of(lane.fate) == *kind);
    html! {
        ul.legend {
            @for kind in Kind::ALL.into_iter().filter(shown) { li { (kind.sample()) (kind.meaning()) } }
        }
    }
}

/// A length in the picture's own unit.
fn px(length: f64) -> String {
    trimmed(length, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::Severed;

    #[test]
    fn what_a_picture_shows_it_says_too() {
        let drawn = section(&sample::termination(), 1_790_000_060.0).into_string();
        for part in [
            "Phases: draining 3 ms.",
            "Events: SIGTERM 0, exit 0 +3 ms, grace deadline +30 s.",
            "Connections: 3 × unanswered request, 5 × drained.",
            "2 × late arrival<tspan class=\"means\">: the last at +410 ms",
            "lost, not safe to retry",
        ] {
            assert!(drawn.contains(part), "no {part} in {drawn}");
        }
    }

    #[test]
    fn a_thousand_connections_make_a_small_picture() {
        let severed: Vec<_> = (0..1_000_u16)
            .map(|n| Severed {
                peer: format!("10.0.{}.{}:{n}", n / 250, n % 250),
                at: 1_790_000_000.0 + f64::from(n) / 100.0,
                evidence: if n % 3 == 0 { "refused" } else { "unread_request" }.to_owned(),
                ..sample::severed()
            })
            .collect();
        let drawn = section(&Termination { severed, ..sample::termination() }, 0.0).into_string();
        assert!(drawn.len() < 40_000, "{} bytes", drawn.len());
    }
}
