//! The daemon's audience: store, metrics, log and, where one is asked for, a recording.

use super::console::escape::escape;
use super::metrics::Metrics;
use super::store::Store;
use crate::live::Health;
use crate::recording::Recorder;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::{State, Termination};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Where the daemon's observations go.
pub struct Outputs {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    recording: Option<(PathBuf, Recorder)>,
    /// What recordings missed that have ended.
    missed: u64,
}

impl Outputs {
    /// Outputs that have got nothing yet.
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>, recording: Option<(PathBuf, Recorder)>) -> Self {
        Self { store, metrics, recording, missed: 0 }
    }

    /// Brings up to date what changes without an observation. A recording that fails is over; the daemon goes on.
    pub fn after_turn(&mut self, health: Option<&Health>) {
        let Some(health) = health else { return };
        for (place, total) in &health.lost {
            self.metrics.set_lost(place, *total);
        }
        for (program, total) in &health.recursion_misses {
            self.metrics.set_recursion_misses(program, *total);
        }
        self.metrics.expire(Instant::now());
        if self.recording.as_ref().is_some_and(|(_, recorder)| recorder.has_failed()) {
            self.metrics.add_recording_error();
            self.end_recording();
        }
        let missed = self.recording.as_ref().map_or(0, |(_, recorder)| recorder.missed());
        self.metrics.set_lost("recording", self.missed + missed);
    }

    /// Writes what waits to be written.
    pub fn finish(mut self) {
        self.end_recording();
    }

    fn end_recording(&mut self) {
        let Some((path, recorder)) = self.recording.take() else { return };
        let written = recorder.finish();
        self.missed += written.missed;
        let missed = written.missed;
        match written.outcome(&path) {
            Ok(inputs) => tracing::info!(inputs, missed, "recording finished"),
            Err(failure) => tracing::error!(missed, "{}", escape(&failure.to_string())),
        }
    }
}

impl Audience for Outputs {
    fn heard(&mut self, input: &Input) {
        if let Some((_, recorder)) = &mut self.recording {
            recorder.take(input);
        }
    }

    fn report(&mut self, termination: Termination) {
        if termination.state == State::Complete {
            log(&termination);
        }
        self.store.put(termination);
    }

    fn count(&mut self, labels: Labels, count: Count) {
        self.metrics.count(&labels, &count, Instant::now());
    }
}

/// One line for a complete termination.
fn log(termination: &Termination) {
    tracing::info!(
        id = termination.id,
        cgroup = %escape(&termination.container.cgroup),
        trigger = termination.trigger.as_str(),
        cause = termination.cause.as_str(),
        severed = termination.severed_total,
        drained = termination.drained_total,
        all_measured = termination.measured.complete,
        "{}",
        escape(&termination.summary)
    );
}
