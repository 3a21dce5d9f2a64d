//! A termination as others read it: the JSON of the API, of `watch` and of `report`.
//!
//! Fields may be added; those that are here stay. Times are seconds since the Unix epoch.

use crate::cause::Cause;
use crate::closed_set::closed_set;
use crate::input::{Confidence, Protocol};
use crate::signal::Disposition;
use crate::trigger::Trigger;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many severed connections a report lists, and how many others. Totals are never capped.
pub const LISTED_CONNECTIONS: usize = 1_000;

/// The end of one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Termination {
    /// Unique on the node.
    pub id: String,
    /// Whether more may come.
    pub state: State,
    /// Whose end.
    pub container: Container,
    /// When it began.
    pub began_at: f64,
    /// What set it off.
    pub trigger: Trigger,
    /// Why it severed connections, or would have.
    pub cause: Cause,
    /// Other causes that hold.
    pub other_causes: Vec<Cause>,
    /// One plain sentence.
    pub summary: String,
    /// What to change, most important first.
    pub advice: Vec<String>,
    /// The first stop signal, if there was one.
    pub stop_signal: Option<StopSignal>,
    /// The SIGKILL from outside, if there was one.
    pub kill_signal: Option<KillSignal>,
    /// How the main process ended.
    pub exit: Option<Exit>,
    /// How the grace period was used.
    pub grace: Grace,
    /// Connections on which the shutdown cost the client something.
    pub severed_total: u64,
    /// The same, by fate.
    pub severed_by_evidence: BTreeMap<String, u64>,
    /// Those where a retry may execute the request twice.
    pub retry_unsafe_total: u64,
    /// Streams of HTTP/2 that were severed with their connections.
    #[serde(default)]
    pub streams_severed_total: u64,
    /// At most [`LISTED_CONNECTIONS`] of them.
    pub severed: Vec<Severed>,
    /// The container's clients whose connections ended without a loss, or of which nobody can tell; and its own
    /// requests that were cut. At most [`LISTED_CONNECTIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsevered: Vec<Unsevered>,
    /// Connections that ended after a response which was completed in the termination.
    pub drained_total: u64,
    /// Every connection that ended in the termination, by fate.
    pub connections_by_fate: BTreeMap<String, u64>,
    /// Requests of the container's own that were cut: not severed clients, reported apart.
    pub outbound_unanswered_total: u64,
    /// Connections that came after the stop signal, accepted or refused.
    pub late_connections_total: u64,
    /// How long after the stop signal the last of them came.
    pub last_late_connection_after_seconds: Option<f64>,
    /// What happened, in order.
    pub timeline: Vec<TimelineEntry>,
    /// The preStop sleep that recent terminations of the same name ask for.
    pub recommendation: Option<Recommendation>,
    /// What to change about how it is stopped, with reasons; what makes the stop signal arrive first.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The same in forms to copy, where it can be written so.
    #[serde(default)]
    pub patches: Vec<Patch>,
    /// What the probe can vouch for.
    pub measured: Measured,
    /// The time between the deletion of its pod and the stop signal, in Kubernetes.
    #[serde(default)]
    pub announced: Option<Announced>,
    /// How its endpoints were withdrawn, in Kubernetes and where it had any.
    #[serde(default)]
    pub routing: Option<Routing>,
    /// Connections of the kubelet's probes: neither clients nor losses, and counted nowhere else.
    #[serde(default)]
    pub kubelet_probes_total: u64,
    /// The late connections by where they came from, in Kubernetes.
    #[serde(default)]
    pub late_by_source: BTreeMap<String, u64>,
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The container still runs, or its linger is not over.
    InProgress,
    /// Nothing more will be added.
    Complete,
}

/// Whose end it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Path below the v2 root.
    pub cgroup: String,
    /// The runtime's id of it; empty if it has none.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image; empty if unknown.
    pub image: String,
    /// Its pod, in Kubernetes.
    pub pod: Option<Pod>,
    /// Its workload, in Kubernetes.
    pub workload: Option<Workload>,
    /// What its spec says of its end, in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
}

/// What the spec of a container says of its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// `container`, `init`, `sidecar` (an init container that is restarted) or `ephemeral`.
    pub kind: String,
    /// `terminationGracePeriodSeconds` of the pod.
    pub grace_seconds: Option<u32>,
    /// Its preStop hook, in words; nothing where it has none.
    pub pre_stop: Option<String>,
    /// The stop signal that it asks for; nothing where that is left to the image.
    pub stop_signal: Option<String>,
    /// Its command is a shell's: PID 1 may be the shell. Nothing where the command is the image's.
    pub command_is_shell: Option<bool>,
    /// It has a readiness probe.
    pub readiness_probe: bool,
    /// It has a liveness probe.
    pub liveness_probe: bool,
    /// It has a startup probe.
    pub startup_probe: bool,
    /// The pod has the node's network.
    pub host_network: bool,
    /// The containers of the pod share a PID namespace: PID 1 is the sandbox.
    pub shared_process_namespace: bool,
    /// How often it was restarted before.
    pub restarts: u32,
}

/// From the deletion of the pod to the stop signal: the time of preStop hooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Announced {
    /// When the deletion began.
    pub at: f64,
    /// How long after it the stop signal came; nothing where none came yet, or at all.
    pub stop_signal_after_seconds: Option<f64>,
    /// Connections that were opened in between.
    pub connections: u64,
    /// How long after the deletion the last connection came, in whichever phase.
    pub last_connection_after_seconds: Option<f64>,
}

/// How the endpoints of the pod were withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// The Services that had it as an endpoint.
    pub services: Vec<String>,
    /// How long after the deletion the last of them had it not ready any more.
    pub not_ready_after_seconds: Option<f64>,
    /// How long after the deletion the last of them had it no more.
    pub removed_after_seconds: Option<f64>,
    /// How long after it was not ready the last connection came; 0 where none came.
    pub lag_seconds: Option<f64>,
    /// Attempts that reached the node after the pod's network was gone, and died without an answer.
    pub unanswered_attempts: String,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// A workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Workload {
    pub kind: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// The first stop signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopSignal {
    /// Its name.
    pub signal: String,
    /// When it was sent.
    pub at: f64,
    /// What it met.
    pub disposition: Disposition,
    /// The process id it was sent to.
    pub target: u32,
    /// The target's name.
    pub comm: String,
}

/// The SIGKILL from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KillSignal {
    /// Always SIGKILL.
    pub signal: String,
    /// When it was sent.
    pub at: f64,
    /// The process id it was sent to.
    pub target: u32,
    /// The OOM killer sent it.
    pub oom: bool,
}

/// How the main process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// When.
    pub at: f64,
    /// Exit status.
    pub code: Option<u8>,
    /// The signal that ended it.
    pub signal: Option<String>,
}

/// How the grace period was used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grace {
    /// How long it was; unknown without Kubernetes unless configured.
    pub allowed_seconds: Option<f64>,
    /// From the stop signal to the exit of the last process.
    pub used_seconds: Option<f64>,
    /// SIGKILL ended it.
    pub exceeded: bool,
}

/// One connection on which the shutdown cost the client something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Severed {
    /// The client.
    pub peer: String,
    /// The server.
    pub local: String,
    /// Its fate.
    pub evidence: String,
    /// Why.
    pub cause: Cause,
    /// When it was opened.
    #[serde(flatten)]
    pub opened: Opened,
    /// When.
    pub at: f64,
    /// In which phase.
    pub phase: Phase,
    /// What it spoke, if known.
    pub protocol: Protocol,
    /// Whether its fate is proved or inferred.
    #[serde(default)]
    pub confidence: Confidence,
    /// Streams of HTTP/2 that were open, or that the server reset since the beginning.
    #[serde(default)]
    pub streams_severed: u32,
    /// Whether sending the request again cannot execute it twice.
    pub retry_safe: bool,
    /// Received and never read, in bytes.
    pub unread_bytes: u32,
    /// Written of the response in hand, in bytes; where the protocol is not known, since the last read.
    pub response_bytes: u64,
    /// The whole length of that response, head and body, in bytes; `None`: not known.
    #[serde(default)]
    pub expected_bytes: Option<u64>,
    /// Written and never acknowledged, in bytes.
    pub undelivered_bytes: u32,
}

/// One connection that ended in the termination and is not counted as severed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unsevered {
    /// The client.
    pub peer: String,
    /// The server.
    pub local: String,
    /// Its fate.
    pub evidence: String,
    /// When it was opened.
    #[serde(flatten)]
    pub opened: Opened,
    /// When it ended.
    pub at: f64,
    /// In which phase.
    pub phase: Phase,
    /// What it spoke, if known.
    pub protocol: Protocol,
}

/// When a connection was opened. Where neither is given, that was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// At this time, in the termination.
    #[serde(default)]
    pub opened_at: Option<f64>,
    /// Before the termination began.
    #[serde(default)]
    pub opened_before: bool,
}

/// The phases of a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The pod has a deletionTimestamp, no stop signal yet.
    Announced,
    /// From the stop signal to the exit of the last process.
    Draining,
    /// From there to the end of the linger.
    Gone,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: f64,
    /// How long after the beginning.
    pub after_seconds: f64,
    /// A word for machines.
    pub event: String,
    /// A sentence for people.
    pub text: String,
}

/// A recommended preStop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// How long to sleep.
    pub pre_stop_seconds: u64,
    /// How many terminations it rests on.
    pub terminations: usize,
    /// Why this number.
    pub reason: String,
}

/// Something to change about how the service is stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What.
    pub setting: Setting,
    /// What it should be, where that is known: seconds, or the name of a signal.
    pub value: Option<String>,
    /// What to do.
    pub what: String,
    /// What was measured that asks for it.
    pub reason: String,
}

closed_set! {
    /// What can be changed about how a service is stopped.
    Setting {
        /// The command that starts it: whether the stop signal reaches the server.
        Command = "command",
        /// What runs as PID 1, and what that does with the stop signal.
        Pid1 = "pid_1",
        /// Which signal stops it.
        StopSignal = "stop_signal",
        /// How long it goes on before it is sent the stop signal.
        PreStop = "pre_stop",
        /// How long it may take to end.
        GracePeriod = "grace_period",
    }
}

/// Changes in a form to copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// What it is for.
    pub form: PatchForm,
    /// What it changes.
    pub settings: Vec<Setting>,
    /// The text; a command where the form is one, else a part of a file.
    pub text: String,
}

closed_set! {
    /// What a patch is for.
    PatchForm {
        /// A `kubectl patch` command for a shell.
        Kubectl = "kubectl",
        /// A part of `kustomization.yaml`.
        Kustomize = "kustomize",
        /// A part of the pod's manifest, or of the template of whatever makes the pod.
        Manifest = "manifest",
        /// A part of a Dockerfile.
        Dockerfile = "dockerfile",
        /// A drop-in of a systemd unit.
        Systemd = "systemd",
        /// Options of `docker run`.
        Docker = "docker",
    }
}

/// What the probe can vouch for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Nothing was lost and every connection's fate is known.
    pub complete: bool,
    /// Records lost.
    pub lost_records: u64,
    /// Connections whose fate cannot be known.
    pub not_measured_connections: u64,
    /// Why it is not complete.
    pub reasons: Vec<String>,
}
