//! What we say in the cluster: Events on the pod and on its workload.
//!
//! Invariants: what repeats is counted on the Event that is there; there is a limit to how many are written, and to how
//! many wait while the API is away; Events are a courtesy, so nothing else waits for them.

use super::Desk;
use super::access::Need;
use super::client::{PATIENCE, is_final};
use super::owner::Owner;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{State, Termination};
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Who says it.
const COMPONENT: &str = "shutdown-probe";
/// The API takes no longer message.
const MESSAGE: usize = 1_024;
/// How many Events on pods may be written in a burst, and how often one more; as many on workloads. A node has some
/// hundred pods.
const BURST: u32 = 100;
const REFILL: Duration = Duration::from_secs(5);
/// How often what could not be written is tried again, and for how long an Event is news.
const AGAIN: Duration = Duration::from_secs(3);
const STALE: Duration = Duration::from_secs(900);
/// How much of an object's name is left in that of an Event.
const NAME: usize = 220;
/// How long the same is counted on one Event; the API forgets Events after an hour.
const SAME: Duration = Duration::from_secs(1_800);
/// How long what waits may take when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How many Events, and how many workloads, are remembered.
const REMEMBERED: usize = 1_024;

/// Something to say about a termination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sayable {
    /// The namespace.
    pub namespace: String,
    /// The pod, its uid, and the container's name.
    pub pod: (String, String, String),
    /// Kind and name of the workload.
    pub workload: Option<(String, String)>,
    /// A word in CamelCase, from a closed set.
    pub reason: &'static str,
    /// What happened, and what to change.
    pub message: String,
}

/// What there is to say of a termination as it stands now; nothing of one that went well.
pub fn sayings(termination: &Termination) -> Vec<Sayable> {
    let container = &termination.container;
    let Some(pod) = container.pod.as_ref().filter(|pod| !pod.name.is_empty()) else { return Vec::new() };
    let severed = (termination.severed_total > 0).then_some("SeveredConnections");
    let reasons = severed.into_iter().chain(reason(termination.cause));
    let advice = termination.advice.first().map_or_else(String::new, |advice| format!(" {advice}"));
    let message = format!("Container {} {}.{advice}", container.name, termination.summary);
    let message: String = message.chars().take(MESSAGE).collect();
    let workload = container.workload.as_ref().filter(|workload| workload.kind != "Pod");
    reasons
        .map(|reason| Sayable {
            namespace: pod.namespace.clone(),
            pod: (pod.name.clone(), pod.uid.clone(), container.name.clone()),
            workload: workload.map(|workload| (workload.kind.clone(), workload.name.clone())),
            reason,
            message: message.clone(),
        })
        .collect()
}

/// The word for a cause that is worth one though nothing may have been lost.
const fn reason(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::IgnoredStopSignal => Some("IgnoredStopSignal"),
        Cause::StopSignalNotForwarded => Some("StopSignalNotForwarded"),
        Cause::StopSignalKilledProcess => Some("StopSignalNotHandled"),
        Cause::GraceExceeded => Some("GraceExceeded"),
        Cause::WaitedOnIdleConnections => Some("WaitedOnIdleConnections"),
        _ => None,
    }
}

/// Which terminations were spoken of. A loss is told as soon as it is known; the rest when all is over.
#[derive(Debug, Default)]
pub struct Speaker {
    spoken: VecDeque<(String, &'static str)>,
}

impl Speaker {
    /// What is to be said now. `now` in seconds since the Unix epoch.
    pub fn take(&mut self, termination: &Termination, now: f64) -> Vec<Sayable> {
        let settled = termination.exit.as_ref().is_some_and(|exit| now - exit.at > 0.15);
        let is_known = termination.state == State::Complete || settled && termination.severed_total > 0;
        if !is_known {
            return Vec::new();
        }
        let mut news = sayings(termination);
        news.retain(|it| !self.spoken.iter().any(|(id, said)| *id == termination.id && *said == it.reason));
        self.spoken.extend(news.iter().map(|it| (termination.id.clone(), it.reason)));
        while self.spoken.len() > REMEMBERED {
            self.spoken.pop_front();
        }
        news
    }
}

/// Something an Event can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    kind: String,
    name: String,
    uid: String,
}

impl Target {
    /// The owner of something.
    pub fn of_owner(owner: &Owner) -> Self {
        Self { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() }
    }
}

/// The workloads whose uid is known: `kubectl describe` finds Events by it.
#[derive(Debug, Default)]
pub struct Targets(Mutex<HashMap<(String, String, String), Target>>);

impl Targets {
    /// Notes one.
    pub fn note(&self, namespace: &str, target: Target) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert((namespace.to_owned(), target.kind.clone(), target.name.clone()), target);
    }

    fn get(&self, namespace: &str, (kind, name): &(String, String)) -> Option<Target> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(namespace.to_owned(), kind.clone(), name.clone())).cloned()
    }
}

const fn api_version(kind: &str) -> &'static str {
    match kind.as_bytes() {
        b"Deployment" | b"StatefulSet" | b"DaemonSet" | b"ReplicaSet" => "apps/v1",
        b"Job" | b"CronJob" => "batch/v1",
        b"Rollout" => "argoproj.io/v1alpha1",
        _ => "v1",
    }
}

/// One more Event every [`REFILL`], [`BURST`] at once.
struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: BURST, refilled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = (now - self.refilled).as_secs() / REFILL.as_secs();
        if earned > 0 {
            self.left = self.left.saturating_add(earned as u32).min(BURST);
            self.refilled = now;
        }
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }
}

/// An Event that was written.
struct Written {
    name: String,
    count: i32,
    at: Instant,
}

/// An Event that the API could not be reached for.
struct Unsaid {
    sayable: Sayable,
    about: ObjectReference,
    since: Instant,
}

/// What is written, and what waits for the API.
struct Clerk {
    desk: Desk,
    node: String,
    written: HashMap<u64, Written>,
    unsaid: VecDeque<Unsaid>,
    /// About workloads whose uid is not known yet: who owns a pod's owner is asked when the pod ends.
    unknown: VecDeque<(Sayable, Instant)>,
    pods: Allowance,
    workloads: Allowance,
}

/// Writes what it is given, until told to stop: then what waits, if the API takes it soon.
pub(crate) async fn say(
    desk: Desk,
    mut sayables: mpsc::Receiver<Sayable>,
    node: String,
    stop: &CancellationToken,
) {
    // Apart, so that a storm of pods does not keep their workload from being told of.
    let [pods, workloads] = [(); 2].map(|()| Allowance::new(Instant::now()));
    let (written, unsaid, unknown) = (HashMap::new(), VecDeque::new(), VecDeque::new());
    let mut clerk = Clerk { desk, node, written, unsaid, unknown, pods, workloads };
    let mut again = tokio::time::interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            sayable = sayables.recv() => match sayable {
                None => return,
                Some(sayable) => clerk.say(sayable).await,
            },
            _ = again.tick(), if clerk.has_to_try_again() => clerk.try_again().await,
            () = stop.cancelled() => break,
        }
    }
    if tokio::time::timeout(LAST_WORDS, clerk.finish(&mut sayables)).await.is_err() {
        tracing::warn!(seconds = LAST_WORDS.as_secs(), "the last Events were not written in time");
    }
}

impl Clerk {
    async fn finish(&mut self, sayables: &mut mpsc::Receiver<Sayable>) {
        self.try_again().await;
        while let Ok(sayable) = sayables.try_recv() {
            self.say(sayable).await;
        }
    }

    async fn say(&mut self, sayable: Sayable) {
        self.say_about(pod(&sayable), &sayable).await;
        match workload(&self.desk, &sayable) {
            Some(workload) => self.say_about(workload, &sayable).await,
            None if sayable.workload.is_none() => {}
            None if self.unknown.len() >= REMEMBERED => self.lose(),
            None => self.unknown.push_back((sayable, Instant::now())),
        }
    }

    async fn say_about(&mut self, about: ObjectReference, sayable: &Sayable) {
        let is_pod = about.kind.as_deref() == Some("Pod");
        let allowance = if is_pod { &mut self.pods } else { &mut self.workloads };
        if allowance.take(Instant::now()) {
            self.take(Unsaid { sayable: sayable.clone(), about, since: Instant::now() }).await;
        } else {
            self.lose();
        }
    }

    fn has_to_try_again(&self) -> bool {
        !self.unsaid.is_empty() || !self.unknown.is_empty()
    }

    /// Writes it now, or when the API can be reached again. Whoever waits already goes first.
    async fn take(&mut self, event: Unsaid) {
        if !self.unsaid.is_empty() || !self.write(&event).await {
            if self.unsaid.len() >= REMEMBERED {
                self.lose();
            } else {
                self.unsaid.push_back(event);
            }
        }
    }

    async fn try_again(&mut self) {
        for (sayable, since) in std::mem::take(&mut self.unknown) {
            match workload(&self.desk, &sayable) {
                Some(workload) => self.say_about(workload, &sayable).await,
                None if since.elapsed() > STALE => self.lose(),
                None => self.unknown.push_back((sayable, since)),
            }
        }
        while let Some(event) = self.unsaid.pop_front() {
            if event.since.elapsed() > STALE {
                self.lose();
            } else if !self.write(&event).await {
                return self.unsaid.push_front(event);
            }
        }
    }

    fn lose(&self) {
        self.desk.unsaid.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    async fn write(&mut self, event: &Unsaid) -> bool {
        write(&self.desk, &mut self.written, &event.sayable, event.about.clone(), &self.node).await
    }
}

fn pod(sayable: &Sayable) -> ObjectReference {
    let (name, uid, container) = &sayable.pod;
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(name.clone()),
        uid: Some(uid.clone()),
        namespace: Some(sayable.namespace.clone()),
        field_path: Some(format!("spec.containers{{{container}}}")),
        ..ObjectReference::default()
    }
}

/// The workload, where its uid is known.
fn workload(desk: &Desk, sayable: &Sayable) -> Option<ObjectReference> {
    let target = desk.targets.get(&sayable.namespace, sayable.workload.as_ref()?)?;
    Some(ObjectReference {
        api_version: Some(api_version(&target.kind).to_owned()),
        kind: Some(target.kind),
        name: Some(target.name),
        uid: Some(target.uid),
        namespace: Some(sayable.namespace.clone()),
        ..ObjectReference::default()
    })
}

/// Whether there is an answer, and nothing left to do.
async fn write(
    desk: &Desk,
    written: &mut HashMap<u64, Written>,
    sayable: &Sayable,
    about: ObjectReference,
    node: &str,
) -> bool {
    let mut hasher = DefaultHasher::new();
    (&about.uid, sayable.reason, &sayable.pod.2).hash(&mut hasher);
    let key = hasher.finish();
    written.retain(|_, event| event.at.elapsed() < SAME);
    let events: Api<Event> = Api::namespaced(desk.client.clone(), &sayable.namespace);
    if let Some(event) = written.get_mut(&key) {
        let now = Time(Timestamp::now());
        let count = event.count + 1;
        let patch = json!({"count": count, "lastTimestamp": now, "message": sayable.message});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let outcome = patient(events.patch(&event.name, &parameters, &patch)).await;
        note(desk, &outcome);
        let is_gone = matches!(&outcome, Err(kube::Error::Api(status)) if status.code == 404);
        if !is_gone {
            event.count = if outcome.is_ok() { count } else { event.count };
            return is_final(&outcome);
        }
    }
    let event = compose(sayable, about, node);
    let name = event.metadata.name.clone().unwrap_or_default();
    let outcome = patient(events.create(&PostParams::default(), &event)).await;
    note(desk, &outcome);
    if outcome.is_ok() && written.len() < REMEMBERED {
        written.insert(key, Written { name, count: 1, at: Instant::now() });
    }
    is_final(&outcome)
}

/// Somebody who does not answer cannot be reached.
async fn patient(request: impl Future<Output = Result<Event, kube::Error>>) -> Result<Event, kube::Error> {
    let late = |_| Err(kube::Error::Service("it does not answer".into()));
    tokio::time::timeout(PATIENCE, request).await.unwrap_or_else(late)
}

fn note(desk: &Desk, outcome: &Result<Event, kube::Error>) {
    // A namespace that is being deleted takes no Events: nothing to complain about.
    let is_closing = |status: &kube::core::Status| status.message.contains("being terminated");
    if !matches!(outcome, Err(kube::Error::Api(status)) if is_closing(status)) {
        desk.access.note(Need::OwnEvents, outcome);
    }
}

fn compose(sayable: &Sayable, about: ObjectReference, node: &str) -> Event {
    let now = Timestamp::now();
    // As the API's own clients call them; a name has 253 characters at most, and none ends with a dash.
    let object: String = about.name.iter().flat_map(|name| name.chars()).take(NAME).collect();
    let name = format!("{}.{:x}", object.trim_end_matches(['-', '.']), now.as_nanosecond());
    let namespace = Some(sayable.namespace.clone());
    Event {
        metadata: ObjectMeta { name: Some(name), namespace, ..ObjectMeta::default() },
        involved_object: about,
        reason: Some(sayable.reason.to_owned()),
        message: Some(sayable.message.clone()),
        type_: Some("Warning".to_owned()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        reporting_component: Some(COMPONENT.to_owned()),
        reporting_instance: Some(node.to_owned()),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: Some(node.to_owned()) }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::{Container, Pod, Workload};

    fn termination() -> Termination {
        let container = Container {
            name: "app".into(),
            pod: Some(Pod { namespace: "shop".into(), name: "web-1".into(), uid: "u".into() }),
            workload: Some(Workload { kind: "Deployment".into(), name: "web".into(), revision: None }),
            ..Container::default()
        };
        Termination { container, ..sample::termination() }
    }

    #[test]
    fn a_loss_is_told_early_and_once() {
        let mut speaker = Speaker::default();
        let running = Termination { state: State::InProgress, ..termination() };
        let exit = running.exit.as_ref().map(|exit| exit.at).unwrap_or_default();
        assert_eq!(speaker.take(&running, exit + 0.05), [], "not settled yet");
        let told = speaker.take(&running, exit + 0.3);
        assert_eq!(told.iter().map(|it| it.reason).collect::<Vec<_>>(), ["SeveredConnections"]);
        assert!(
            told[0].message.starts_with("Container app It exited 3 ms after SIGTERM"),
            "{}",
            told[0].message
        );
        assert_eq!(speaker.take(&termination(), exit + 10.0), []);
    }

    #[test]
    fn what_luck_kept_harmless_is_told_at_the_end() {
        let mut speaker = Speaker::default();
        let lucky =
            |state| Termination { state, severed_total: 0, cause: Cause::IgnoredStopSignal, ..termination() };
        assert_eq!(speaker.take(&lucky(State::InProgress), 2e9), []);
        let told = speaker.take(&lucky(State::Complete), 2e9);
        assert_eq!(told.iter().map(|it| it.reason).collect::<Vec<_>>(), ["IgnoredStopSignal"]);
    }

    #[test]
    fn a_clean_end_and_a_nameless_pod_are_not_spoken_of() {
        let clean = Termination { severed_total: 0, cause: Cause::Clean, ..termination() };
        assert_eq!(sayings(&clean), []);
        assert_eq!(sayings(&sample::termination()), [], "it has no pod");
    }

    #[test]
    fn the_longest_name_gives_an_event_that_the_api_takes() {
        let sayable = sayings(&termination()).remove(0);
        let about = |name: String| ObjectReference { name: Some(name), ..ObjectReference::default() };
        let name = |of: String| compose(&sayable, about(of), "node-a").metadata.name.unwrap_or_default();
        assert!(name("web-1".into()).starts_with("web-1."));
        let long = name(format!("{}-{}", "a".repeat(NAME - 1), "b".repeat(32)));
        assert!(long.len() <= 253 && !long.contains("-."), "{long}");
    }

    #[test]
    fn a_storm_is_cut_and_time_earns_more() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let granted = (0..1_000).filter(|_| allowance.take(start)).count();
        assert_eq!(granted, BURST as usize);
        assert!(allowance.take(start + REFILL));
        assert!(!allowance.take(start + REFILL));
    }
}
