//! The daemon's audience: store, metrics, log and, where one is asked for, a recording.

use super::console::escape::escape;
use super::journal::Journal;
use super::metrics::Metrics;
use super::store::Store;
use crate::kube::event::{Sayable, Speaker};
use crate::live::Health;
use crate::recording::Recorder;
use crate::witness::Audience;
use shutdown_probe_core::Input;
use shutdown_probe_core::command::{Count, Labels};
use shutdown_probe_core::report::{State, Termination};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;

/// Where the daemon's observations go.
pub struct Outputs {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    recording: Option<(PathBuf, Recorder)>,
    voices: Voices,
    /// What recordings missed that have ended.
    missed: u64,
}

/// Who else is told of terminations.
#[derive(Default)]
pub struct Voices {
    /// Standard output.
    pub journal: Option<Journal>,
    /// The Kubernetes API.
    pub events: Option<Events>,
}

/// Events on their way to the Kubernetes API.
pub struct Events {
    speaker: Speaker,
    sender: mpsc::Sender<Sayable>,
    unsaid: Arc<AtomicU64>,
}

impl Events {
    /// Nothing is said yet.
    pub fn new(sender: mpsc::Sender<Sayable>, unsaid: Arc<AtomicU64>) -> Self {
        Self { speaker: Speaker::default(), sender, unsaid }
    }

    fn take(&mut self, termination: &Termination) {
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        for sayable in self.speaker.take(termination, now) {
            if self.sender.try_send(sayable).is_err() {
                self.unsaid.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Outputs {
    /// Outputs that have got nothing yet.
    pub fn new(
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        recording: Option<(PathBuf, Recorder)>,
        voices: Voices,
    ) -> Self {
        Self { store, metrics, recording, voices, missed: 0 }
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
        if let Some(journal) = &self.voices.journal {
            self.metrics.set_lost("journal", journal.missed());
        }
        if let Some(events) = &self.voices.events {
            self.metrics.set_lost("events", events.unsaid.load(Ordering::Relaxed));
        }
        let missed = self.recording.as_ref().map_or(0, |(_, recorder)| recorder.missed());
        self.metrics.set_lost("recording", self.missed + missed);
    }

    /// Writes what waits to be written.
    pub fn finish(mut self) {
        self.end_recording();
        self.voices.journal.into_iter().for_each(Journal::finish);
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
            self.voices.journal.iter().for_each(|journal| journal.take(&termination));
        }
        self.voices.events.iter_mut().for_each(|events| events.take(&termination));
        self.store.put(termination);
    }

    fn count(&mut self, labels: Labels, count: Count) {
        self.metrics.count(&labels, &count, Instant::now());
    }
}

/// One line for a complete termination.
fn log(termination: &Termination) {
    let pod = termination.container.pod.as_ref();
    tracing::info!(
        id = termination.id,
        namespace = pod.map(|pod| escape(&pod.namespace).to_string()),
        pod = pod.map(|pod| escape(&pod.name).to_string()),
        container = pod.map(|_| escape(&termination.container.name).to_string()),
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
