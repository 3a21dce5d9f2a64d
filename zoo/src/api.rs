//! The daemon's answer, as the contract fixes it. What may be added to it is not looked at.
#![expect(missing_docs, reason = "the contract names the fields and says what they mean")]

use serde::Deserialize;
use std::collections::BTreeMap;

/// What the list of terminations is wrapped in.
#[derive(Clone, Debug, Deserialize)]
pub struct List {
    /// Newest first.
    pub terminations: Vec<Termination>,
}

/// A termination.
#[derive(Clone, Debug, Deserialize)]
pub struct Termination {
    pub state: String,
    pub container: Container,
    pub trigger: String,
    pub cause: String,
    pub summary: String,
    pub advice: Vec<String>,
    pub stop_signal: Option<StopSignal>,
    pub kill_signal: Option<serde_json::Value>,
    pub exit: Option<Exit>,
    pub grace: Grace,
    pub severed_total: u64,
    pub severed_by_evidence: BTreeMap<String, u64>,
    pub retry_unsafe_total: u64,
    pub severed: Vec<Severed>,
    pub streams_severed_total: Option<u64>,
    pub drained_total: u64,
    pub late_connections_total: u64,
    pub measured: Measured,
    /// In Kubernetes only, as all that follows.
    #[serde(default)]
    pub announced: Option<Announced>,
    #[serde(default)]
    pub routing: Option<Routing>,
    #[serde(default)]
    pub late_by_source: BTreeMap<String, u64>,
}

impl Termination {
    /// Whether nothing more will be added.
    pub fn is_complete(&self) -> bool {
        self.state == "complete"
    }
}

/// Whose end.
#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    pub cgroup: String,
    /// Its name in the pod; in Kubernetes only.
    pub name: Option<String>,
    pub pod: Option<Pod>,
    pub workload: Option<Workload>,
}

/// The pod of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// What the pod is one of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Workload {
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub revision: Option<String>,
}

/// From the deletion of the pod to the stop signal.
#[derive(Clone, Debug, Deserialize)]
pub struct Announced {
    pub at: f64,
    pub stop_signal_after_seconds: Option<f64>,
    pub connections: u64,
}

/// How its endpoints were withdrawn.
#[derive(Clone, Debug, Deserialize)]
pub struct Routing {
    pub services: Vec<String>,
    pub not_ready_after_seconds: Option<f64>,
    pub removed_after_seconds: Option<f64>,
    pub lag_seconds: Option<f64>,
    pub unanswered_attempts: String,
}

/// The first stop signal.
#[derive(Clone, Debug, Deserialize)]
pub struct StopSignal {
    pub signal: String,
    pub at: f64,
    pub disposition: String,
}

/// How the main process ended.
#[derive(Clone, Debug, Deserialize)]
pub struct Exit {
    pub at: f64,
    pub code: Option<i32>,
    pub signal: Option<String>,
}

/// How the grace period was used.
#[derive(Clone, Debug, Deserialize)]
pub struct Grace {
    #[serde(default)]
    pub allowed_seconds: Option<f64>,
    pub exceeded: bool,
}

/// A severed connection.
#[derive(Clone, Debug, Deserialize)]
pub struct Severed {
    pub peer: String,
    pub evidence: String,
    pub protocol: Option<String>,
    pub confidence: Option<String>,
    pub streams_severed: Option<u64>,
    pub response_bytes: Option<u64>,
    pub expected_bytes: Option<u64>,
}

/// What the daemon vouches for.
#[derive(Clone, Debug, Deserialize)]
pub struct Measured {
    pub lost_records: u64,
}
