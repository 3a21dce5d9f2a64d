//! How long it takes from `kubectl apply` until the daemon can be scraped.

use super::Bench;
use crate::daemon::DAEMON_SET;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// The DaemonSet is taken away and given back as it was. The image is on the node.
pub fn measure(bench: &Bench<'_>) -> Result<Duration> {
    let daemon = bench.daemon.kubectl();
    let mut object = daemon.json(&["get", DAEMON_SET])?;
    strip(&mut object).context("the DaemonSet has no metadata")?;
    daemon.run(&["delete", DAEMON_SET, "--cascade=foreground", "--wait=true", "--timeout=60s"])?;
    let begun = Instant::now();
    daemon.apply(&object)?;
    loop {
        let scraped = bench.daemon.addresses().and_then(|all| {
            all.iter().try_for_each(|address| bench.daemon.get(address, "/metrics").map(|_| ()))
        });
        if scraped.is_ok() {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < PATIENCE, "the daemon cannot be scraped: {scraped:?}");
        std::thread::sleep(PAUSE);
    }
}

/// What the API server adds to an object.
fn strip(object: &mut Value) -> Option<()> {
    object.as_object_mut()?.remove("status");
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata.retain(|field, _| ["name", "namespace", "labels", "annotations"].contains(&field.as_str()));
    Some(())
}
