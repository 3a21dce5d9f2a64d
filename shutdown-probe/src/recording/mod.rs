//! Recordings: all that the engine was told, one JSON object a line, behind a line that says what it is.
//!
//! Invariant: what an older version wrote stays readable; what a newer one wrote is refused by name.

mod reader;
mod replay;
mod writer;

pub use reader::{Problem, Reader, Skipped};
pub use replay::{Outcome, replay};
pub use writer::{Recorder, Written};

use serde::{Deserialize, Serialize};
use shutdown_probe_core::Settings;
use shutdown_probe_core::kubernetes::source::Network;
use std::time::Duration;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format.
    pub shutdown_probe_recording: u32,
    /// The version that wrote it.
    #[serde(default)]
    pub version: String,
    /// The kernel it was recorded on.
    #[serde(default)]
    pub kernel: String,
    /// The linger the engine worked with.
    #[serde(default)]
    pub linger_seconds: Option<f64>,
    /// The grace period the engine worked with.
    #[serde(default)]
    pub grace_seconds: Option<f64>,
    /// Whether containers were those of pods.
    #[serde(default)]
    pub pods: bool,
    /// The cluster's networks, where containers were those of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_networks: Option<Vec<Network>>,
}

impl Header {
    /// The header of a recording that is made now.
    pub fn new(settings: &Settings, kernel: String) -> Self {
        Self {
            shutdown_probe_recording: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            kernel,
            linger_seconds: Some(settings.linger.as_secs_f64()),
            grace_seconds: settings.grace.map(|grace| grace.as_secs_f64()),
            pods: settings.pods,
            cluster_networks: settings.pods.then(|| settings.cluster_networks.clone()),
        }
    }

    /// The settings to replay it with. What is no length of time counts as not given.
    pub fn settings(&self) -> Settings {
        let length = |seconds: Option<f64>| seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        let default = Settings::default();
        Settings {
            linger: length(self.linger_seconds).unwrap_or(default.linger),
            grace: length(self.grace_seconds).or(default.grace),
            pods: self.pods,
            cluster_networks: self.cluster_networks.clone().unwrap_or(default.cluster_networks),
        }
    }
}
