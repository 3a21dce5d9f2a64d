//! What the daemon serves over HTTP: metrics, health, verdicts, the API and a page.
//!
//! Invariant: read-only. Nothing that a client sends changes anything but which answer it gets.

mod page;
mod query;
mod routes;
mod server;

pub use query::Since;
pub use routes::router;
pub use server::{Limits, bind, serve};

use crate::output::metrics::Metrics;
use crate::output::store::Store;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

/// What the handlers answer from.
#[derive(Clone)]
pub struct Shared {
    /// The terminations.
    pub store: Arc<Store>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Whether the probes are attached.
    pub readiness: Arc<Readiness>,
}

/// Whether the daemon observes, and by which probes.
#[derive(Debug)]
pub struct Readiness(RwLock<Stage>);

/// How far the daemon has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The probes are being attached.
    Attaching,
    /// It observes.
    Observing(Arc<[ProbeStatus]>),
    /// It was asked to stop.
    Stopping,
}

/// What became of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeStatus {
    /// Its name.
    pub probe: String,
    /// What became of it.
    pub verdict: String,
    /// Why, where it is not attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fates that cannot be told without it.
    #[serde(default)]
    pub fates_lost: Vec<String>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(RwLock::new(Stage::Attaching))
    }
}

impl Readiness {
    /// Goes on to this stage.
    pub fn enter(&self, stage: Stage) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Where it is now.
    pub fn stage(&self) -> Stage {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
