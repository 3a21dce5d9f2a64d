//! How much a counter has grown, in PromQL: the one expression behind the scorecard, the dashboards and the recording
//! rules, so that all of them give the same number.
//!
//! It deliberately is no bare `increase()`. That extrapolates, so that 3 losses become 3.17; and it does not see the
//! first value of a series, which for a short-lived container is all there is.

/// The labels that say whose number it is.
pub const OWNER: [&str; 4] = ["namespace", "workload_kind", "workload", "container"];

/// A length of time, as a range selector has it and in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    range: String,
    seconds: String,
}

impl Window {
    /// So many seconds.
    pub fn of_seconds(seconds: u64) -> Self {
        Self { range: format!("{seconds}s"), seconds: seconds.to_string() }
    }

    /// As it is to be written, for rules and for the variables of a dashboard.
    pub fn written(range: &str, seconds: &str) -> Self {
        Self { range: range.to_owned(), seconds: seconds.to_owned() }
    }
}

/// How much this counter has grown in the window, summed by these labels. `counter` is a selector.
///
/// What it stood at last, less what it stood at when the window began. A series that was not there then counts from 0
/// if its target was scraped then, or started later or in the five minutes before, which Prometheus may take to find
/// it; else from its first value, for nobody knows how old that is. Where it was reset, `increase()` knows better.
pub fn growth(counter: &str, window: &Window, by: &[&str]) -> String {
    let Window { range, seconds } = window;
    let by = by.join(", ");
    format!(
        "\
sum by ({by}) (
  (
    last_over_time({counter}[{range}])
    - (
      {counter} offset {range}
      or (
        last_over_time({counter}[{range}]) * 0
        and on (job, instance) (
          up offset {range} == 1
          or last_over_time(process_start_time_seconds[{range}]) > time() - {seconds} - 300
        )
      )
      or min_over_time({counter}[{range}])
    )
    unless resets({counter}[{range}]) > 0
  )
  or increase({counter}[{range}])
)"
    )
}

/// A selector with these matchers: label, operator, value.
pub fn selector(metric: &str, matchers: &[(&str, &str, &str)]) -> String {
    if matchers.is_empty() {
        return metric.to_owned();
    }
    let matchers: Vec<String> = matchers
        .iter()
        .map(|(label, operator, value)| format!("{label}{operator}{}", quoted(value)))
        .collect();
    format!("{metric}{{{}}}", matchers.join(","))
}

/// A text as a string literal.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A regular expression that matches this text and nothing else.
pub fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = include_str!("../../deploy/alerts/rules.yaml");

    fn in_one_line(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The records of the rules and the expression here are one.
    #[test]
    fn the_recording_rules_use_this_expression() {
        let rules = in_one_line(RULES);
        let window = Window::written("15m", "900");
        let owned = |more: &[&'static str]| -> Vec<&str> { OWNER.iter().chain(more).copied().collect() };
        for (record, counter, more) in [
            ("severed_connections", "shutdown_probe_severed_connections_total", &["cause", "retry_safe"][..]),
            ("stop_signals", "shutdown_probe_stop_signals_total", &["signal", "disposition"]),
            ("kills", "shutdown_probe_kills_total", &["reason"]),
            ("late_connections", "shutdown_probe_late_connections_total", &[]),
            ("rollout_terminations", "shutdown_probe_terminations_total{trigger=\"rollout\"}", &[]),
        ] {
            let expression = in_one_line(&growth(counter, &window, &owned(more)));
            let rule = format!("record: shutdown_probe:{record}:increase15m expr: |- {expression}");
            assert!(rules.contains(&rule), "rules.yaml does not say\n{rule}");
        }
    }

    #[test]
    fn what_is_asked_for_cannot_leave_its_quotes() {
        assert_eq!(selector("x", &[]), "x");
        assert_eq!(selector("x", &[("a", "=", "b\"} or y{\\")]), r#"x{a="b\"} or y{\\"}"#);
        assert_eq!(literal("web.v1|x"), r"web\.v1\|x");
        assert_eq!(selector("x", &[("a", "=~", &literal("a.b"))]), r#"x{a=~"a\\.b"}"#);
    }
}
