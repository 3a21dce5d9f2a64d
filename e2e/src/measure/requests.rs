//! What the daemon asks of the API server, as the server's audit log has it.

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

const AGENT: &str = "shutdown-probe/";

/// The audit log.
#[derive(Debug)]
pub struct Requests {
    log: PathBuf,
}

/// A place in it.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// How many requests there were, by verb and resource.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, usize>);

impl Requests {
    pub fn of(log: PathBuf) -> Self {
        Self { log }
    }

    /// Its end now.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.open()?.metadata()?.len()))
    }

    /// What was asked from there on.
    pub fn since(&self, Mark(start): Mark) -> Result<Counts> {
        let mut log = self.open()?;
        log.seek(SeekFrom::Start(start))?;
        let mut text = String::new();
        log.read_to_string(&mut text).with_context(|| self.log.display().to_string())?;
        Ok(count(&text))
    }

    fn open(&self) -> Result<File> {
        File::open(&self.log).with_context(|| self.log.display().to_string())
    }
}

/// A watch is recorded when it begins and when it ends: it counts once, when it begins.
fn count(log: &str) -> Counts {
    let mut counts = Counts::default();
    let mut known = BTreeSet::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let is_watch = text("/verb") == "watch";
        let stage = if is_watch { "ResponseStarted" } else { "ResponseComplete" };
        let is_ours = text("/userAgent").starts_with(AGENT) && text("/stage") == stage;
        if is_ours && known.insert(text("/auditID").to_owned()) {
            let resource = match text("/objectRef/resource") {
                "" => text("/requestURI"),
                resource => resource,
            };
            *counts.0.entry(format!("{} {resource}", text("/verb"))).or_default() += 1;
        }
    }
    counts
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.values().sum::<usize>())?;
        let each: Vec<_> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        if each.is_empty() { Ok(()) } else { write!(f, ": {}", each.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_request_of_ours_counts_once() {
        let line = |id: &str, verb: &str, stage: &str, agent: &str| {
            let object = json!({"resource": "pods"});
            json!({"auditID": id, "verb": verb, "stage": stage, "userAgent": agent, "objectRef": object})
                .to_string()
        };
        let log = [
            line("a", "watch", "ResponseStarted", "shutdown-probe/0.1.0"),
            line("a", "watch", "ResponseComplete", "shutdown-probe/0.1.0"),
            line("b", "list", "ResponseComplete", "shutdown-probe/0.1.0"),
            line("c", "list", "ResponseComplete", "kubectl/v1.34"),
            "half a li".to_owned(),
        ];
        assert_eq!(count(&log.join("\n")).to_string(), "2: 1 list pods, 1 watch pods");
        assert_eq!(count("").to_string(), "0");
    }
}
