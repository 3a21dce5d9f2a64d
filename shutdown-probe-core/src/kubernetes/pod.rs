//! A pod, as far as its end can depend on it: the API's words, not conclusions from them.

use crate::closed_set::closed_set;
use crate::identity::KernelInstant;
use crate::report::{Spec, Workload};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Its uid.
    pub uid: String,
    /// Of a static pod: the hash that its cgroups are named after.
    pub config_hash: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it belongs to, the topmost owner.
    pub workload: Option<Workload>,
    /// Its own addresses, where it does not share the node's.
    pub addresses: Vec<IpAddr>,
    /// The addresses of its node.
    pub node_addresses: Vec<IpAddr>,
    /// `terminationGracePeriodSeconds`.
    pub grace_seconds: Option<u32>,
    /// Its deletion, if that was asked for.
    pub deletion: Option<Deletion>,
    /// The reason of its condition `DisruptionTarget`, where that is true.
    pub disruption: Option<String>,
    /// `status.reason`.
    pub reason: Option<String>,
    /// `status.message` is the kubelet's of a node that shuts down.
    pub says_node_shutdown: bool,
    /// All containers but sidecars have ended, and none will be started again.
    pub is_finished: bool,
    /// What its owner wants.
    pub change: Option<Change>,
    /// All of its containers.
    pub containers: Vec<Container>,
}

/// The deletion of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When the grace period began: `deletionTimestamp`, which is the deadline, less the grace; or when the
    /// deletion was heard of, where that is the better clock.
    pub began_at: KernelInstant,
    /// `deletionGracePeriodSeconds`.
    pub grace_seconds: u32,
}

closed_set! {
    /// Why a pod that was deleted is not wanted any more, as its owner's state proves it.
    Change {
        /// The owner has a newer revision than the pod's.
        NewRevision = "new_revision",
        /// The owner wants fewer pods, and made none in its place.
        FewerReplicas = "fewer_replicas",
        /// The owner wants as many as before.
        Unchanged = "unchanged",
    }
}

closed_set! {
    /// Why the kubelet stopped a container of a pod that nobody deleted, as its Event says it.
    KubeletReason {
        /// "failed liveness probe".
        LivenessProbe = "liveness_probe",
        /// "failed startup probe".
        StartupProbe = "startup_probe",
        /// It evicted the pod.
        Evicted = "evicted",
    }
}

/// A container of a pod, or the one that it will have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The runtime's id of the one that runs, or ran last.
    pub id: Option<String>,
    /// The runtime's id of the one before.
    pub previous_id: Option<String>,
    /// What its spec says of its end.
    pub spec: Spec,
    /// The grace period of its liveness probe, where it has one of its own.
    pub liveness_grace_seconds: Option<u32>,
    /// The same of its startup probe.
    pub startup_grace_seconds: Option<u32>,
    /// What the kubelet's probes connect to.
    pub probes: Vec<Probe>,
    /// Those that the kubelet stopped of late, by id or restart.
    pub stopped: Vec<Stopped>,
    /// The ids of those that ended as `OOMKilled`.
    pub oom_killed: Vec<String>,
}

/// A probe that connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The port.
    pub port: u16,
    /// How often.
    pub period_seconds: u32,
}

/// One that the kubelet stopped for a reason of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// When the kubelet said so.
    pub at: KernelInstant,
    /// Why.
    pub why: KubeletReason,
}

impl Pod {
    /// The container that has, or had before, this runtime id.
    pub fn container(&self, id: &str) -> Option<&Container> {
        let is = |known: &Option<String>| known.as_deref() == Some(id);
        self.containers.iter().find(|container| is(&container.id) || is(&container.previous_id))
    }

    /// The container of this name.
    pub fn named(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }
}

impl Deletion {
    /// How long it was given.
    pub const fn grace(self) -> Duration {
        Duration::from_secs(self.grace_seconds as u64)
    }
}
