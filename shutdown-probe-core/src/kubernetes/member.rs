//! One container of a pod: what its path says, and what the API says of it, as soon as it does.

use super::Pod;
use super::cgroup_path::PodContainer;
use super::pod::Container;
use super::trigger::{self, Removal};
use crate::command::Labels;
use crate::identity::KernelInstant;
use crate::report;
use crate::trigger::Trigger;
use core::time::Duration;
use std::sync::Arc;

/// What stands for a name that is not known: a runtime's id would make a new series for each container.
const UNKNOWN: &str = "_unknown";
/// The program that holds a pod's namespaces.
const SANDBOX: &str = "pause";

/// One container of a pod.
#[derive(Debug)]
pub(crate) struct Member {
    pub key: PodContainer,
    pod: Option<Arc<Pod>>,
    /// Its name, once an update had its id: later ones may not.
    name: Option<String>,
    removal: Removal,
}

impl Member {
    pub fn new(key: PodContainer) -> Self {
        Self { key, pod: None, name: None, removal: Removal::No }
    }

    /// Learns what the API says now.
    pub fn meet(&mut self, pod: Arc<Pod>) {
        if let Some(container) = pod.container(&self.key.id) {
            self.name = Some(container.name.clone());
        }
        self.pod = Some(pod);
    }

    /// Whether the API still has its pod; `runs`: at this moment.
    pub fn note_removal(&mut self, removed: bool, runs: bool) {
        self.removal = match (removed, self.removal) {
            (false, _) => Removal::No,
            (true, Removal::No) if runs => Removal::WhileRunning,
            (true, Removal::No) => Removal::Afterwards,
            (true, known) => known,
        };
    }

    /// Whether its pod had a network of its own and the kubelet has removed it, before it let the API forget the pod. One
    /// that was forgotten by force may be running.
    pub fn network_is_gone(&self) -> bool {
        let shares_node = |container: &Container| container.spec.host_network;
        self.removal == Removal::Afterwards && !self.container().is_none_or(shares_node)
    }

    /// Whether the API has a container with its id.
    pub fn is_listed(&self) -> bool {
        self.name.is_some()
    }

    /// Whether a process of this name in it makes it the pod's sandbox.
    pub fn is_sandbox(&self, comm: &str) -> bool {
        !self.is_listed() && comm == SANDBOX
    }

    pub fn pod(&self) -> Option<&Pod> {
        self.pod.as_deref()
    }

    fn container(&self) -> Option<&Container> {
        self.pod()?.named(self.name.as_deref()?)
    }

    pub fn labels(&self) -> Labels {
        let Some(pod) = self.pod() else {
            return Labels { container: UNKNOWN.to_owned(), ..Labels::default() };
        };
        let workload = pod.workload.clone().unwrap_or_default();
        Labels {
            namespace: pod.namespace.clone(),
            workload_kind: workload.kind,
            workload: workload.name,
            container: self.name.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            pod: pod.name.clone(),
        }
    }

    pub fn described(&self, cgroup: &str) -> report::Container {
        let pod = self.pod();
        let container = self.container();
        report::Container {
            cgroup: cgroup.to_owned(),
            id: self.key.id.clone(),
            name: self.name.clone().unwrap_or_default(),
            image: container.map_or_else(String::new, |container| container.image.clone()),
            pod: Some(report::Pod {
                namespace: pod.map_or_else(String::new, |pod| pod.namespace.clone()),
                name: pod.map_or_else(String::new, |pod| pod.name.clone()),
                uid: pod.map_or(&self.key.pod, |pod| &pod.uid).clone(),
            }),
            workload: pod.and_then(|pod| pod.workload.clone()),
            spec: container.map(|container| container.spec.clone()),
        }
    }

    /// When its pod's grace period began, if the pod is to go. One that vanished while it ran went now.
    pub fn deleted_at(&self, now: KernelInstant) -> Option<KernelInstant> {
        let deletion = self.pod().and_then(|pod| pod.deletion);
        deletion
            .map(|deletion| deletion.began_at)
            .or_else(|| (self.removal == Removal::WhileRunning).then_some(now))
    }

    /// Why it ends, as the API proves it.
    pub fn trigger(&self, stopped_at: KernelInstant) -> Option<Trigger> {
        let pod = self.pod()?;
        trigger::of_pod(pod, self.removal, stopped_at)
            .or_else(|| trigger::of_container(pod, self.container()?, stopped_at))
    }

    /// How often the kubelet's probes come to a port of its pod: the shortest time between two. Nothing: never.
    pub fn probe_period(&self, port: u16) -> Option<Duration> {
        let probes = self.pod()?.containers.iter().flat_map(|container| &container.probes);
        let periods = probes.filter(|probe| probe.port == port).map(|probe| probe.period_seconds.max(1));
        periods.min().map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether the runtime says that the OOM killer ended it.
    pub fn was_oom_killed(&self) -> bool {
        self.container().is_some_and(|container| container.oom_killed.contains(&self.key.id))
    }

    /// How long its spec lets it take to end, whoever ends it.
    pub fn own_grace(&self) -> Option<Duration> {
        self.pod()?.grace_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// How long it may take to end, for this trigger.
    pub fn grace(&self, trigger: Option<Trigger>) -> Option<Duration> {
        let pod = self.pod()?;
        let own = pod.grace_seconds;
        let seconds = match trigger {
            Some(Trigger::ForceDeleted) => own,
            Some(Trigger::LivenessFailed) => {
                self.container().and_then(|it| it.liveness_grace_seconds).or(own)
            }
            Some(Trigger::StartupFailed) => self.container().and_then(|it| it.startup_grace_seconds).or(own),
            _ => pod.deletion.map(|deletion| deletion.grace_seconds).or(own),
        };
        seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }
}
