//! Watches `/metrics` while cases are played: how soon after an exit its losses are counted.

use crate::daemon::Api;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(50);
const SEVERED: &str = "shutdown_probe_severed_connections_total";

/// Severed connections by evidence.
pub type Counts = BTreeMap<String, u64>;

/// What was seen of one container: each change, with its time.
type History = Vec<(Instant, Counts)>;

/// Looks again and again until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    histories: Arc<Mutex<HashMap<String, History>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to look.
    pub fn start(api: Api) -> Self {
        let histories = Arc::new(Mutex::new(HashMap::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&histories), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !shared.1.load(Ordering::Relaxed) {
                // The judge notices by itself if the daemon answers no more.
                if let Ok(text) = api.get("/metrics") {
                    note(&mut shared.0.lock().unwrap_or_else(PoisonError::into_inner), &text);
                }
                std::thread::sleep(PERIOD);
            }
        });
        Self { histories, ended, thread: Some(thread) }
    }

    /// What is counted of this container now, and how long after `since` there were first as many as
    /// `count` in all.
    pub fn look(&self, container: &str, since: Instant, count: u64) -> (Counts, Option<Duration>) {
        let histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(history) = histories.get(container) else { return (Counts::new(), None) };
        let last = history.last().map(|(_, counts)| counts.clone()).unwrap_or_default();
        let reached = history.iter().find(|(_, counts)| counts.values().sum::<u64>() >= count);
        (last, reached.map(|(at, _)| at.saturating_duration_since(since)))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Nothing is lost if it panicked: the histories stay as they are.
            let _panicked = thread.join();
        }
    }
}

fn note(histories: &mut HashMap<String, History>, text: &str) {
    let mut now: HashMap<String, Counts> = HashMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(SEVERED)) {
        if let Some((container, evidence, value)) = parse(line) {
            *now.entry(container).or_default().entry(evidence).or_default() += value;
        }
    }
    for (container, mut counts) in now {
        counts.retain(|_, count| *count > 0);
        let history = histories.entry(container).or_default();
        if history.last().is_none_or(|(_, last)| *last != counts) {
            history.push((Instant::now(), counts));
        }
    }
}

/// `{container="x",evidence="y",...} 3`; no label value of the zoo's holds a quote or a brace.
fn parse(line: &str) -> Option<(String, String, u64)> {
    let (labels, value) = line.strip_prefix('{')?.split_once('}')?;
    let label = |name: &str| {
        let pair = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
        pair?.strip_suffix('"').map(str::to_string)
    };
    Some((label("container")?, label("evidence")?, value.trim().parse::<f64>().ok()? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_causes_and_keeps_changes_only() {
        let mut histories = HashMap::new();
        let text = r#"
# HELP shutdown_probe_severed_connections_total x
shutdown_probe_severed_connections_total{namespace="",container="a",evidence="refused",cause="x"} 2
shutdown_probe_severed_connections_total{namespace="",container="a",evidence="refused",cause="y"} 1
shutdown_probe_severed_connections_total{namespace="",container="a",evidence="unread_request",cause="y"} 0
shutdown_probe_severed_connections_totals{container="a",evidence="refused"} 9
"#;
        note(&mut histories, text);
        note(&mut histories, text);
        let history = &histories["a"];
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].1, Counts::from([("refused".into(), 3)]));
    }
}
