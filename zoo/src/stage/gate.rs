//! Gates: a server that works on a request until its container is stopped waits for a file, which the
//! zoo makes a moment after the stop signal. So the answer falls into the drain on any machine.

use super::{RunId, Stage};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long after the stop signal the gate opens: time enough to have reacted to the signal.
const DELAY: Duration = Duration::from_millis(150);

impl Stage<'_> {
    /// The name of this server's gate, which requests carry.
    pub fn gate(&self, server: RunId) -> String {
        format!("gate-{}-{}", server.container, server.run)
    }

    /// Opens it.
    pub fn open_gate(&mut self, server: RunId) -> Result<()> {
        self.run_mut(server).gate_is_open = true;
        let gate: PathBuf = self.directory.join(self.gate(server));
        std::fs::write(&gate, "").with_context(|| format!("making {}", gate.display()))
    }

    /// When the next gate is to be opened.
    pub(super) fn next_gate(&self) -> Option<Instant> {
        self.closed_gates().map(|(_, at)| at).min()
    }

    /// Opens those whose time has come.
    pub(super) fn open_gates(&mut self) -> Result<()> {
        let now = Instant::now();
        let due: Vec<_> =
            self.closed_gates().filter(|(_, at)| *at <= now).map(|(server, _)| server).collect();
        due.into_iter().try_for_each(|server| self.open_gate(server))
    }

    /// The gates that a stop signal will open, and when.
    fn closed_gates(&self) -> impl Iterator<Item = (RunId, Instant)> {
        self.containers.iter().enumerate().flat_map(|(container, stage)| {
            let runs = stage.runs.iter().enumerate().filter(|(_, run)| !run.gate_is_open);
            runs.filter_map(move |(run, stopped)| {
                Some((RunId { container, run }, stopped.stop.as_ref()?.1 + DELAY))
            })
        })
    }
}
