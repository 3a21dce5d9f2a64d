//! What is asked of Prometheus, and the answers side by side.
//!
//! Growth is asked for in pieces: they add up to the whole, exactly, and say when it was. The window before is asked
//! for along with it. Most series stay at 0 for ever, so it is first asked which do not: the rest costs nothing then.

use super::answer::{Answer, Series};
use super::client::{Client, Steps};
use crate::exit::Failure;
use crate::promql::{OWNER, Window, growth, literal, selector};
use std::collections::BTreeSet;

const SEVERED: &str = "shutdown_probe_severed_connections_total";
const TERMINATIONS: &str = "shutdown_probe_terminations_total";
const NOT_MEASURED: &str = "shutdown_probe_not_measured_connections_total";
const PRE_STOP: &str = "shutdown_probe_recommended_pre_stop_seconds";

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// How many pieces a window of less than a day has.
const PIECES: u64 = 24;
/// Prometheus gives 11,000 values of a series at most.
const PIECES_MOST: u64 = 5000;

/// How long a matcher may be: it stands in the query several times, and the query in a URL.
const MATCHER_MOST: usize = 200;

/// Whose numbers are asked for.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Only of this namespace.
    pub namespace: Option<String>,
    /// Only of this workload; where there is none, of this container.
    pub workload: Option<String>,
}

/// A window in pieces that end at the same moment as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its end, in seconds since the epoch.
    pub end: u64,
    /// How long one piece is, in seconds.
    pub piece: u64,
    /// How many there are.
    pub pieces: u64,
}

impl Period {
    /// The window of at least so many seconds that ends then.
    pub fn new(end: u64, seconds: u64) -> Self {
        let seconds = seconds.max(1);
        let piece = if seconds >= DAY { HOUR } else { (seconds / PIECES).max(1) };
        let piece = piece.max(seconds.div_ceil(PIECES_MOST));
        Self { end, piece, pieces: seconds.div_ceil(piece) }
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> u64 {
        self.piece * self.pieces
    }

    /// When it begins, in seconds since the epoch.
    pub fn begin(&self) -> u64 {
        self.end.saturating_sub(self.seconds())
    }

    /// Whether the piece that ends at this time is in it. Otherwise it is in the window before.
    pub fn has(&self, at: f64) -> bool {
        at > self.begin() as f64 + self.piece as f64 / 2.0
    }

    fn steps(&self) -> Steps {
        let start = self.end.saturating_sub(2 * self.seconds()) + self.piece;
        Steps { start, end: self.end, step: self.piece }
    }
}

/// All that was answered.
#[derive(Debug, Default)]
pub struct Observed {
    /// Growth of severed connections by owner, evidence, cause and retry_safe, in pieces of both windows.
    pub severed: Vec<Series>,
    /// The same of terminations, by owner, trigger and cause.
    pub terminations: Vec<Series>,
    /// How many daemons were scraped, in pieces of both windows.
    pub daemons: Vec<Series>,
    /// Connections without a fate, by owner.
    pub not_measured: Vec<Series>,
    /// Recommended preStop sleeps, by owner.
    pub pre_stop: Vec<Series>,
    /// Lost records, by `where`.
    pub lost_records: Vec<Series>,
    /// Probes that do not run, by probe and verdict: on how many nodes.
    pub probes: Vec<Series>,
    /// Daemons that were scraped in the window and are not now.
    pub down: Vec<Series>,
    /// Daemons that are scraped more than once.
    pub twice: Vec<Series>,
    /// What Prometheus finds doubtful about its answers, each once.
    pub warnings: Vec<String>,
}

impl Observed {
    /// Asks for everything.
    ///
    /// # Errors
    /// See [`Client::instant`].
    pub fn ask(client: &Client, subject: &Subject, period: &Period) -> Result<Self, Failure> {
        let mut warnings = Vec::new();
        let mut note = |answer: Answer| {
            for warning in answer.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
            answer.series
        };
        let whole = Window::of_seconds(period.seconds());
        let of = |metric: &str| of_subject(metric, subject);
        let at = |query: String| client.instant(&query, period.end);
        let seconds = period.seconds();
        let observed = Self {
            daemons: note(client.range("count(shutdown_probe_build_info)", period.steps())?),
            severed: note(pieces(client, &of(SEVERED), &["evidence", "cause", "retry_safe"], period)?),
            terminations: note(pieces(client, &of(TERMINATIONS), &["trigger", "cause"], period)?),
            not_measured: note(at(growth(&of(NOT_MEASURED), &whole, &OWNER) + " > 0")?),
            pre_stop: note(at(format!(
                "max by ({}) (last_over_time({}[{seconds}s]))",
                OWNER.join(", "),
                of(PRE_STOP)
            ))?),
            lost_records: note(at(growth("shutdown_probe_lost_records_total", &whole, &["where"]) + " > 0")?),
            probes: note(at("count by (probe, verdict) \
                             (shutdown_probe_probe_status{verdict!~\"attached|granted|switched_off\"} == 1)"
                .into())?),
            down: note(at(format!(
                "count(up == 0 and on (job, instance) last_over_time(shutdown_probe_build_info[{seconds}s]))"
            ))?),
            twice: note(at("count(count by (instance) (shutdown_probe_build_info) > 1)".into())?),
            warnings: Vec::new(),
        };
        Ok(Self { warnings, ..observed })
    }
}

/// Growth by owner and by these labels, of those series that have grown at all.
fn pieces(client: &Client, counter: &str, more: &[&str], period: &Period) -> Result<Answer, Failure> {
    let by = [&OWNER[..], more].concat();
    let both = 2 * period.seconds();
    let moved = format!("group by ({}) (max_over_time({counter}[{both}s]) > 0)", by.join(", "));
    let moved = client.instant(&moved, period.end)?;
    if moved.series.is_empty() {
        return Ok(moved);
    }
    let counter = narrowed(counter, &by, &moved.series);
    let grown = growth(&counter, &Window::of_seconds(period.piece), &by) + " > 0";
    let mut answer = client.range(&grown, period.steps())?;
    answer.warnings.extend(moved.warnings);
    Ok(answer)
}

/// The selector, with what these series have in their labels. A label with too much to say is left out.
fn narrowed(counter: &str, by: &[&str], series: &[Series]) -> String {
    let values = |label: &&str| -> Option<(String, String)> {
        let values: BTreeSet<String> = series.iter().map(|one| literal(one.label(label))).collect();
        let values = values.into_iter().collect::<Vec<_>>().join("|");
        (values.len() <= MATCHER_MOST).then(|| ((*label).to_owned(), values))
    };
    let found: Vec<(String, String)> = by.iter().filter_map(values).collect();
    let matchers: Vec<_> =
        found.iter().map(|(label, values)| (label.as_str(), "=~", values.as_str())).collect();
    let more = selector("", &matchers);
    match counter.strip_suffix('}') {
        None => counter.to_owned() + &more,
        Some(open) => format!("{open},{}", more.strip_prefix('{').unwrap_or("}")),
    }
}

fn of_subject(metric: &str, subject: &Subject) -> String {
    let workload = subject.workload.as_deref().map(|name| format!("{}|", literal(name)));
    let mut matchers = Vec::new();
    if let Some(namespace) = &subject.namespace {
        matchers.push(("namespace", "=", namespace.as_str()));
    }
    if let Some(workload) = &workload {
        matchers.push(("workload", "=~", workload));
    }
    selector(metric, &matchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_whole_pieces() {
        let week = Period::new(1_790_000_000, 7 * DAY);
        assert_eq!((week.piece, week.pieces, week.seconds()), (HOUR, 168, 7 * DAY));
        assert_eq!(week.steps().start, 1_790_000_000 - 14 * DAY + HOUR);
        assert_eq!(Period::new(1000, 600), Period { end: 1000, piece: 25, pieces: 24 });
        assert_eq!(Period::new(1000, 7), Period { end: 1000, piece: 1, pieces: 7 });
        let year = Period::new(1_790_000_000, 365 * DAY);
        assert!(year.pieces <= PIECES_MOST && year.seconds() >= 365 * DAY);
    }

    #[test]
    fn a_piece_is_in_the_window_in_which_it_ends() {
        let period = Period { end: 1000, piece: 100, pieces: 3 };
        assert!(period.has(1000.0) && period.has(800.0));
        assert!(!period.has(700.0) && !period.has(500.0));
    }

    #[test]
    fn what_never_moved_is_not_asked_for_again() {
        let one = |workload: &str| Series {
            labels: [("workload".to_owned(), workload.to_owned())].into(),
            values: Vec::new(),
        };
        let series = [one("web"), one("a.b"), one("web")];
        assert_eq!(narrowed("x", &["workload"], &series), r#"x{workload=~"a\\.b|web"}"#);
        assert_eq!(narrowed("x{n=\"s\"}", &["workload"], &series), r#"x{n="s",workload=~"a\\.b|web"}"#);
        assert_eq!(narrowed("x", &["workload"], &[one(&"w".repeat(MATCHER_MOST + 1))]), "x");
        assert_eq!(
            narrowed("x{n=\"s\"}", &["workload"], &[one(&"w".repeat(MATCHER_MOST + 1))]),
            r#"x{n="s",}"#
        );
    }

    #[test]
    fn the_subject_is_in_the_selector() {
        let subject = Subject { namespace: Some("shop".into()), workload: Some("web.1".into()) };
        assert_eq!(of_subject("x", &subject), r#"x{namespace="shop",workload=~"web\\.1|"}"#);
        assert_eq!(of_subject("x", &Subject::default()), "x");
    }
}
