//! The pods of this node: one watch, and the questions that their ends raise.
//!
//! Invariant: what was told of a pod is told again only where it differs.

use super::access::{Need, reason};
use super::endpoints::Endpoints;
use super::event::Target;
use super::killing;
use super::lookup::{self, Answer, Owners};
use super::node_addresses;
use super::owner::{self, Owner};
use super::pod::{Besides, translate, was_ended_by_kubelet};
use super::{Desk, Settings, server};
use crate::clock::boot_now;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use shutdown_probe_core::Input;
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Change, Stopped};
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// How often the node's addresses are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How many questions are asked at a time.
const QUESTIONS: usize = 8;
/// How long until the last question of a crowd may wait; more pods than this ending at once stay `pod_deleted`.
const WAITING: usize = 1_024;

/// What is known of one pod.
struct Known {
    api: ApiPod,
    besides: Besides,
    change: Option<Change>,
    stopped: HashMap<String, Vec<Stopped>>,
    told: Option<Pod>,
    /// How many questions about it are open.
    asked: usize,
}

/// The pods, and those who ask.
struct Book {
    desk: Desk,
    pods: HashMap<String, Known>,
    owners: Arc<Owners>,
    endpoints: Endpoints,
    questions: JoinSet<()>,
    turn: Arc<Semaphore>,
    answers: mpsc::Sender<(String, Option<Answer>)>,
    /// Those that the API has no more while a question about them is open: the answer still says why they went.
    leaving: HashMap<String, Known>,
}

/// Watches for ever.
pub(crate) async fn run(desk: Desk, settings: &Settings) {
    let (sender, mut answers) = mpsc::channel(WAITING);
    let mut book = Book {
        endpoints: Endpoints::new(desk.clone()),
        desk,
        pods: HashMap::new(),
        owners: Arc::default(),
        questions: JoinSet::new(),
        turn: Arc::new(Semaphore::new(QUESTIONS)),
        answers: sender,
        leaving: HashMap::new(),
    };
    let fields = format!("spec.nodeName={}", settings.node);
    let wanted = watcher::Config::default().fields(&fields).any_semantic();
    let api: Api<ApiPod> = Api::all(book.desk.client.clone());
    let mut stream = pin!(watcher(api, wanted).default_backoff());
    let mut listed: HashSet<String> = HashSet::new();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => book.take(event, &mut listed, settings).await,
                Some(Err(error)) => book.failed(&error),
                // The watcher never ends by itself.
                None => return,
            },
            Some((uid, answer)) = answers.recv() => book.answered(&uid, answer).await,
            Some(_) = book.questions.join_next() => {}
            _ = looks.tick() => book.look_at_node().await,
        }
    }
}

impl Book {
    async fn take(&mut self, event: Event<ApiPod>, listed: &mut HashSet<String>, settings: &Settings) {
        if matches!(event, Event::Init) {
            // It is about to ask; nothing is granted yet.
            listed.clear();
            self.look_at_node().await;
            return server::look(&self.desk).await;
        }
        self.desk.access.granted(Need::Connection);
        self.desk.access.granted(Need::Pods);
        match event {
            Event::Init => {}
            Event::InitApply(pod) => {
                listed.extend(pod.uid());
                self.tell(pod).await;
            }
            Event::InitDone => {
                self.check_node(settings);
                let gone: Vec<_> = self.pods.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                for uid in gone {
                    self.remove(&uid).await;
                }
            }
            Event::Apply(pod) => self.tell(pod).await,
            Event::Delete(pod) => {
                let uid = pod.uid().unwrap_or_default();
                self.tell(pod).await;
                self.remove(&uid).await;
            }
        }
    }

    fn failed(&self, error: &watcher::Error) {
        let access = &self.desk.access;
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => match error {
                kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
                    access.granted(Need::Connection);
                    access.refused(Need::Pods, reason(error));
                }
                error => access.refused(Need::Connection, reason(error)),
            },
            // What we had is too old (410): the list that follows has it all.
            watcher::Error::WatchError(_) => {}
            watcher::Error::NoResourceVersion => {
                access.refused(Need::Pods, "the list has no resourceVersion".to_owned());
            }
        }
    }

    /// A network plugin may have made its bridge since we last looked.
    async fn look_at_node(&self) {
        let addresses = node_addresses::look().into_iter().collect();
        let _ = self.desk.inputs.send(Input::NodeAddresses { at: boot_now(), addresses }).await;
    }

    /// Our own pod is on our node; an empty node is a misspelt one.
    fn check_node(&self, settings: &Settings) {
        let is_own = |known: &Known, (namespace, name): &(String, String)| {
            known.api.metadata.namespace.as_ref() == Some(namespace)
                && known.api.metadata.name.as_ref() == Some(name)
        };
        let node = &settings.node;
        let missing = match &settings.own_pod {
            Some(own) => (!self.pods.values().any(|known| is_own(known, own)))
                .then(|| format!("our own pod is not on node {node:?}")),
            None => self.pods.is_empty().then(|| format!("the API has no pod of a node {node:?}")),
        };
        match missing {
            None => self.desk.access.granted(Need::NodeName),
            Some(reason) => self.desk.access.refused(Need::NodeName, reason),
        }
    }

    /// Takes what the API says now.
    async fn tell(&mut self, mut api: ApiPod) {
        let Some(uid) = api.metadata.uid.clone() else { return };
        api.metadata.managed_fields = None;
        let is_new = !self.pods.contains_key(&uid);
        let known = self.pods.entry(uid.clone()).or_insert_with(|| Known {
            besides: Besides { workload: Some(owner::workload(&api)), deletion_heard: None },
            api: ApiPod::default(),
            change: None,
            stopped: HashMap::new(),
            told: None,
            asked: 0,
        });
        let was_ended = was_ended_by_kubelet(&known.api);
        known.api = api;
        let is_deleted = known.api.metadata.deletion_timestamp.is_some();
        let deletion_is_news = is_deleted && known.besides.deletion_heard.is_none();
        if deletion_is_news {
            // Of one that was listed we do not know when.
            let heard = boot_now();
            known.besides.deletion_heard = Some(heard);
        }
        let before = known.told.clone();
        let is_ended_unexplained = !is_new && !was_ended && was_ended_by_kubelet(&known.api);
        self.say(&uid).await;
        if is_new {
            self.note_targets(&uid);
            self.ask_for_top(&uid);
        }
        if deletion_is_news {
            self.follow_routing(&uid);
            self.ask_for_change(&uid);
        } else if !is_deleted && let Some(before) = before {
            self.ask_for_stops(&uid, &before);
        }
        if is_ended_unexplained {
            self.ask(&uid, |desk, _, pod| async move { lookup::ended(&desk, &pod).await });
        }
    }

    async fn say(&mut self, uid: &str) {
        if let Some(known) = self.pods.get_mut(uid) {
            known.tell(&self.desk).await;
        }
    }

    async fn remove(&mut self, uid: &str) {
        self.endpoints.release(uid);
        if let Some(known) = self.pods.remove(uid) {
            if known.asked > 0 && self.leaving.len() < WAITING {
                self.leaving.insert(uid.to_owned(), known);
            }
            let _ = self.desk.inputs.send(Input::PodRemoved { at: boot_now(), uid: uid.to_owned() }).await;
        }
    }

    async fn answered(&mut self, uid: &str, answer: Option<Answer>) {
        let mut leaving = self.leaving.remove(uid);
        let Some(known) = leaving.as_mut().or_else(|| self.pods.get_mut(uid)) else { return };
        known.asked = known.asked.saturating_sub(1);
        if let Some(answer) = answer {
            known.learn(answer, &self.desk);
            known.tell(&self.desk).await;
        }
        if let Some(known) = leaving.filter(|known| known.asked > 0) {
            self.leaving.insert(uid.to_owned(), known);
        }
    }

    /// Events about a workload need its uid.
    fn note_targets(&self, uid: &str) {
        let Some(known) = self.pods.get(uid) else { return };
        let namespace = known.api.metadata.namespace.clone().unwrap_or_default();
        if let Some(owner) = owner::controller(&known.api.metadata) {
            self.desk.targets.note(&namespace, Target::of_owner(&owner));
        }
    }

    fn ask_for_top(&mut self, uid: &str) {
        let is_of_job =
            |known: &&Known| owner::controller(&known.api.metadata).is_some_and(|owner| owner.kind == "Job");
        if self.pods.get(uid).filter(is_of_job).is_some() {
            self.ask(uid, |desk, _, pod| async move { lookup::top(&desk, &pod.metadata).await });
        }
    }

    fn ask_for_change(&mut self, uid: &str) {
        self.ask(uid, |desk, owners, pod| async move { lookup::change(&desk, &owners, &pod.metadata).await });
    }

    /// A container that has ended since, of a pod that goes on, and that the kubelet may have stopped.
    fn ask_for_stops(&mut self, uid: &str, before: &Pod) {
        let Some(now) = self.pods.get(uid).and_then(|known| known.told.as_ref()) else { return };
        let ended = now.containers.iter().any(|container| {
            let spec = &container.spec;
            let earlier = before.named(&container.name).map(|before| before.spec.restarts);
            (spec.liveness_probe || spec.startup_probe)
                && earlier.is_some_and(|earlier| earlier < spec.restarts)
        });
        if ended {
            self.ask(uid, |desk, _, pod| async move { lookup::stopped(&desk, &pod.metadata).await });
        }
    }

    fn ask<F>(&mut self, uid: &str, question: impl FnOnce(Desk, Arc<Owners>, ApiPod) -> F)
    where
        F: Future<Output = Option<Answer>> + Send + 'static,
    {
        let Some(known) = self.pods.get_mut(uid) else { return };
        if self.questions.len() >= WAITING {
            return;
        }
        known.asked += 1;
        let answer = question(self.desk.clone(), Arc::clone(&self.owners), known.api.clone());
        let (turn, answers, uid) = (Arc::clone(&self.turn), self.answers.clone(), uid.to_owned());
        self.questions.spawn(async move {
            let _turn = turn.acquire().await;
            // The book may be closed.
            let _ = answers.send((uid, answer.await)).await;
        });
    }

    fn follow_routing(&mut self, uid: &str) {
        if let Some(known) = self.pods.get(uid)
            && let Some(namespace) = known.api.metadata.namespace.clone()
        {
            self.endpoints.follow(namespace, uid.to_owned());
        }
    }
}

impl Known {
    /// Takes an answer.
    fn learn(&mut self, answer: Answer, desk: &Desk) {
        let namespace = self.api.metadata.namespace.clone().unwrap_or_default();
        match answer {
            Answer::Change { change, revision, top } => {
                self.change = Some(change);
                if let Some(top) = top {
                    self.besides.rename(&top);
                    desk.targets.note(&namespace, Target::of_owner(&top));
                }
                if let Some(workload) = &mut self.besides.workload {
                    workload.revision = revision.or(workload.revision.take());
                }
            }
            Answer::Top(top) => {
                self.besides.rename(&top);
                desk.targets.note(&namespace, Target::of_owner(&top));
            }
            Answer::Stopped(stopped) => killing::add(&mut self.stopped, stopped),
        }
    }

    /// Tells the engine, where there is news.
    async fn tell(&mut self, desk: &Desk) {
        let mut pod = translate(&self.api, &self.besides, &desk.clock);
        pod.change = self.change;
        for container in &mut pod.containers {
            container.stopped = self.stopped.get(&container.name).cloned().unwrap_or_default();
        }
        // What began has begun: later dates of the same deletion are no better.
        if let (Some(now), Some(before)) = (&mut pod.deletion, self.told.as_ref().and_then(|it| it.deletion))
        {
            now.began_at = before.began_at;
            // The kubelet ends what is over by deleting it once more, with no grace.
            if now.grace_seconds == 0 {
                now.grace_seconds = before.grace_seconds;
            }
        }
        if self.told.as_ref() != Some(&pod) {
            self.told = Some(pod.clone());
            let _ = desk.inputs.send(Input::Pod { at: boot_now(), pod: Box::new(pod) }).await;
        }
    }
}

impl Besides {
    /// The owner's owner is what it belongs to.
    fn rename(&mut self, top: &Owner) {
        let workload = self.workload.get_or_insert_default();
        (workload.kind, workload.name) = (top.kind.clone(), top.name.clone());
    }
}
