//! How the endpoints of a pod were withdrawn, next to when clients still came.

use super::Termination;
use crate::identity::KernelInstant;
use crate::input::EndpointStep;
use crate::report;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many Services of one pod are followed.
const SERVICES: usize = 64;
/// Once the network of the pod's sandbox is gone, an attempt meets no socket and no reset: the hooks that this
/// probe has see nothing of it.
const NOT_MEASURED: &str = "not_measured";

/// The endpoints of one pod, by Service.
#[derive(Debug, Default)]
pub(super) struct Routing {
    services: BTreeMap<String, Endpoint>,
}

#[derive(Debug, Default)]
struct Endpoint {
    not_ready_at: Option<KernelInstant>,
    removed_at: Option<KernelInstant>,
}

impl Routing {
    /// When the last of the Services had done so; nothing unless all have.
    fn all(&self, step: impl Fn(&Endpoint) -> Option<KernelInstant>) -> Option<KernelInstant> {
        let times: Option<Vec<_>> = self.services.values().map(step).collect();
        times?.into_iter().max()
    }

    fn not_ready_at(&self) -> Option<KernelInstant> {
        self.all(|endpoint| endpoint.not_ready_at.or(endpoint.removed_at))
    }
}

impl Termination {
    /// An endpoint of its pod changed.
    pub fn endpoint(&mut self, at: KernelInstant, service: &str, step: EndpointStep) {
        let services = &mut self.routing.services;
        if services.len() >= SERVICES && !services.contains_key(service) {
            return;
        }
        let endpoint = services.entry(service.to_owned()).or_default();
        match step {
            EndpointStep::Ready => return,
            EndpointStep::NotReady if endpoint.not_ready_at.is_none() => endpoint.not_ready_at = Some(at),
            EndpointStep::Removed if endpoint.removed_at.is_none() => endpoint.removed_at = Some(at),
            EndpointStep::NotReady | EndpointStep::Removed => return,
        }
        self.changed = true;
        self.timeline.endpoint(at, service, step);
    }

    /// From the moment its last Service had it not ready to the last connection; zero where none came after that.
    pub fn endpoint_lag(&self) -> Option<Duration> {
        let not_ready_at = self.routing.not_ready_at()?;
        Some(self.last_arrival_at.map_or(Duration::ZERO, |last| last.since(not_ready_at)))
    }

    /// How its endpoints were withdrawn, for a report.
    pub(super) fn report_routing(&self) -> Option<report::Routing> {
        let routing = Some(&self.routing).filter(|routing| !routing.services.is_empty())?;
        let begin = self.announced.unwrap_or(self.began_at);
        let after = |at: KernelInstant| at.since(begin).as_secs_f64();
        Some(report::Routing {
            services: routing.services.keys().cloned().collect(),
            not_ready_after_seconds: routing.not_ready_at().map(after),
            removed_after_seconds: routing.all(|endpoint| endpoint.removed_at).map(after),
            lag_seconds: self.endpoint_lag().map(|lag| lag.as_secs_f64()),
            unanswered_attempts: NOT_MEASURED.to_owned(),
        })
    }
}
