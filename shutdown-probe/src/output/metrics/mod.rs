//! What Prometheus reads. Names, labels and help come from the [`table`].
//!
//! Invariants: label values are a closed set, or bounded in length and number; what is not measured has no
//! series; a container's series exist from the moment it serves and outlive it by a fixed time.

mod doc;
mod families;
mod known;
mod own;
pub mod table;

pub use doc::reference;
pub use own::OwnLabel;

use crate::output::console::escape;
use families::Families;
use prometheus::process_collector::ProcessCollector;
use prometheus::{IntCounter, TextEncoder};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::{Count, KillReason, Labels};
use shutdown_probe_core::kubernetes::source::Source;
use shutdown_probe_core::signal::{self, Disposition};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest label value, in characters; a longer one is cut.
const VALUE_LENGTH: usize = 128;
/// How many containers have series of their own at a time; all others share one.
const CONTAINERS: usize = 1_000;
/// What the others are called.
const OTHERS: &str = "_other";

/// The values of the labels that say whose number it is.
type Own = Vec<String>;

/// All the metrics.
pub struct Metrics {
    families: Families,
    own_labels: Vec<OwnLabel>,
    stop_signals: Vec<u32>,
    expiry: Duration,
    containers: Mutex<Containers>,
}

/// Who has series.
type Containers = HashMap<Own, Life>;

/// How long a container's series stay. Several containers may go by the same labels: a service and its restart,
/// or the replicas of a workload.
#[derive(Default)]
struct Life {
    /// How many of them serve.
    serving: usize,
    /// When the series go, once none serves any more.
    until: Option<Instant>,
}

impl Metrics {
    /// Metrics of nothing yet. Series of ended containers stay for `expiry`.
    ///
    /// # Errors
    /// See [`Families::register`].
    pub fn new(stop_signals: &[u32], expiry: Duration) -> prometheus::Result<Self> {
        Self::register(stop_signals, expiry, OwnLabel::DEFAULT, false)
    }

    /// The same with what only a Kubernetes API can tell, told apart by these labels.
    ///
    /// # Errors
    /// See [`Families::register`].
    pub fn in_kubernetes(
        stop_signals: &[u32],
        expiry: Duration,
        own_labels: &[OwnLabel],
    ) -> prometheus::Result<Self> {
        Self::register(stop_signals, expiry, own_labels, true)
    }

    fn register(
        stop_signals: &[u32],
        expiry: Duration,
        own_labels: &[OwnLabel],
        in_kubernetes: bool,
    ) -> prometheus::Result<Self> {
        let names: Vec<_> = own_labels.iter().map(|label| label.as_str()).collect();
        let families = Families::register(&names, in_kubernetes)?;
        families.recording_errors.with_label_values::<&str>(&[]);
        Ok(Self {
            families,
            own_labels: own_labels.to_vec(),
            stop_signals: stop_signals.to_vec(),
            expiry,
            containers: Mutex::default(),
        })
    }

    /// Says who this is.
    pub fn set_build(&self, version: &str, kernel: &str) {
        self.families.build_info.with_label_values(&[version, &limited(kernel)]).set(1);
    }

    /// Also says what this process takes: its CPU, memory, files and threads.
    ///
    /// # Errors
    /// Where it says so already.
    pub fn watch_process(&self) -> prometheus::Result<()> {
        self.families.registry.register(Box::new(ProcessCollector::for_self()))
    }

    /// Says which of its possible verdicts holds for a probe.
    pub fn set_verdict(&self, probe: &str, possible: &[&str], verdict: &str) {
        for other in possible {
            let holds = i64::from(*other == verdict);
            self.families.probe_status.with_label_values(&[probe, other]).set(holds);
        }
    }

    /// Says how much was lost in this place since the daemon started.
    pub fn set_lost(&self, place: &str, total: u64) {
        advance(&self.families.lost_records.with_label_values(&[place]), total);
    }

    /// What was lost since the daemon started, by the place where.
    pub fn lost_records(&self) -> Vec<(String, u64)> {
        self.families.lost()
    }

    /// Says how often the kernel skipped this probe since the daemon started.
    pub fn set_recursion_misses(&self, probe: &str, total: u64) {
        advance(&self.families.recursion_misses.with_label_values(&[probe]), total);
    }

    /// Says how many terminations the API can show.
    pub fn set_kept(&self, terminations: usize) {
        let kept = i64::try_from(terminations).unwrap_or(i64::MAX);
        self.families.terminations_kept.with_label_values::<&str>(&[]).set(kept);
    }

    /// The recording has failed.
    pub fn add_recording_error(&self) {
        self.families.recording_errors.with_label_values::<&str>(&[]).inc();
    }

    /// Counts what the engine says.
    pub fn count(&self, labels: &Labels, count: &Count, now: Instant) {
        let own = self.admit(labels, count, now);
        match count {
            Count::Serving => self.start(&own),
            Count::Expired => {}
            _ => self.add(&own, count),
        }
    }

    /// Removes the series of those who ended long enough ago.
    pub fn expire(&self, now: Instant) {
        let is_over = |_: &Own, life: &mut Life| life.until.is_some_and(|until| until <= now);
        for (own, _) in self.containers().extract_if(is_over) {
            self.families.remove_container(&own);
        }
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// A family that has no series where one must be: a fault of this module.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families.registry.gather())
    }

    fn containers(&self) -> MutexGuard<'_, Containers> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label values this container goes by; notes what the count says of its life.
    fn admit(&self, labels: &Labels, count: &Count, now: Instant) -> Own {
        let own: Own = self.own_labels.iter().map(|label| limited(label.value(labels))).collect();
        let mut containers = self.containers();
        if containers.len() >= CONTAINERS && !containers.contains_key(&own) {
            return self.own_labels.iter().map(|label| label.of_others().to_owned()).collect();
        }
        let life = containers.entry(own.clone()).or_default();
        match count {
            Count::Serving => {
                life.serving += 1;
                life.until = None;
            }
            Count::Expired => {
                life.serving = life.serving.saturating_sub(1);
                life.until = (life.serving == 0).then(|| now + self.expiry);
            }
            _ => life.until = life.until.map(|_| now + self.expiry),
        }
        own
    }

    /// Starts the series of a container at 0.
    fn start(&self, own: &Own) {
        let families = &self.families;
        for (trigger, cause) in known::terminations(families.kubernetes.is_some()) {
            families.terminations.with_label_values(&with(own, [trigger.as_str(), cause.as_str()]));
        }
        for (fate, cause) in known::severed() {
            families.severed.with_label_values(&severed(own, fate, cause));
        }
        for &signal in &self.stop_signals {
            for disposition in Disposition::ALL {
                let name = signal::name(signal);
                families.stop_signals.with_label_values(&with(own, [&name, disposition.as_str()]));
            }
        }
        for reason in KillReason::ALL {
            families.kills.with_label_values(&with(own, [reason.as_str()]));
        }
        let plain = with(own, []);
        for counters in [
            &families.severed_streams,
            &families.drained,
            &families.late_connections,
            &families.outbound_severed,
            &families.not_measured,
        ] {
            counters.with_label_values(&plain);
        }
        for histograms in [&families.termination_duration, &families.grace_used, &families.late_arrival] {
            histograms.with_label_values(&plain);
        }
        if let Some(families) = &families.kubernetes {
            families.endpoint_lag.with_label_values(&plain);
            for source in Source::ALL {
                families.late_by_source.with_label_values(&with(own, [source.as_str()]));
            }
        }
    }

    fn add(&self, own: &Own, count: &Count) {
        let families = &self.families;
        let plain = || with(own, []);
        match *count {
            Count::Serving | Count::Expired => {}
            Count::Termination { trigger, cause, duration, grace_used_ratio } => {
                families.terminations.with_label_values(&with(own, [trigger.as_str(), cause.as_str()])).inc();
                if let Some(duration) = duration {
                    families.termination_duration.with_label_values(&plain()).observe(duration.as_secs_f64());
                }
                if let Some(ratio) = grace_used_ratio {
                    families.grace_used.with_label_values(&plain()).observe(ratio);
                }
            }
            Count::Severed { fate, cause, count } => {
                families.severed.with_label_values(&severed(own, fate, cause)).inc_by(count);
            }
            Count::SeveredStreams { count } => {
                families.severed_streams.with_label_values(&plain()).inc_by(count)
            }
            Count::Drained { count } => families.drained.with_label_values(&plain()).inc_by(count),
            Count::NotMeasured { count } => families.not_measured.with_label_values(&plain()).inc_by(count),
            Count::OutboundSevered { count } => {
                families.outbound_severed.with_label_values(&plain()).inc_by(count);
            }
            Count::StopSignal { signal, disposition } => {
                let name = signal::name(signal);
                families.stop_signals.with_label_values(&with(own, [&name, disposition.as_str()])).inc();
            }
            Count::Kill { reason } => {
                families.kills.with_label_values(&with(own, [reason.as_str()])).inc();
            }
            Count::EndpointLag { lag } => {
                let family = families.kubernetes.as_ref().map(|families| &families.endpoint_lag);
                family.into_iter().for_each(|it| it.with_label_values(&plain()).observe(lag.as_secs_f64()));
            }
            Count::LateConnection { after, source } => {
                if let Some((families, source)) = families.kubernetes.as_ref().zip(source) {
                    families.late_by_source.with_label_values(&with(own, [source.as_str()])).inc();
                }
                families.late_connections.with_label_values(&plain()).inc();
                families.late_arrival.with_label_values(&plain()).observe(after.as_secs_f64());
            }
            Count::RecommendedPreStop { sleep } => {
                families.recommended_pre_stop.with_label_values(&plain()).set(sleep.as_secs_f64());
            }
        }
    }
}

fn severed(own: &Own, fate: Fate, cause: Cause) -> Vec<&str> {
    let retry_safe = if fate.is_retry_safe() { "true" } else { "false" };
    with(own, [fate.as_str(), cause.as_str(), retry_safe])
}

fn with<'a, const N: usize>(own: &'a Own, more: [&'a str; N]) -> Vec<&'a str> {
    own.iter().map(String::as_str).chain(more).collect()
}

/// Brings a counter up to a total that is counted elsewhere.
fn advance(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// A value that can neither break a terminal nor fill the memory of whoever scrapes it.
fn limited(value: &str) -> String {
    escape::escape(value).chars().take(VALUE_LENGTH).collect()
}

#[cfg(test)]
mod tests;
