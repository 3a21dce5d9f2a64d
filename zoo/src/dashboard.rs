//! The queries of dashboards, as Grafana would ask them.
//!
//! Invariant: none is left out. One that needs what only a cluster has is in [`ONLY_IN_A_CLUSTER`], and must then have
//! no answer elsewhere.

use crate::prometheus::Prometheus;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From one point to the next, in seconds.
const INTERVAL: u64 = 10;
/// What needs names of Kubernetes, rollouts, or endpoints.
pub const ONLY_IN_A_CLUSTER: &[(&str, &str)] = &[
    ("shutdown-probe-overview", "variable namespace"),
    ("shutdown-probe-overview", "variable workload"),
    ("shutdown-probe-overview", "annotation Rollouts"),
    ("shutdown-probe-overview", "Workloads by losses, D"),
    ("shutdown-probe-workload", "variable namespace"),
    ("shutdown-probe-workload", "variable workload"),
    ("shutdown-probe-workload", "annotation Rollouts"),
    ("shutdown-probe-workload", "From the endpoint's withdrawal to the last connection, A"),
    ("shutdown-probe-workload", "Late connections, by where they came from, A"),
];

/// One query.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of which dashboard: its uid.
    pub dashboard: String,
    /// Where in it: a panel and the query's letter, a variable or an annotation.
    pub place: String,
    expression: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Instant,
    Range,
    Label,
}

impl Question {
    /// Whether it has an answer in a cluster only.
    pub fn is_only_in_a_cluster(&self) -> bool {
        ONLY_IN_A_CLUSTER.contains(&(&self.dashboard, &self.place))
    }

    /// How many series or values answer it, where the dashboard shows the last `range`.
    ///
    /// # Errors
    /// Where Prometheus refuses it.
    pub fn ask(&self, prometheus: &Prometheus, range: Duration) -> Result<usize> {
        let range = range.as_secs();
        let expression = filled_in(&self.expression, range);
        let answer = match self.kind {
            Kind::Instant => prometheus.query(&expression),
            Kind::Label => {
                let inner = expression.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (series, label) = inner
                    .and_then(|inner| inner.rsplit_once(", "))
                    .context("no label_values(series, label)")?;
                prometheus.label(label, series)
            }
            Kind::Range => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?.as_secs();
                prometheus.range(&expression, [now.saturating_sub(range), now, INTERVAL])
            }
        };
        Ok(answer.with_context(|| format!("{}: {}", self.dashboard, self.place))?.len())
    }
}

/// Every query of every dashboard in a directory.
///
/// # Errors
/// A file that is no dashboard.
pub fn questions(directory: &Path) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let dashboard: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            let of_this = of(&dashboard);
            ensure!(!of_this.is_empty(), "{} asks nothing", path.display());
            questions.extend(of_this);
        }
    }
    for (dashboard, place) in ONLY_IN_A_CLUSTER {
        let is_there = questions.iter().any(|it| it.dashboard == *dashboard && it.place == *place);
        ensure!(is_there, "there is no {dashboard}: {place}");
    }
    Ok(questions)
}

fn of(dashboard: &Value) -> Vec<Question> {
    let uid = text(&dashboard["uid"]);
    let question = |place: String, expression: &Value, kind| Question {
        dashboard: uid.clone(),
        place,
        expression: text(expression),
        kind,
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut questions = Vec::new();
    for variable in list(&dashboard["templating"]["list"]) {
        if variable["type"] == "query" {
            let place = format!("variable {}", text(&variable["name"]));
            questions.push(question(place, &variable["query"]["query"], Kind::Label));
        }
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        let place = format!("annotation {}", text(&annotation["name"]));
        questions.push(question(place, &annotation["target"]["expr"], Kind::Range));
    }
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            let place = format!("{}, {}", text(&panel["title"]), text(&target["refId"]));
            let kind = if target["instant"] == true { Kind::Instant } else { Kind::Range };
            questions.push(question(place, &target["expr"], kind));
        }
    }
    questions
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// With the variables as they are when everything is chosen. Longer names first: one begins with another.
fn filled_in(expression: &str, range: u64) -> String {
    let variables = [
        ("$__rate_interval", "1m".to_owned()),
        ("$__interval_ms", (INTERVAL * 1000).to_string()),
        ("$__interval", format!("{INTERVAL}s")),
        ("$__range_s", range.to_string()),
        ("$__range", format!("{range}s")),
        ("$namespace", ".*".to_owned()),
        ("$workload", ".*".to_owned()),
        ("$container", ".*".to_owned()),
        ("$job", ".*".to_owned()),
        ("$instance", ".*".to_owned()),
    ];
    variables.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_query_is_found_and_filled_in() {
        let dashboard = json!({
            "uid": "u",
            "templating": {"list": [{"type": "datasource", "name": "d", "query": "prometheus"},
                                    {"type": "query", "name": "n", "query": {"query": "label_values(x, n)"}}]},
            "annotations": {"list": [{"name": "a", "target": {"expr": "y"}}]},
            "panels": [{"title": "row"}, {"title": "p", "targets": [
                {"refId": "A", "expr": "z[$__range] > $__range_s", "instant": true}, {"refId": "B", "expr": "w"}]}],
        });
        let found: Vec<_> = of(&dashboard).into_iter().map(|it| (it.place, it.kind)).collect();
        let expected = [
            ("variable n", Kind::Label),
            ("annotation a", Kind::Range),
            ("p, A", Kind::Instant),
            ("p, B", Kind::Range),
        ];
        assert_eq!(found, expected.map(|(place, kind)| (place.to_owned(), kind)));
        assert_eq!(filled_in("z[$__range] > $__range_s", 600), "z[600s] > 600");
    }
}
