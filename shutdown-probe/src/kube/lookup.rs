//! What the API is asked when a pod ends: little, and for many pods of one owner once.

use super::Desk;
use super::access::Need;
use super::change::{self, has_newer, is_superseded, of_daemon_set, of_job, of_replicas, of_stateful_set};
use super::client::{PATIENCE, is_final};
use super::killing;
use super::owner::{Owner, controller};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Selector};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use shutdown_probe_core::kubernetes::pod::{Change, Stopped};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// An owner that was asked for so recently is not asked for again: pods end in groups.
const FRESH: Duration = Duration::from_secs(3);
/// How long an owner has to make another pod in the place of one that was deleted.
const REPLACEMENT: Duration = Duration::from_millis(1_500);
/// How long the kubelet's Event may be on its way.
const EVENT_DELAY: Duration = Duration::from_secs(2);
/// How long after the first and the second attempt it is asked again.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How many owners are remembered.
const OWNERS: usize = 1_024;
/// How many Events of one pod are looked through.
const EVENTS: u32 = 50;

/// The answer about one pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What its owner wants.
    Change {
        /// Whether it wants the pod still.
        change: Change,
        /// The pod's revision, where that has a number.
        revision: Option<String>,
        /// The owner's owner, where it has one.
        top: Option<Owner>,
    },
    /// The owner's owner.
    Top(Owner),
    /// Why the kubelet stopped containers of it.
    Stopped(HashMap<String, Vec<Stopped>>),
}

/// Owners that were asked for of late.
#[derive(Default)]
pub struct Owners {
    replica_sets: Mutex<HashMap<String, (Instant, Asked)>>,
}

/// What is known, or will be, of one.
type Asked = Arc<OnceCell<Option<Replicas>>>;

/// A ReplicaSet, and what else tells what it wants.
#[derive(Debug)]
struct Replicas {
    set: ReplicaSet,
    is_superseded: bool,
    pods: Vec<ObjectMeta>,
}

/// What the owner of a deleted pod wants; nothing where nobody can be asked.
pub(crate) async fn change(desk: &Desk, owners: &Owners, pod: &ObjectMeta) -> Option<Answer> {
    let owner = controller(pod)?;
    let namespace = pod.namespace.as_deref()?;
    let unchanged = |change| Answer::Change { change, revision: None, top: None };
    let wants = |change: Option<Change>| Some(unchanged(change.unwrap_or(Change::Unchanged)));
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let cell = owners.replica_set(&owner.uid);
            let found = cell.get_or_init(|| replicas(desk, namespace, &owner)).await.as_ref();
            let Some(found) = found else { return Some(unchanged(Change::Unchanged)) };
            let change = if found.is_superseded {
                Change::NewRevision
            } else {
                of_replicas(&found.set, &found.pods, pod)
            };
            let revision = change::revision(&found.set.metadata);
            Some(Answer::Change { change, revision, top: controller(&found.set.metadata) })
        }
        "StatefulSet" => {
            let Some(set) = get::<StatefulSet>(desk, namespace, &owner).await? else { return wants(None) };
            let first = of_stateful_set(&set, pod);
            if first != Change::Unchanged {
                return wants(Some(first));
            }
            // Its controller writes down the newest revision after it has deleted the first pod. All else is as it was
            // when the pod was deleted: it may have been scaled since.
            tokio::time::sleep(REPLACEMENT).await;
            let again: Option<StatefulSet> = get(desk, namespace, &owner).await?;
            wants(again.map(|again| of_stateful_set(&StatefulSet { status: again.status, ..set }, pod)))
        }
        "DaemonSet" => {
            let set: Option<DaemonSet> = get(desk, namespace, &owner).await?;
            wants(set.map(|set| of_daemon_set(&set, pod)))
        }
        "Job" => {
            let job: Option<Job> = get(desk, namespace, &owner).await?;
            wants(job.map(|job| of_job(&job)))
        }
        _ => None,
    }
}

/// The CronJob of a pod's Job.
pub(crate) async fn top(desk: &Desk, pod: &ObjectMeta) -> Option<Answer> {
    let owner = controller(pod).filter(|owner| owner.kind == "Job")?;
    let job: Option<Job> = get(desk, pod.namespace.as_deref()?, &owner).await?;
    controller(&job?.metadata).map(Answer::Top)
}

/// Why the kubelet stopped containers of this pod.
pub(crate) async fn stopped(desk: &Desk, pod: &ObjectMeta) -> Option<Answer> {
    let fields = format!("involvedObject.uid={},reason=Killing", pod.uid.as_deref()?);
    for delay in [Duration::ZERO, EVENT_DELAY] {
        tokio::time::sleep(delay).await;
        let events = events(desk, pod.namespace.as_deref()?, &fields).await?;
        let found = killing::stopped(&events, &desk.clock);
        if !found.is_empty() {
            return Some(Answer::Stopped(found));
        }
    }
    None
}

/// Whether the kubelet evicted this pod.
pub(crate) async fn ended(desk: &Desk, pod: &Pod) -> Option<Answer> {
    let evicted = format!("involvedObject.uid={},reason=Evicted", pod.metadata.uid.as_deref()?);
    let events = events(desk, pod.metadata.namespace.as_deref()?, &evicted).await?;
    let stops = killing::evicted(&events, &desk.clock);
    let containers =
        pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let found = containers.map(|container| (container.name.clone(), stops.clone())).collect();
    (!stops.is_empty()).then_some(Answer::Stopped(found))
}

async fn events(desk: &Desk, namespace: &str, fields: &str) -> Option<Vec<Event>> {
    let events: Api<Event> = Api::namespaced(desk.client.clone(), namespace);
    let parameters = ListParams::default().fields(fields).limit(EVENTS);
    let found = patient(|| events.list(&parameters)).await?;
    desk.access.note(Need::KubeletEvents, &found);
    Some(found.ok()?.items)
}

impl Owners {
    /// What is known, or will be, of this ReplicaSet.
    fn replica_set(&self, uid: &str) -> Asked {
        let mut sets = self.replica_sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|_, (asked, _)| asked.elapsed() < FRESH);
        if sets.len() >= OWNERS {
            return Arc::default();
        }
        let (_, cell) = sets.entry(uid.to_owned()).or_insert_with(|| (Instant::now(), Arc::default()));
        Arc::clone(cell)
    }
}

/// A ReplicaSet with what its owner says of it and, where the revision explains nothing, its pods a moment later.
async fn replicas(desk: &Desk, namespace: &str, owner: &Owner) -> Option<Replicas> {
    let set: ReplicaSet = get(desk, namespace, owner).await??;
    if is_replaced(desk, namespace, &set).await? {
        return Some(Replicas { set, is_superseded: true, pods: Vec::new() });
    }
    tokio::time::sleep(REPLACEMENT).await;
    let siblings: Api<Pod> = Api::namespaced(desk.client.clone(), namespace);
    let selector = Selector::try_from(set.spec.selector.clone()).ok()?;
    let parameters = ListParams::default().labels_from(&selector);
    let found = patient(|| siblings.list_metadata(&parameters)).await?;
    desk.access.note(Need::Owners, &found);
    let is_its = |pod: &ObjectMeta| controller(pod).is_some_and(|of| of.uid == owner.uid);
    let pods = found.ok()?.items.into_iter().map(|pod| pod.metadata).filter(is_its).collect();
    Some(Replicas { set, is_superseded: false, pods })
}

/// Whether a ReplicaSet's owner goes over to another. Nothing: nobody answers.
async fn is_replaced(desk: &Desk, namespace: &str, set: &ReplicaSet) -> Option<bool> {
    let Some(owner) = controller(&set.metadata) else { return Some(false) };
    match owner.kind.as_str() {
        "Deployment" => {
            let deployment: Option<Deployment> = get(desk, namespace, &owner).await?;
            Some(deployment.is_some_and(|deployment| is_superseded(set, &deployment)))
        }
        "Rollout" => {
            let rollouts: Api<DynamicObject> =
                Api::namespaced_with(desk.client.clone(), namespace, &rollout());
            let found = patient(|| rollouts.get_metadata_opt(&owner.name)).await?;
            desk.access.note(Need::Owners, &found);
            let rollout = found
                .ok()?
                .map(|found| found.metadata)
                .filter(|found| found.uid.as_ref() == Some(&owner.uid));
            Some(rollout.is_some_and(|rollout| has_newer(&rollout, set)))
        }
        _ => Some(false),
    }
}

/// Of Argo Rollouts, whose objects are not among those that every cluster has.
fn rollout() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout"),
        "rollouts",
    )
}

/// An owner. Nothing inside: it is gone, or another of the same name. Nothing at all: nobody answers.
async fn get<K>(desk: &Desk, namespace: &str, owner: &Owner) -> Option<Option<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(desk.client.clone(), namespace);
    let found = patient(|| api.get_opt(&owner.name)).await?;
    desk.access.note(Need::Owners, &found);
    Some(found.ok()?.filter(|found| found.meta().uid.as_deref() == Some(owner.uid.as_str())))
}

/// Asks again where that may change the answer; nothing where nobody answers.
async fn patient<T, F>(ask: impl Fn() -> F) -> Option<Result<T, kube::Error>>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    for pause in AGAIN {
        match tokio::time::timeout(PATIENCE, ask()).await {
            Ok(answer) if is_final(&answer) => return Some(answer),
            _ => tokio::time::sleep(pause).await,
        }
    }
    tokio::time::timeout(PATIENCE, ask()).await.ok()
}
