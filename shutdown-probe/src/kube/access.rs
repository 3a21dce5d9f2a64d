//! What the API allows: one verdict for each thing that it is asked for.
//!
//! Invariant: a change is logged once, when it happens; that the same is refused again is no news.

use crate::admin::ProbeStatus;
use crate::output::console::escape::escape;
use crate::probe::Status;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Something the API is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The way to the API at all: address, certificates, token.
    Connection,
    /// The pods of this node.
    Pods,
    /// That the node is the one whose pods we see.
    NodeName,
    /// That the API server's clock agrees with ours.
    Clock,
    /// Owners of pods.
    Owners,
    /// EndpointSlices while a pod ends.
    Endpoints,
    /// Events of the kubelet.
    KubeletEvents,
    /// Events of ours.
    OwnEvents,
}

impl Need {
    /// The name in `/probes` and in the metric of probes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "kubernetes_connection",
            Self::Pods => "kubernetes_pods",
            Self::NodeName => "kubernetes_node_name",
            Self::Clock => "kubernetes_clock",
            Self::Owners => "kubernetes_owners",
            Self::Endpoints => "kubernetes_endpoints",
            Self::KubeletEvents => "kubernetes_kubelet_events",
            Self::OwnEvents => "kubernetes_own_events",
        }
    }

    /// What is missing without.
    pub const fn loss(self) -> &'static str {
        match self {
            Self::Connection | Self::Pods => "pods are known by uid alone, triggers as container_stopped",
            Self::NodeName => "the pods of another node are watched",
            Self::Clock => "times that the API gives may be off",
            Self::Owners => "rollout and scaled_down are told as pod_deleted",
            Self::Endpoints => "endpoint lag is not measured",
            Self::KubeletEvents => {
                "liveness_failed, startup_failed and some of evicted are told as container_stopped"
            }
            Self::OwnEvents => "no Events are written",
        }
    }
}

/// What became of each need that was tried.
#[derive(Debug, Default)]
pub struct Access(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The reason of a refusal; nothing where all is well.
    verdicts: BTreeMap<Need, Option<String>>,
    changes: u64,
}

impl Access {
    /// It was granted.
    pub fn granted(&self, need: Need) {
        if self.set(need, None) {
            tracing::info!(need = need.as_str(), "the Kubernetes API grants it");
        }
    }

    /// It was refused, or could not be asked for.
    pub fn refused(&self, need: Need, reason: String) {
        let said = escape(&reason).to_string();
        if self.set(need, Some(reason)) {
            tracing::warn!(need = need.as_str(), reason = said, without = need.loss(), "Kubernetes");
        }
    }

    /// The outcome of a request.
    pub fn note<T>(&self, need: Need, outcome: &Result<T, kube::Error>) {
        match outcome {
            Ok(_) => self.granted(need),
            // Something that is gone is an answer.
            Err(kube::Error::Api(status)) if status.code == 404 => self.granted(need),
            Err(error) => self.refused(need, reason(error)),
        }
    }

    /// Whether the verdict is another now. Two refusals in different words are one.
    fn set(&self, need: Need, verdict: Option<String>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.verdicts.insert(need, verdict.clone());
        let is_change = before.is_none_or(|before| before.is_some() != verdict.is_some());
        state.changes += u64::from(is_change);
        is_change
    }

    /// How often a verdict changed.
    pub fn changes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).changes
    }

    /// The verdicts as `/probes` shows them.
    pub fn statuses(&self) -> Vec<ProbeStatus> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(need, verdict): (&Need, &Option<String>)| ProbeStatus {
            probe: need.as_str().to_owned(),
            verdict: if verdict.is_some() { Status::Broken } else { Status::Attached }.as_str().to_owned(),
            reason: verdict.as_ref().map(|reason| format!("{reason}; {}", need.loss())),
            fates_lost: Vec::new(),
        };
        state.verdicts.iter().map(status).collect()
    }
}

/// Why a request failed, without what changes from one to the next.
pub fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        error => {
            let causes = std::iter::successors(std::error::Error::source(error), |&error| error.source());
            causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_news_once() {
        let access = Access::default();
        assert!(access.statuses().is_empty(), "what was not tried has no verdict");
        access.refused(Need::Pods, "403".into());
        access.refused(Need::Pods, "403, again".into());
        assert_eq!(access.changes(), 1);
        access.granted(Need::Pods);
        access.granted(Need::Pods);
        assert_eq!(access.changes(), 2);
        access.refused(Need::Endpoints, "401".into());
        let statuses = access.statuses();
        assert_eq!(statuses.len(), 2);
        assert_eq!(
            (statuses[0].probe.as_str(), statuses[0].verdict.as_str()),
            ("kubernetes_pods", "attached")
        );
        let lost = statuses[1].reason.as_deref();
        assert_eq!(lost, Some("401; endpoint lag is not measured"));
    }
}
