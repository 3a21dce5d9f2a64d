//! The rules of `deploy/alerts`, evaluated by a real Prometheus while the zoo is played.

use super::truth::{Losses, Truth};
use crate::prometheus::{Prometheus, value};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the alerts begin: what is before them are records.
const ALERTS: &str = "  - name: shutdown-probe.workloads";

/// Writes the rules as they are, only evaluated each second; and the records once more under another name, in a world in
/// which a minute lasts for a second, for nobody waits for a day.
///
/// # Errors
/// Where they cannot be read or written.
pub fn prepare(rules: &Path, directory: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(rules).with_context(|| rules.display().to_string())?;
    let records = text.split(ALERTS).next().unwrap_or_default();
    let files = [("rules.yaml", each_second(&text)), ("fast.yaml", each_second(&fast(records)))];
    files
        .map(|(name, text)| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| path.display().to_string()).map(|()| path)
        })
        .into_iter()
        .collect()
}

fn each_second(rules: &str) -> String {
    rules.replace("interval: 30s", "interval: 1s").replace("interval: 1m", "interval: 1s")
}

fn fast(records: &str) -> String {
    let shorter =
        records.replace("[15m]", "[15s]").replace(":15m]", ":15s]").replace("offset 15m", "offset 15s");
    let shorter =
        shorter.replace("time() - 900", "time() - 15").replace("[1d:", "[1440s:").replace("[1h:", "[60s:");
    shorter.replace("shutdown_probe:", "fast:").replace("name: shutdown-probe.", "name: fast.")
}

/// Where records and alerts differ from the truth, in sentences.
///
/// # Errors
/// Where Prometheus has no answer.
pub fn compare(prometheus: &Prometheus, truth: &Truth) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let severed: BTreeMap<String, u64> = truth
        .iter()
        .map(|(name, losses)| (name.clone(), losses.severed()))
        .filter(|(_, count)| *count > 0)
        .collect();
    for record in [
        "sum by (container) (shutdown_probe:severed_connections:increase15m) > 0",
        "sum by (container) (fast:severed_connections:per_day) > 0",
    ] {
        let found = by_container(prometheus, record)?;
        if found != severed {
            differences.push(format!("{record}: expected {severed:?}, found {found:?}"));
        }
    }
    let is_unsafe = |losses: &&Losses| losses.retry_unsafe > 0;
    for (alert, expected) in [
        ("ShutdownProbeSeveredConnections", severed.len()),
        ("ShutdownProbeRetryUnsafeLosses", truth.values().filter(is_unsafe).count()),
    ] {
        let query = format!("count by (container) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
        let found = prometheus.query(&query)?.len();
        if found != expected {
            differences.push(format!("{alert} fires for {found} containers, expected {expected}"));
        }
    }
    Ok(differences)
}

fn by_container(prometheus: &Prometheus, query: &str) -> Result<BTreeMap<String, u64>> {
    let pair = |sample: &serde_json::Value| {
        Some((sample["metric"]["container"].as_str()?.to_owned(), value(sample)?.round() as u64))
    };
    Ok(prometheus.query(query)?.iter().filter_map(pair).collect())
}
