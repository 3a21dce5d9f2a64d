//! `alerts`: deploy/alerts/rules.yaml is the one source. The object for the Prometheus operator is written from it,
//! promtool judges the rules and plays their tests, and each alert has a runbook.

use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const HEAD: &str = "\
# Written by `cargo xtask alerts --write` from rules.yaml; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: shutdown-probe
  namespace: shutdown-probe
  labels:
    app.kubernetes.io/name: shutdown-probe
spec:
";
const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];

/// What can be typed after `cargo xtask alerts`.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Write what is generated, instead of comparing it
    #[arg(long)]
    write: bool,
}

/// Checks rules, tests and runbooks.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let directory = context.workspace.root().join("deploy/alerts");
    let source = read(&directory.join("rules.yaml"))?;
    let object = directory.join("prometheusrule.yaml");
    if arguments.write {
        fs::write(&object, object_of(&source)).with_context(|| object.display().to_string())?;
    }
    let written = read(&object)?;
    ensure!(
        written == object_of(&source),
        "{} is out of date; cargo xtask alerts --write writes it",
        object.display()
    );
    let alerts = alerts(&source)?;
    runbooks(&alerts, &context.workspace.root().join("docs/runbooks"))?;
    let tests = read(&directory.join("tests.yaml"))?;
    fires(&alerts, &tests)?;
    ordered(&source, &tests)?;
    let promtool = || {
        let mut promtool = Command::new("promtool");
        promtool.current_dir(&directory);
        promtool
    };
    command::run(promtool().args(["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]))?;
    command::run(promtool().args(["test", "rules", "tests.yaml"]))
}

/// The rules as an object of the Prometheus operator.
fn object_of(rules: &str) -> String {
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    HEAD.to_owned() + &rules.lines().map(indented).collect::<String>()
}

/// Each alert's name and runbook.
fn alerts(rules: &str) -> Result<Vec<(String, String)>> {
    let rules: Value = serde_saphyr::from_str(rules).context("rules.yaml")?;
    let groups = rules["groups"].as_array().context("rules.yaml has no groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let mut found = Vec::new();
    for rule in rules {
        let Some(name) = rule["alert"].as_str() else { continue };
        for place in ["/labels/severity", "/annotations/summary", "/annotations/description"] {
            ensure!(rule.pointer(place).is_some_and(Value::is_string), "{name} has no {place}");
        }
        let runbook = rule.pointer("/annotations/runbook_url").and_then(Value::as_str);
        found.push((
            name.to_owned(),
            runbook.with_context(|| format!("{name} has no runbook_url"))?.to_owned(),
        ));
    }
    ensure!(!found.is_empty(), "rules.yaml has no alerts");
    Ok(found)
}

/// Every alert has its page, with all its sections, and every page its alert.
fn runbooks(alerts: &[(String, String)], directory: &Path) -> Result<()> {
    let mut pages = BTreeSet::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        pages.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    for (name, url) in alerts {
        let page = format!("{name}.md");
        ensure!(url.ends_with(&format!("/docs/runbooks/{page}")), "{name} links {url}");
        ensure!(pages.remove(&page), "{name} has no page docs/runbooks/{page}");
        let text = read(&directory.join(&page))?;
        for section in SECTIONS {
            ensure!(text.lines().any(|line| line == section), "{page} has no section '{section}'");
        }
    }
    ensure!(pages.is_empty(), "no alert links these pages: {pages:?}");
    Ok(())
}

/// Every alert is seen to fire, and to be silent, in some test.
fn fires(alerts: &[(String, String)], tests: &str) -> Result<()> {
    let tests: Value = serde_saphyr::from_str(tests).context("tests.yaml")?;
    let tests = tests["tests"].as_array().context("tests.yaml has no tests")?;
    let moments: Vec<&Value> =
        tests.iter().filter_map(|test| test["alert_rule_test"].as_array()).flatten().collect();
    for (name, _) in alerts {
        let is_seen = |silent: bool| {
            let is_so =
                |moment: &&&Value| moment["exp_alerts"].as_array().is_none_or(Vec::is_empty) == silent;
            moments.iter().filter(|moment| moment["alertname"] == name.as_str()).any(|moment| is_so(&moment))
        };
        ensure!(is_seen(false), "no test sees {name} fire");
        ensure!(is_seen(true), "no test sees {name} silent");
    }
    Ok(())
}

/// The tests evaluate every group in its order: one that `group_eval_order` omits, promtool puts anywhere.
fn ordered(rules: &str, tests: &str) -> Result<()> {
    let rules: Value = serde_saphyr::from_str(rules).context("rules.yaml")?;
    let tests: Value = serde_saphyr::from_str(tests).context("tests.yaml")?;
    let groups: Vec<&Value> =
        rules["groups"].as_array().into_iter().flatten().map(|group| &group["name"]).collect();
    let order: Vec<&Value> = tests["group_eval_order"].as_array().into_iter().flatten().collect();
    ensure!(
        order == groups,
        "tests.yaml: group_eval_order is {order:?}, the groups of rules.yaml are {groups:?}"
    );
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups:\n  - rules:\n      - record: a:b\n      - alert: A\n        labels: {severity: info}\n        \
                         annotations: {summary: s, description: d, runbook_url: u/docs/runbooks/A.md}\n";

    #[test]
    fn an_alert_is_found_and_a_record_is_none() {
        assert_eq!(alerts(RULES).unwrap(), [("A".to_owned(), "u/docs/runbooks/A.md".to_owned())]);
        assert!(alerts(&RULES.replace("runbook_url", "link")).is_err());
        assert!(alerts(&RULES.replace("alert:", "record:")).is_err());
    }

    #[test]
    fn an_alert_must_be_seen_both_ways() {
        let alerts = [("A".to_owned(), String::new())];
        let fire = "tests:\n  - alert_rule_test:\n      - {alertname: A, exp_alerts: [{}]}\n";
        assert!(fires(&alerts, fire).is_err());
        fires(&alerts, &format!("{fire}      - {{alertname: A, exp_alerts: []}}\n")).unwrap();
    }

    #[test]
    fn the_object_contains_the_rules() {
        assert!(object_of("groups:\n\n  - name: x\n").ends_with("spec:\n  groups:\n\n    - name: x\n"));
    }

    #[test]
    fn the_groups_are_evaluated_in_their_order() {
        let rules = "groups: [{name: records}, {name: alerts}]\n";
        assert!(ordered(rules, "group_eval_order: [records, alerts]\n").is_ok());
        assert!(ordered(rules, "group_eval_order: [alerts, records]\n").is_err());
        assert!(ordered(rules, "group_eval_order: [records]\n").is_err());
        assert!(ordered(rules, "tests: []\n").is_err());
    }
}
