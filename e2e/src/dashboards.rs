//! What only a cluster can answer of the dashboards' queries: names, rollouts, endpoints. `cargo xtask dashboards` asks
//! all others.

use crate::prometheus::Prometheus;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::Duration;
use zoo::dashboard;

/// Each has data of the time in which cases were played.
pub fn check(prometheus: &Prometheus, played: Duration) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("e2e has no parent directory")?;
    let questions = dashboard::questions(&root.join("deploy/dashboards"))?;
    let mut asked = 0;
    for question in questions.iter().filter(|question| question.is_only_in_a_cluster()) {
        let answers = question.ask(prometheus.inner(), played)?;
        ensure!(answers > 0, "dashboard {}: {} has no data in a cluster", question.dashboard, question.place);
        asked += 1;
    }
    println!("{asked} queries of dashboards that only a cluster can answer have data");
    Ok(())
}
