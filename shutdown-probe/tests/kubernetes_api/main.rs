//! The link to the Kubernetes API next to a server that is away, refuses, forgets and exaggerates.

mod server;

use serde_json::{Value, json};
use server::Server;
use shutdown_probe::admin::ProbeStatus;
use shutdown_probe::kube::access::Access;
use shutdown_probe::kube::event::Sayable;
use shutdown_probe::kube::{self, Settings};
use shutdown_probe_core::Input;
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Change, KubeletReason};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any machine needs, and than the watcher waits before it tries again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon's end.
struct Daemon {
    inputs: Receiver<Input>,
    events: Sender<Sayable>,
    access: Arc<Access>,
    _stop: DropGuard,
}

impl Daemon {
    fn of(server: &Server) -> Self {
        let kubeconfig = Some(server.kubeconfig());
        let settings = Settings { node: "node-a".into(), own_pod: None, kubeconfig, events: true };
        let (link, worker) = kube::link(settings);
        let stop = CancellationToken::new();
        tokio::spawn(worker.run(stop.clone()));
        Self {
            inputs: link.inputs,
            events: link.events.expect("they are wanted"),
            access: link.access,
            _stop: stop.drop_guard(),
        }
    }

    /// The next pod, or the uid of one that is gone.
    async fn next(&mut self) -> Result<Pod, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let input = tokio::time::timeout(left, self.inputs.recv()).await.expect("an input in time");
            match input.expect("the link is open") {
                Input::Pod { pod, .. } => return Ok(*pod),
                Input::PodRemoved { uid, .. } => return Err(uid),
                _ => {}
            }
        }
    }

    async fn pod(&mut self) -> Pod {
        self.next().await.expect("a pod")
    }

    /// Whether nothing about pods comes for a while.
    async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.next()).await.is_err()
    }

    async fn verdict(&self, need: &str, verdict: &str) -> ProbeStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            let statuses = self.access.statuses();
            if let Some(found) = statuses.iter().find(|it| it.probe == need && it.verdict == verdict) {
                return found.clone();
            }
            assert!(Instant::now() < until, "{need} never became {verdict}: {statuses:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn pod(name: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "rs", "controller": true});
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "1",
            "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": [owner]
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "app"}]}
    })
}

fn deleted(name: &str, seconds_ahead: i64) -> Value {
    let mut pod = pod(name);
    let deadline = jiff::Timestamp::now().as_second() + 30 + seconds_ahead;
    pod["metadata"]["deletionTimestamp"] =
        json!(jiff::Timestamp::from_second(deadline).expect("a date").to_string());
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    pod
}

fn owners(server: &Server, own: &str, newest: &str) {
    let revision = |number: &str| json!({"deployment.kubernetes.io/revision": number});
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true});
    server.object(
        REPLICA_SET,
        json!({
            "metadata": {"name": "web-5d4f", "uid": "rs", "annotations": revision(own), "ownerReferences": [owner]},
            "spec": {"replicas": 2, "selector": {}}
        }),
    );
    let deployment = json!({"metadata": {"name": "web", "uid": "d", "annotations": revision(newest)}});
    server.object("/apis/apps/v1/namespaces/shop/deployments/web", deployment);
}

const REPLICA_SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-5d4f";

#[tokio::test]
async fn a_pod_is_told_and_its_deletion_explained() {
    let server = Server::start(vec![pod("web-1")]);
    owners(&server, "6", "7");
    let mut daemon = Daemon::of(&server);
    let told = daemon.pod().await;
    assert_eq!((told.name.as_str(), told.namespace.as_str()), ("web-1", "shop"));
    let workload = told.workload.expect("an owner");
    assert_eq!((workload.kind.as_str(), workload.name.as_str()), ("Deployment", "web"));
    server.watched().await;
    server.event("MODIFIED", &pod("web-1"));
    assert!(daemon.is_silent().await, "what is the same is not told again");
    server.event("MODIFIED", &deleted("web-1", 0));
    assert!(daemon.pod().await.deletion.is_some_and(|deletion| deletion.grace_seconds == 30));
    let explained = daemon.pod().await;
    assert_eq!(explained.change, Some(Change::NewRevision));
    assert_eq!(explained.workload.and_then(|it| it.revision).as_deref(), Some("6"));
    server.event("DELETED", &deleted("web-1", 0));
    assert_eq!(daemon.next().await, Err("uid-web-1".to_owned()));
}

#[tokio::test]
async fn the_servers_version_is_told() {
    let server = Server::start(vec![]);
    let mut daemon = Daemon::of(&server);
    loop {
        let input = tokio::time::timeout(PATIENCE, daemon.inputs.recv()).await.expect("an input in time");
        if let Input::ServerVersion { major, minor, .. } = input.expect("the link is open") {
            return assert_eq!((major, minor), (1, 34));
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_when_the_pod_is_gone_still_explains_it() {
    let server = Server::start(vec![pod("web-1")]);
    let set = json!({"metadata": {"name": "web-5d4f", "uid": "rs"}, "spec": {"replicas": 0, "selector": {}}});
    server.object(REPLICA_SET, set);
    let metadata = json!({"resourceVersion": "2"});
    let kind = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": []});
    server.object("/api/v1/namespaces/shop/pods", kind);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &deleted("web-1", 0));
    assert_eq!(daemon.pod().await.change, None, "nobody has answered yet");
    server.event("DELETED", &deleted("web-1", 0));
    assert_eq!(daemon.next().await, Err("uid-web-1".to_owned()));
    assert_eq!(daemon.pod().await.change, Some(Change::FewerReplicas));
    assert!(daemon.is_silent().await);
}

#[tokio::test]
async fn an_argo_rollout_goes_over_to_another_revision() {
    let revision = |number: &str| json!({"rollout.argoproj.io/revision": number});
    let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "r", "controller": true});
    let server = Server::start(vec![pod("web-1")]);
    let metadata =
        json!({"name": "web-5d4f", "uid": "rs", "annotations": revision("6"), "ownerReferences": [owner]});
    server.object(REPLICA_SET, json!({"metadata": metadata, "spec": {"replicas": 0, "selector": {}}}));
    let metadata = json!({"name": "web", "uid": "r", "annotations": revision("7")});
    let rollout =
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
    server.object("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web", rollout);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &deleted("web-1", 0));
    daemon.pod().await;
    let explained = daemon.pod().await;
    assert_eq!(explained.change, Some(Change::NewRevision));
    let workload = explained.workload.expect("an owner");
    assert_eq!((workload.kind.as_str(), workload.revision.as_deref()), ("Rollout", Some("6")));
}

#[tokio::test]
async fn a_replica_set_of_its_own_is_asked_by_its_selector() {
    let lonely = |mut pod: Value| {
        pod["metadata"]["labels"] = json!({"app": "web"});
        pod
    };
    let server = Server::start(vec![lonely(pod("web-1"))]);
    let selector = json!({"matchLabels": {"app": "web"}});
    let set =
        json!({"metadata": {"name": "web-5d4f", "uid": "rs"}, "spec": {"replicas": 1, "selector": selector}});
    server.object(REPLICA_SET, set);
    let of = |uid: &str| {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true});
        json!({"metadata": {"uid": format!("of-{uid}"), "ownerReferences": [owner]}})
    };
    // Another's pod with the same labels is none of its own.
    let list = |pods: &[Value]| {
        let metadata = json!({"resourceVersion": "2"});
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": pods})
    };
    server.object("/api/v1/namespaces/shop/pods", list(&[of("rs"), of("other")]));
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &lonely(deleted("web-1", 0)));
    daemon.pod().await;
    assert_eq!(daemon.pod().await.change, Some(Change::FewerReplicas));
}

#[tokio::test]
async fn a_stateful_set_that_has_not_written_down_its_revision_is_asked_again() {
    let path = "/apis/apps/v1/namespaces/shop/statefulsets/web-5d4f";
    let set = |replicas: i32, newest: &str| {
        json!({
            "metadata": {"name": "web-5d4f", "uid": "rs"},
            "spec": {"replicas": replicas, "selector": {}, "serviceName": "", "template": {}},
            "status": {"replicas": 3, "updateRevision": newest}
        })
    };
    let of_set = |mut pod: Value| {
        pod["metadata"]["ownerReferences"][0]["kind"] = json!("StatefulSet");
        pod["metadata"]["labels"]["controller-revision-hash"] = json!("old");
        pod
    };
    let server = Server::start(vec![of_set(pod("web-1"))]);
    server.object(path, set(3, "old"));
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &of_set(deleted("web-1", 0)));
    assert_eq!(daemon.pod().await.change, None);
    while server.asked(&format!("GET {path}")) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It was scaled down meanwhile, which is not why the pod was deleted.
    server.object(path, set(0, "new"));
    assert_eq!(daemon.pod().await.change, Some(Change::NewRevision));
}

#[tokio::test]
async fn a_hundred_deletions_ask_for_their_owner_once() {
    let names: Vec<_> = (0..100).map(|index| format!("web-{index}")).collect();
    let server = Server::start(names.iter().map(|name| pod(name)).collect());
    owners(&server, "6", "7");
    let mut daemon = Daemon::of(&server);
    for _ in &names {
        daemon.pod().await;
    }
    server.watched().await;
    names.iter().for_each(|name| server.event("MODIFIED", &deleted(name, 0)));
    let mut explained = 0;
    while explained < names.len() {
        explained += usize::from(daemon.pod().await.change == Some(Change::NewRevision));
    }
    assert_eq!(server.asked(&format!("GET {REPLICA_SET}")), 1);
    assert!(daemon.is_silent().await);
}

#[tokio::test]
async fn an_api_that_is_away_at_first_is_waited_for() {
    let (server, listener) = Server::away();
    server.list(vec![pod("web-1")]);
    let mut daemon = Daemon::of(&server);
    // Bound, and nobody accepts: requests hang. What is refused at once is the next test's.
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.come(listener);
    assert_eq!(daemon.pod().await.name, "web-1");
    daemon.verdict("kubernetes_connection", "attached").await;
}

#[tokio::test]
async fn an_api_that_nobody_serves_is_said_once_and_tried_again() {
    let (server, listener) = Server::away();
    let address = server.address;
    drop(listener);
    server.list(vec![pod("web-1")]);
    let mut daemon = Daemon::of(&server);
    let status = daemon.verdict("kubernetes_connection", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.contains("pods are known by uid alone")));
    let changes = daemon.access.changes();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(daemon.access.changes(), changes, "the same is no news");
    server.come(shutdown_probe::admin::bind(address).expect("its port is free again"));
    assert_eq!(daemon.pod().await.name, "web-1");
}

#[tokio::test]
async fn an_event_waits_for_an_api_that_is_away_and_is_written_once() {
    let (server, listener) = Server::away();
    let address = server.address;
    drop(listener);
    let daemon = Daemon::of(&server);
    daemon.events.send(sayable(None)).await.expect("the link is open");
    daemon.verdict("kubernetes_own_events", "broken").await;
    server.come(shutdown_probe::admin::bind(address).expect("its port is free again"));
    written(&server, 1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    written(&server, 1).await;
}

#[tokio::test]
async fn an_event_waits_for_a_token_that_is_not_expired() {
    let server = Server::start(vec![]);
    server.status(EVENTS, 401);
    server.object(EVENTS, json!({"metadata": {"name": "web-1.1"}, "involvedObject": {}}));
    let daemon = Daemon::of(&server);
    daemon.events.send(sayable(None)).await.expect("the link is open");
    let status = daemon.verdict("kubernetes_own_events", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.starts_with("401 Unauthorized")));
    server.status(EVENTS, 0);
    daemon.verdict("kubernetes_own_events", "attached").await;
}

#[tokio::test]
async fn the_last_event_is_written_before_the_end() {
    let server = Server::start(vec![]);
    let daemon = Daemon::of(&server);
    server.watched().await;
    daemon.events.send(sayable(None)).await.expect("the link is open");
    drop(daemon);
    written(&server, 1).await;
}

#[tokio::test]
async fn an_event_that_is_forbidden_is_not_tried_again() {
    let server = Server::start(vec![]);
    server.status(EVENTS, 403);
    let daemon = Daemon::of(&server);
    daemon.events.send(sayable(None)).await.expect("the link is open");
    daemon.verdict("kubernetes_own_events", "broken").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    written(&server, 1).await;
}

const EVENTS: &str = "/api/v1/namespaces/shop/events";

fn sayable(workload: Option<(&str, &str)>) -> Sayable {
    Sayable {
        namespace: "shop".into(),
        pod: ("web-1".into(), "uid-web-1".into(), "app".into()),
        workload: workload.map(|(kind, name)| (kind.into(), name.into())),
        reason: "SeveredConnections",
        message: "Container app severed 3 connections.".into(),
    }
}

/// So many Events, and no more.
async fn written(server: &Server, count: usize) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = server.asked(&format!("POST {EVENTS}"));
        assert!(found <= count && Instant::now() < until, "{found} of {count} Events");
        if found == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_workload_is_told_of_when_it_is_known_who_it_is() {
    let server = Server::start(vec![pod("web-1")]);
    owners(&server, "6", "7");
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    daemon.events.send(sayable(Some(("Deployment", "web")))).await.expect("the link is open");
    written(&server, 1).await;
    server.event("MODIFIED", &deleted("web-1", 0));
    written(&server, 2).await;
}

#[tokio::test]
async fn what_rbac_forbids_is_named_and_granted_later() {
    let server = Server::start(vec![pod("web-1")]);
    server.status("/api/v1/pods", 403);
    let mut daemon = Daemon::of(&server);
    let status = daemon.verdict("kubernetes_pods", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.starts_with("403 Forbidden: the test refuses")));
    daemon.verdict("kubernetes_connection", "attached").await;
    server.status("/api/v1/pods", 0);
    assert_eq!(daemon.pod().await.name, "web-1");
    daemon.verdict("kubernetes_pods", "attached").await;
}

#[tokio::test]
async fn a_token_that_expired_is_named() {
    let server = Server::start(vec![]);
    server.status("/api/v1/pods", 401);
    let daemon = Daemon::of(&server);
    let status = daemon.verdict("kubernetes_pods", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.starts_with("401 Unauthorized")));
}

#[tokio::test]
async fn owners_are_asked_again_of_a_server_that_has_too_much_to_do() {
    let server = Server::start(vec![pod("web-1")]);
    owners(&server, "6", "7");
    server.status(REPLICA_SET, 429);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &deleted("web-1", 0));
    daemon.pod().await;
    while server.asked(&format!("GET {REPLICA_SET}")) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.status(REPLICA_SET, 0);
    assert_eq!(daemon.pod().await.change, Some(Change::NewRevision));
}

#[tokio::test]
async fn a_pod_that_was_too_quick_for_its_status_is_explained_by_the_kubelets_event() {
    let server = Server::start(vec![pod("web-1")]);
    let evicted = json!({"metadata": {}, "reason": "Evicted", "involvedObject": {}, "lastTimestamp": "2026-09-21T14:00:00Z"});
    let metadata = json!({"resourceVersion": "1"});
    server.object(
        EVENTS,
        json!({"kind": "EventList", "apiVersion": "v1", "metadata": metadata, "items": [evicted]}),
    );
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    let mut over = pod("web-1");
    over["status"] = json!({"phase": "Succeeded"});
    server.event("MODIFIED", &over);
    let explained = daemon.pod().await;
    let why = explained.containers[0].stopped.iter().map(|stopped| stopped.why).collect::<Vec<_>>();
    assert_eq!(why, [KubeletReason::Evicted]);
}

#[tokio::test]
async fn owners_that_are_forbidden_leave_the_deletion_unexplained() {
    let server = Server::start(vec![pod("web-1")]);
    server.status(REPLICA_SET, 403);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.event("MODIFIED", &deleted("web-1", 0));
    assert!(daemon.pod().await.deletion.is_some());
    daemon.verdict("kubernetes_owners", "broken").await;
}

#[tokio::test]
async fn a_history_that_is_gone_is_listed_anew() {
    let server = Server::start(vec![pod("web-1"), pod("web-2")]);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    daemon.pod().await;
    server.watched().await;
    server.list(vec![pod("web-2"), pod("web-3")]);
    let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"});
    server.event("ERROR", &gone);
    server.hang_up();
    assert_eq!(daemon.pod().await.name, "web-3", "web-2 is as it was");
    assert_eq!(daemon.next().await, Err("uid-web-1".to_owned()));
}

#[tokio::test]
async fn a_watch_that_is_cut_goes_on_and_tells_nothing_twice() {
    let server = Server::start(vec![pod("web-1")]);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    server.watched().await;
    server.hang_up();
    server.watched().await;
    assert!(daemon.is_silent().await);
    server.event("ADDED", &pod("web-2"));
    assert_eq!(daemon.pod().await.name, "web-2");
}

#[tokio::test]
async fn a_node_without_pods_is_a_misspelt_one() {
    let server = Server::start(vec![]);
    let daemon = Daemon::of(&server);
    let status = daemon.verdict("kubernetes_node_name", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.contains("\"node-a\"")));
}

#[tokio::test]
async fn clocks_that_differ_are_named_and_allowed_for() {
    let server = Server::start(vec![deleted("web-1", 3_600 - 20)]);
    server.clock_ahead(3_600);
    let mut daemon = Daemon::of(&server);
    daemon.pod().await;
    let status = daemon.verdict("kubernetes_clock", "broken").await;
    assert!(status.reason.is_some_and(|reason| reason.contains("s ahead of this node's")));
    server.watched().await;
    server.event("ADDED", &deleted("web-2", 3_600 - 20));
    let mut told = daemon.pod().await;
    while told.name != "web-2" {
        told = daemon.pod().await;
    }
    let began_at = told.deletion.expect("a deletion").began_at;
    let ago = shutdown_probe::clock::boot_now().since(began_at).as_secs_f64();
    assert!((17.0..25.0).contains(&ago), "{ago} s ago, by our clock");
}
