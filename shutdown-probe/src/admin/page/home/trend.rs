//! Losses over time, as far back as terminations are kept.
//!
//! It says nothing of the time before the oldest of them: that is Prometheus' to remember.

use crate::admin::page::text::{count, duration};
use crate::output::console::time;
use maud::{Markup, html};
use shutdown_probe_core::report::Termination;
use std::sync::Arc;

/// How wide a bar can be in time, in seconds: what divides a clock's hours and a calendar's days.
const WIDTHS: [f64; 13] = [
    60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
    604_800.0,
];
/// How many bars there are at most.
const BARS: usize = 48;
/// The picture's size and where the bars stand in it.
const SIZE: (f64, f64) = (960.0, 132.0);
const TOP: f64 = 16.0;
const BASE: f64 = 96.0;
/// The most that a tick under the base, for terminations, is long.
const TICK: f64 = 12.0;

/// What happened in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bucket {
    from: f64,
    terminations: u64,
    severed: u64,
    retry_unsafe: u64,
}

/// The stretches from the oldest termination until now.
#[derive(Debug, PartialEq)]
struct Trend {
    width: f64,
    buckets: Vec<Bucket>,
}

impl Trend {
    fn of(terminations: &[Arc<Termination>], now: f64) -> Option<Self> {
        let times = || terminations.iter().map(|it| it.began_at).filter(|at| at.is_finite());
        let oldest = times().fold(now, f64::min);
        let end = times().fold(now, f64::max);
        let spans = |width: f64| ((end / width).floor() - (oldest / width).floor()) as usize + 1;
        let width = WIDTHS.into_iter().find(|&width| spans(width) <= BARS)?;
        let begin = (oldest / width).floor() * width;
        let bucket = |n: usize| Bucket { from: begin + n as f64 * width, ..Bucket::default() };
        let mut buckets: Vec<_> = (0..spans(width)).map(bucket).collect();
        for it in terminations {
            if let Some(bucket) = buckets.get_mut(((it.began_at - begin) / width) as usize) {
                bucket.terminations += 1;
                bucket.severed += it.severed_total;
                bucket.retry_unsafe += it.retry_unsafe_total;
            }
        }
        Some(Self { width, buckets })
    }

    fn most(&self, of: impl Fn(&Bucket) -> u64) -> u64 {
        self.buckets.iter().map(of).max().unwrap_or_default()
    }
}

/// The picture, and the same as a table.
pub fn section(terminations: &[Arc<Termination>], now: f64) -> Markup {
    let Some(trend) = Trend::of(terminations, now) else { return html! {} };
    let span = duration(trend.width);
    html! {
        section aria-labelledby="trend" {
            h2 id="trend" { "Losses over time" }
            p.note {
                "Severed connections per " (span) ", by when the termination began; from the "
                (count(terminations.len() as u64, "termination")) " that are kept here, the oldest of "
                (time("%m-%d %H:%M", trend.buckets.first().map_or(now, |first| first.from))) "."
            }
            ul.legend aria-hidden="true" {
                li { span.swatch.unsafe {} "not safe to retry" }
                li { span.swatch.safe {} "safe to retry" }
                li { span.swatch.count {} "terminations, below the line" }
            }
            div.scroll tabindex="0" role="group" aria-labelledby="trend" { (picture(&trend)) }
            details { summary { "As a table" } (table(&trend)) }
        }
    }
}

fn picture(trend: &Trend) -> Markup {
    let most = trend.most(|bucket| bucket.severed);
    let per_bar = (SIZE.0 - 40.0) / trend.buckets.len() as f64;
    let label = format!(
        "Severed connections over time: at most {most} per {}. The table below has the numbers.",
        duration(trend.width)
    );
    html! {
        svg.trend role="img" aria-label=(label) viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } {
            line.axis x1="32" y1=(BASE) x2=(SIZE.0) y2=(BASE) {}
            text.tick x="26" y=(BASE) text-anchor="end" { "0" }
            @if most > 0 {
                line.grid x1="32" y1=(TOP) x2=(SIZE.0) y2=(TOP) {}
                text.tick x="26" y=(TOP + 4.0) text-anchor="end" { (most) }
            }
            @for (n, bucket) in trend.buckets.iter().enumerate().filter(|(_, bucket)| bucket.terminations > 0) {
                (bar(trend, bucket, 36.0 + n as f64 * per_bar, per_bar))
            }
            (dates(trend, per_bar))
        }
    }
}

fn bar(trend: &Trend, bucket: &Bucket, x: f64, per_bar: f64) -> Markup {
    let of = |count: u64, most: u64, room: f64| count as f64 / most.max(1) as f64 * room;
    let height = |count| of(count, trend.most(|bucket| bucket.severed), BASE - TOP);
    let tick = of(bucket.terminations, trend.most(|bucket| bucket.terminations), TICK - 2.0) + 2.0;
    let rect = |class: &str, y: f64, height: f64| {
        html! {
            @if height > 0.0 {
                rect class=(class) x=(px(x)) y=(px(y)) width=(px((per_bar - 3.0).clamp(1.0, 40.0))) height=(px(height)) {}
            }
        }
    };
    let (lost, retry_unsafe) = (height(bucket.severed), height(bucket.retry_unsafe));
    html! {
        g {
            title {
                (time("%m-%d %H:%M", bucket.from)) ": " (bucket.severed) " severed in "
                (count(bucket.terminations, "termination"))
            }
            (rect("unsafe", BASE - retry_unsafe, retry_unsafe))
            (rect("safe", BASE - lost, lost - retry_unsafe))
            (rect("count", BASE + 1.0, tick))
        }
    }
}

/// The dates of the first bar, one in the middle, and now.
fn dates(trend: &Trend, per_bar: f64) -> Markup {
    let format = if trend.width < 7_200.0 { "%H:%M" } else { "%m-%d %H:%M" };
    let y = SIZE.1 - 6.0;
    let middle = trend.buckets.len() / 2;
    html! {
        @if let Some(first) = trend.buckets.first() {
            text.tick x="36" y=(y) { (time(format, first.from)) }
        }
        @if middle > 3 {
            text.tick x=(px(36.0 + middle as f64 * per_bar)) y=(y) text-anchor="middle" {
                (time(format, trend.buckets[middle].from))
            }
        }
        text.tick x=(SIZE.0 - 4.0) y=(y) text-anchor="end" { "now" }
    }
}

fn table(trend: &Trend) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Losses over time" { table.narrow {
            thead { tr {
                th scope="col" { "From (UTC)" }
                th.number scope="col" { "Severed" }
                th.number scope="col" { "Not safe to retry" }
                th.number scope="col" { "Terminations" }
            } }
            tbody { @for bucket in trend.buckets.iter().rev().filter(|bucket| bucket.terminations > 0) {
                tr {
                    td { (time("%m-%d %H:%M", bucket.from)) }
                    td.number { (bucket.severed) }
                    td.number { (bucket.retry_unsafe) }
                    td.number { (bucket.terminations) }
                }
            } }
        } }
    }
}

/// A length in the picture's own unit.
fn px(length: f64) -> String {
    crate::admin::page::text::trimmed(length, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    fn began(at: f64, severed_total: u64) -> Arc<Termination> {
        Arc::new(Termination { began_at: at, severed_total, retry_unsafe_total: 0, ..sample::termination() })
    }

    #[test]
    fn bars_begin_where_a_clock_does_and_hold_everything() {
        let now = 1_790_000_000.0;
        let terminations = [began(now - 5.0, 2), began(now - 3_600.0, 3), began(now - 7_000.0, 0)];
        let trend = Trend::of(&terminations, now).expect("a trend");
        assert_eq!(trend.width, 300.0);
        assert!(trend.buckets.iter().all(|bucket| bucket.from % 300.0 == 0.0));
        let sum = |of: fn(&Bucket) -> u64| trend.buckets.iter().map(of).sum::<u64>();
        assert_eq!((sum(|it| it.terminations), sum(|it| it.severed)), (3, 5));
        assert!(trend.buckets.len() <= BARS);
    }

    #[test]
    fn clocks_that_are_wrong_break_nothing() {
        for at in [0.0, -1e12, 1e12, f64::NAN, f64::INFINITY] {
            section(&[began(at, 1)], 1_790_000_000.0);
        }
        let future = Trend::of(&[began(1_790_000_120.0, 1)], 1_790_000_000.0).expect("a trend");
        assert_eq!(future.buckets.iter().map(|bucket| bucket.severed).sum::<u64>(), 1);
    }
}
