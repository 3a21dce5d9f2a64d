//! Grafana dashboards, made from the program itself: `deploy/dashboards/*.json`.
//!
//! Their queries are made of the [table](crate::output::metrics::table) and of [`promql::growth`](crate::promql), so
//! that they say the same as the scorecard and the alerts. They need no recording rules, and no Kubernetes.

mod grafana;
mod overview;
mod probe;
mod workload;

use clap::ValueEnum;
use serde_json::Value;

/// Where documents are read.
const DOCUMENTS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/");

/// One dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// Every workload: what it loses, why, and where it goes
    Overview,
    /// One workload: what becomes of its connections, and how it uses its time
    Workload,
    /// The daemons: what they cannot see, and what they take
    Probe,
}

/// Its JSON, as Grafana imports it.
pub fn json(which: Which) -> Value {
    match which {
        Which::Overview => overview::dashboard(),
        Which::Workload => workload::dashboard(),
        Which::Probe => probe::dashboard(),
    }
    .json()
}

fn document(page: &str) -> String {
    format!("{DOCUMENTS}{page}")
}

#[cfg(test)]
mod tests;
