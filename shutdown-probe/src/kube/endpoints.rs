//! When routing learns of a pod's end: the EndpointSlices of its namespace, watched while pods of it end here.
//!
//! No daemon watches the whole cluster's slices: one watch for each namespace that has an ending pod on this node, and
//! only for as long as it has one.

use super::Desk;
use super::access::Need;
use crate::clock::boot_now;
use futures_util::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use shutdown_probe_core::Input;
use shutdown_probe_core::input::EndpointStep;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// How many namespaces are watched at a time; pods of others have no endpoint lag.
const NAMESPACES: usize = 16;
/// How long a watch goes on after the API has its last pod no more: the slices may change last.
const AFTERLIFE: Duration = Duration::from_secs(3);
/// The label that names a slice's Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// What is watched.
pub struct Endpoints {
    desk: Desk,
    tasks: JoinSet<()>,
    namespaces: HashMap<String, Watched>,
}

struct Watched {
    pods: Arc<Mutex<BTreeSet<String>>>,
    task: AbortHandle,
}

/// How far one pod's endpoint in each slice has come: slice to Service and step.
type Slices = BTreeMap<String, (String, EndpointStep)>;

impl Endpoints {
    /// Nothing is watched yet.
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk, tasks: JoinSet::new(), namespaces: HashMap::new() }
    }

    /// This pod ends.
    pub fn follow(&mut self, namespace: String, uid: String) {
        while self.tasks.try_join_next().is_some() {}
        self.namespaces.retain(|_, watched| !watched.task.is_finished());
        if let Some(watched) = self.namespaces.get(&namespace) {
            lock(&watched.pods).insert(uid);
            return;
        }
        if self.namespaces.len() >= NAMESPACES {
            return;
        }
        let pods = Arc::new(Mutex::new(BTreeSet::from([uid])));
        let work = watch(self.desk.clone(), namespace.clone(), Arc::clone(&pods));
        let task = self.tasks.spawn(work);
        self.namespaces.insert(namespace, Watched { pods, task });
    }

    /// The API has this pod no more.
    pub fn release(&mut self, uid: &str) {
        let mut idle = Vec::new();
        for (namespace, watched) in &self.namespaces {
            let mut pods = lock(&watched.pods);
            if pods.remove(uid) && pods.is_empty() {
                idle.push(namespace.clone());
            }
        }
        for watched in idle.iter().filter_map(|namespace| self.namespaces.remove(namespace)) {
            self.tasks.spawn(async move {
                tokio::time::sleep(AFTERLIFE).await;
                watched.task.abort();
            });
        }
    }
}

fn lock(pods: &Mutex<BTreeSet<String>>) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(desk: Desk, namespace: String, pods: Arc<Mutex<BTreeSet<String>>>) {
    let api: Api<EndpointSlice> = Api::namespaced(desk.client.clone(), &namespace);
    let mut stream = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut seen: HashMap<String, Slices> = HashMap::new();
    // One that is over still has its endpoint removed.
    let mut followed: BTreeSet<String> = BTreeSet::new();
    while let Some(event) = stream.next().await {
        let (slice, is_gone) = match event {
            Ok(Event::Apply(slice) | Event::InitApply(slice)) => (slice, false),
            Ok(Event::Delete(slice)) => (slice, true),
            Ok(Event::Init | Event::InitDone) => continue,
            Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) => {
                desk.access.note::<()>(Need::Endpoints, &Err(error));
                continue;
            }
            Err(_) => continue,
        };
        desk.access.granted(Need::Endpoints);
        followed.extend(lock(&pods).iter().cloned());
        for (pod, service, step) in news(&mut seen, &followed, &slice, is_gone) {
            let input = Input::Endpoint { at: boot_now(), pod, service, step };
            let _ = desk.inputs.send(input).await;
        }
    }
}

/// What a slice says that is new, of the pods that are followed.
fn news(
    seen: &mut HashMap<String, Slices>,
    followed: &BTreeSet<String>,
    slice: &EndpointSlice,
    is_gone: bool,
) -> Vec<(String, String, EndpointStep)> {
    let name = slice.metadata.name.clone().unwrap_or_default();
    let labels = slice.metadata.labels.as_ref();
    let service = labels.and_then(|labels| labels.get(SERVICE)).cloned().unwrap_or_default();
    let steps = if is_gone { HashMap::new() } else { steps(slice) };
    let mut news = Vec::new();
    for pod in followed {
        let slices = seen.entry(pod.clone()).or_default();
        let before = slices.get(&name).map(|(_, step)| *step);
        let now = match (steps.get(pod.as_str()), before) {
            (Some(&step), _) => step,
            (None, Some(_)) => EndpointStep::Removed,
            (None, None) => continue,
        };
        if before != Some(now) {
            slices.insert(name.clone(), (service.clone(), now));
            let step = of_service(slices, &service);
            news.push((pod.clone(), service.clone(), step));
        }
    }
    news
}

/// A Service may have a pod in several slices (IPv4 and IPv6): it is out when it is out of all.
fn of_service(slices: &Slices, service: &str) -> EndpointStep {
    let steps = || slices.values().filter(|(of, _)| of == service).map(|(_, step)| *step);
    if steps().any(|step| step == EndpointStep::Ready) {
        EndpointStep::Ready
    } else if steps().any(|step| step == EndpointStep::NotReady) {
        EndpointStep::NotReady
    } else {
        EndpointStep::Removed
    }
}

fn steps(slice: &EndpointSlice) -> HashMap<&str, EndpointStep> {
    let all = slice.endpoints.iter().flatten().filter_map(|endpoint| {
        let uid = endpoint.target_ref.as_ref()?.uid.as_deref()?;
        // Unknown is to be taken for ready.
        let is_ready = endpoint.conditions.as_ref().and_then(|it| it.ready).unwrap_or(true);
        Some((uid, if is_ready { EndpointStep::Ready } else { EndpointStep::NotReady }))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice(name: &str, service: &str, pods: &[(&str, bool)]) -> EndpointSlice {
        let endpoint = |(uid, ready): &(&str, bool)| json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"uid": uid}});
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {SERVICE: service}}, "addressType": "IPv4", "endpoints": endpoints
        }))
        .expect("a slice")
    }

    #[test]
    fn each_step_is_news_once_and_strangers_are_none() {
        let followed = BTreeSet::from(["a".to_owned()]);
        let mut seen = HashMap::new();
        let mut told = |pods: &[(&str, bool)]| {
            let told = news(&mut seen, &followed, &slice("web-1", "web", pods), false);
            told.into_iter().map(|(pod, _, step)| (pod, step)).collect::<Vec<_>>()
        };
        let a = |step| vec![("a".to_owned(), step)];
        assert_eq!(told(&[("a", true), ("b", true)]), a(EndpointStep::Ready));
        assert_eq!(told(&[("a", true), ("b", false)]), []);
        assert_eq!(told(&[("a", false), ("b", false)]), a(EndpointStep::NotReady));
        assert_eq!(told(&[("b", false)]), a(EndpointStep::Removed));
        assert_eq!(told(&[]), []);
    }

    #[test]
    fn a_service_of_two_families_lets_go_with_the_last() {
        let followed = BTreeSet::from(["a".to_owned()]);
        let mut seen = HashMap::new();
        let mut told = |name: &str, ready, is_gone| {
            let told = news(&mut seen, &followed, &slice(name, "web", &[("a", ready)]), is_gone);
            told.into_iter().map(|(_, _, step)| step).collect::<Vec<_>>()
        };
        assert_eq!(told("v4", true, false), [EndpointStep::Ready]);
        assert_eq!(told("v6", true, false), [EndpointStep::Ready]);
        assert_eq!(told("v4", false, false), [EndpointStep::Ready], "the other sends on");
        assert_eq!(told("v6", false, false), [EndpointStep::NotReady]);
        assert_eq!(told("v4", false, true), [EndpointStep::NotReady]);
        assert_eq!(told("v6", false, true), [EndpointStep::Removed]);
    }
}
