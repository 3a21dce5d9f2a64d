//! `shutdown-probe report --prometheus`, compared with the truth.

use super::truth::{Losses, Truth};
use crate::prometheus::Prometheus;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What it prints.
///
/// # Errors
/// Where it fails.
pub fn print(program: &Path, prometheus: &Prometheus, arguments: &[&str]) -> Result<String> {
    let mut report = Command::new(program);
    report.args(["report", "--prometheus", prometheus.base(), "--since", "1h"]).args(arguments);
    let output = report.output().context("shutdown-probe report")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "shutdown-probe report {arguments:?}: {}\n{err}", output.status);
    Ok(out.into_owned())
}

/// Where card and truth differ, in sentences.
///
/// # Errors
/// Where there is no card.
pub fn compare(program: &Path, prometheus: &Prometheus, daemons: u64, truth: &Truth) -> Result<Vec<String>> {
    let card: Value =
        serde_json::from_str(&print(program, prometheus, &["--json"])?).context("the scorecard")?;
    let rows = card["workloads"].as_array().context("no workloads")?;
    let mut differences = Vec::new();
    let mut check = |what: String, expected: &Value, found: &Value| {
        if expected != found {
            differences.push(format!("scorecard, {what}: expected {expected}, found {found}"));
        }
    };
    for (name, losses) in truth {
        let row = rows.iter().find(|row| row["container"] == name.as_str()).unwrap_or(&Value::Null);
        for (field, expected) in expected(losses) {
            check(format!("{name}, {field}"), &expected, &row[field]);
        }
        let cause = row["cause"].as_str();
        let is_right = match cause {
            Some(cause) => losses.causes.iter().any(|may| may.as_str() == cause) && row["fix"].is_string(),
            None => losses.severed() == 0,
        };
        check(format!("{name}, cause {cause:?} is right"), &true.into(), &is_right.into());
    }
    check("number of workloads".into(), &truth.len().into(), &rows.len().into());
    check("daemons".into(), &daemons.into(), &card["daemons"]["scraped"]);
    let sum = |count: fn(&Losses) -> u64| truth.values().map(count).sum::<u64>();
    check("total".into(), &sum(Losses::severed).into(), &card["total"]["severed"]);
    check("unsafe".into(), &sum(|losses| losses.retry_unsafe).into(), &card["total"]["retry_unsafe"]);
    Ok(differences)
}

fn expected(losses: &Losses) -> [(&'static str, Value); 4] {
    [
        ("severed", losses.severed().into()),
        ("retry_unsafe", losses.retry_unsafe.into()),
        ("terminations", losses.terminations.into()),
        ("evidence", serde_json::json!(losses.evidence)),
    ]
}
