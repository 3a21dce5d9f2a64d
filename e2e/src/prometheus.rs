//! The zoo's Prometheus, beside the cluster: it scrapes the daemon's pods.

use crate::daemon::PORT;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use zoo::prometheus::value;

/// It runs until this is dropped.
#[derive(Debug)]
pub struct Prometheus(zoo::prometheus::Prometheus);

impl Prometheus {
    /// `directory`: for its data and its log.
    pub fn start(program: &Path, addresses: &[String], directory: &Path) -> Result<Self> {
        let mut prometheus = Self(zoo::prometheus::Prometheus::start(program, directory, &[])?);
        prometheus.look_at(addresses)?;
        prometheus.0.wait_for("scrape of the daemon", "up == 1", |found| !found.is_empty())?;
        Ok(prometheus)
    }

    /// Scrapes these from now on. It notices by itself.
    pub fn look_at(&self, addresses: &[String]) -> Result<()> {
        let targets: Vec<String> = addresses.iter().map(|address| format!("{address}:{PORT}")).collect();
        self.0.look_at(&targets)
    }

    /// Values of an instant query, by one label.
    pub fn counts(&self, query: &str, label: &str) -> Result<BTreeMap<String, u64>> {
        let pair = |sample: &Value| {
            Some((sample["metric"][label].as_str().unwrap_or_default().to_owned(), value(sample)? as u64))
        };
        Ok(self.0.query(query)?.iter().filter_map(pair).collect())
    }

    /// The zoo's.
    pub fn inner(&self) -> &zoo::prometheus::Prometheus {
        &self.0
    }
}
