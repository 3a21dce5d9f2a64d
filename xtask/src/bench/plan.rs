//! How much is measured.

use serde::Serialize;
use std::time::Duration;

/// How often and how long.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    pub quick: bool,
    /// Of each run of the load generator, in its unit.
    pub load_seconds: u64,
    /// Runs with and without, for the daemon and for nothing.
    pub pairs: usize,
    /// The same for each peer.
    pub peer_pairs: usize,
    /// Of the idle daemon.
    pub idle_seconds: u64,
    pub terminations: usize,
    /// With each signal.
    pub kills: usize,
}

impl Plan {
    pub fn new(quick: bool) -> Self {
        if quick {
            Self {
                quick,
                load_seconds: 2,
                pairs: 4,
                peer_pairs: 2,
                idle_seconds: 5,
                terminations: 200,
                kills: 5,
            }
        } else {
            Self {
                quick,
                load_seconds: 4,
                pairs: 24,
                peer_pairs: 10,
                idle_seconds: 30,
                terminations: 1_000,
                kills: 20,
            }
        }
    }

    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}
