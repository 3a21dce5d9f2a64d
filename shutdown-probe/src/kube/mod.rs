//! What the Kubernetes API says of this node's pods, as inputs for the engine; and Events for those who ask it.
//!
//! Invariants: the API is never waited for: what it says comes when it comes. It is asked for this node's pods by one
//! watch, and for more only while a pod of this node ends. A refusal is said once, in the log and in `/probes`.
//!
//! What it is asked for (`deploy/` grants exactly this, see [`permission::TABLE`]), and what is missing without:
//!
//! | resource | verbs | for |
//! |---|---|---|
//! | `pods` | list, watch | names, deletions, reasons: without it a pod is its uid, a trigger `container_stopped`; list also for the siblings of a deleted pod (`scaled_down`) |
//! | `replicasets.apps` | get | revisions (`rollout`, `scaled_down`) and the owner of a ReplicaSet |
//! | `deployments.apps` | get | the current revision (`rollout`) |
//! | `statefulsets.apps`, `daemonsets.apps` | get | the current revision, and how many there should be |
//! | `rollouts.argoproj.io` | get | the current revision of an Argo Rollout (`rollout`); clusters without Argo have none |
//! | `jobs.batch` | get | the CronJob a Job belongs to; whether a Job was suspended |
//! | `endpointslices.discovery.k8s.io` | list, watch | when routing learnt of an end (endpoint lag) |
//! | `events` | list | why the kubelet stopped a container (`liveness_failed`, `startup_failed`, `evicted`) |
//! | `events` | create, patch | Events on pods and workloads |
//!
//! - [`client`]: the way to the API. [`access`]: what it allows. [`server`]: its version and its clock.
//! - [`watch`]: the pods; [`pod`]: one of them, translated; [`owner`]: what it belongs to.
//! - [`lookup`]: what is asked when a pod ends; [`change`] and [`killing`]: what the answers prove.
//! - [`node_addresses`]: whence the kubelet's probes come. [`endpoints`]: routing, while a pod ends. [`event`]: what we say ourselves.

pub mod access;
pub mod change;
pub mod client;
pub mod clock;
pub mod endpoints;
pub mod event;
pub mod killing;
pub mod lookup;
pub mod node_addresses;
pub mod owner;
pub mod permission;
pub mod pod;
pub mod server;
pub mod watch;

use access::Access;
use clock::ServerClock;
use event::{Sayable, Targets};
use kube::Client;
use shutdown_probe_core::Input;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many inputs may wait for the engine, and Events for the API.
const WAITING: usize = 4_096;

/// How to reach the API, and for which node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The node whose pods are watched.
    pub node: String,
    /// Our own pod, where we run in one.
    pub own_pod: Option<(String, String)>,
    /// How to reach the API from outside a cluster.
    pub kubeconfig: Option<PathBuf>,
    /// Whether to write Events.
    pub events: bool,
}

/// The daemon's end of the link to the API.
#[derive(Debug)]
pub struct Link {
    /// What it says.
    pub inputs: mpsc::Receiver<Input>,
    /// What it allows.
    pub access: Arc<Access>,
    /// What we have to say, unless nobody wants to hear it.
    pub events: Option<mpsc::Sender<Sayable>>,
    /// How many Events were not written, for there were too many.
    pub unsaid: Arc<AtomicU64>,
}

/// The API's end of the link.
#[derive(Debug)]
pub struct Worker {
    settings: Settings,
    inputs: mpsc::Sender<Input>,
    access: Arc<Access>,
    events: mpsc::Receiver<Sayable>,
    unsaid: Arc<AtomicU64>,
}

/// What the tasks of a worker share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub client: Client,
    pub access: Arc<Access>,
    pub inputs: mpsc::Sender<Input>,
    pub clock: Arc<ServerClock>,
    pub targets: Arc<Targets>,
    pub unsaid: Arc<AtomicU64>,
}

/// A link that does nothing until its worker is run.
pub fn link(settings: Settings) -> (Link, Worker) {
    let (input_sender, inputs) = mpsc::channel(WAITING);
    let (events, event_receiver) = mpsc::channel(WAITING);
    let access = Arc::new(Access::default());
    let unsaid = Arc::new(AtomicU64::new(0));
    let events = settings.events.then_some(events);
    let link = Link { inputs, access: Arc::clone(&access), events, unsaid: Arc::clone(&unsaid) };
    (link, Worker { settings, inputs: input_sender, access, events: event_receiver, unsaid })
}

impl Worker {
    /// Watches until told to stop. Whatever the API does, it goes on.
    pub async fn run(self, stop: CancellationToken) {
        let Self { settings, inputs, access, events, unsaid } = self;
        let connecting = client::connect(settings.kubeconfig.as_deref(), &access);
        let Some(client) = stop.run_until_cancelled(connecting).await else { return };
        let clock = Arc::new(ServerClock::default());
        let targets = Arc::default();
        let desk = Desk { client, access, inputs, clock, targets, unsaid };
        let watching = stop.run_until_cancelled(watch::run(desk.clone(), &settings));
        tokio::join!(watching, event::say(desk, events, settings.node.clone(), &stop));
    }
}
