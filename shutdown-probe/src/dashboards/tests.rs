//! What every dashboard must be. Whether its queries return data is shown by a real Prometheus: `cargo xtask dashboards`.

use super::*;
use crate::output::metrics::table::{Kind, TABLE};
use std::collections::BTreeSet;

/// What Prometheus adds of its own.
const OF_PROMETHEUS: [&str; 3] = ["up", "scrape_samples_scraped", "scrape_duration_seconds"];
/// Metrics that no dashboard shows, and why.
const LEFT_OUT: [(&str, &str); 1] =
    [("process_virtual_memory_bytes", "address space, not memory: it says nothing about the node")];

fn all() -> Vec<Value> {
    Which::value_variants().iter().map(|which| json(*which)).collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Every expression of it: panels, annotations and variables.
fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = list(dashboard, "/panels").iter().flat_map(|panel| list(panel, "/targets"));
    let annotations = list(dashboard, "/annotations/list").iter().map(|annotation| &annotation["target"]);
    let queries =
        list(dashboard, "/templating/list").iter().filter_map(|variable| variable["query"]["query"].as_str());
    let of_panels = targets.chain(annotations).filter_map(|target| target["expr"].as_str());
    of_panels.chain(queries).map(str::to_owned).collect()
}

/// Names of metrics in it; those of a histogram's parts are the histogram's.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| {
        word.starts_with("shutdown_probe_") || word.starts_with("process_") || OF_PROMETHEUS.contains(word)
    });
    let histogram = |name: &str| {
        let of = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let is_one =
            |of: &&str| TABLE.iter().any(|spec| spec.name == *of && matches!(spec.kind, Kind::Histogram(_)));
        of.filter(is_one).unwrap_or(name).to_owned()
    };
    ours.map(histogram).collect()
}

#[test]
fn every_metric_is_one_of_ours_and_all_of_ours_are_shown() {
    let shown: BTreeSet<String> =
        all().iter().flat_map(expressions).flat_map(|expression| metrics(&expression)).collect();
    for name in shown.iter().filter(|name| !OF_PROMETHEUS.contains(&name.as_str())) {
        assert!(TABLE.iter().any(|spec| spec.name == *name), "{name} is no metric of the daemon");
    }
    for spec in TABLE {
        let left_out = LEFT_OUT.iter().any(|(name, _)| *name == spec.name);
        assert!(
            shown.contains(spec.name) != left_out,
            "{}: shown or left out for a reason, not both",
            spec.name
        );
    }
}

#[test]
fn panels_have_ids_places_words_and_units_of_their_own() {
    for dashboard in all() {
        let panels = list(&dashboard, "/panels");
        let title = |panel: &Value| format!("{}: {}", dashboard["title"], panel["title"]);
        let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len());
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
            assert!(at("x") + at("w") <= 24, "{} is too wide", title(panel));
            for cell in
                (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)))
            {
                assert!(taken.insert(cell), "{} lies on another", title(panel));
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(
                panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{}",
                title(panel)
            );
            if panel["type"] != "text" {
                let unit = panel.pointer("/fieldConfig/defaults/unit").and_then(Value::as_str);
                assert!(unit.is_some_and(|unit| !unit.is_empty()), "{} has no unit", title(panel));
                assert!(!list(panel, "/targets").is_empty(), "{} asks nothing", title(panel));
            }
        }
    }
}

#[test]
fn every_variable_that_is_used_is_there_and_every_document_that_is_linked_exists() {
    for dashboard in all() {
        let known: Vec<_> = list(&dashboard, "/templating/list")
            .iter()
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        assert_eq!(known[0], "datasource");
        for expression in expressions(&dashboard) {
            for used in expression.split('$').skip(1) {
                let name: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                assert!(name.starts_with("__") || known.contains(&name.as_str()), "{name} in {expression}");
            }
        }
        let text = dashboard.to_string();
        for page in text.split(DOCUMENTS).skip(1) {
            let page = page.split(['"', ')']).next().expect("a page");
            let path = format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&path).exists(), "{page} is linked and does not exist");
        }
    }
}

#[test]
fn names_are_unique_and_lead_to_each_other() {
    let uids: BTreeSet<String> = all().iter().map(|dashboard| dashboard["uid"].to_string()).collect();
    assert_eq!(uids.len(), Which::value_variants().len());
    let overview = json(Which::Overview).to_string();
    assert!(overview.contains("/d/shutdown-probe-workload?"));
}

#[test]
fn the_files_in_the_repository_are_up_to_date() {
    for which in Which::value_variants() {
        let name = which.to_possible_value().map(|value| value.get_name().to_owned()).expect("a name");
        let path = format!("{}/../deploy/dashboards/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let written = std::fs::read_to_string(&path).expect("a dashboard");
        let made = serde_json::to_string_pretty(&json(*which)).expect("JSON") + "\n";
        assert!(written == made, "{name}.json is stale: cargo xtask dashboards --write");
    }
}
