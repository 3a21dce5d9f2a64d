//! Pods as the API server gives them, and what the engine is told.

use super::*;
use serde_json::{Value, json};

fn object(value: &Value) -> api::Pod {
    serde_json::from_value(value.clone()).expect("a pod of the API")
}

fn of(value: Value) -> Pod {
    translate(&object(&value), &Besides::default(), &ServerClock::default())
}

fn running() -> Value {
    json!({
        "metadata": {"uid": "u", "namespace": "shop", "name": "web-1"},
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "initContainers": [
                {"name": "migrate", "image": "m"},
                {"name": "proxy", "image": "p", "restartPolicy": "Always"}
            ],
            "containers": [{
                "name": "app", "image": "web:7", "command": ["/bin/sh", "-c", "node server.js"],
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}, "stopSignal": "SIGUSR1"},
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 2}, "livenessProbe": {"terminationGracePeriodSeconds": 3}
            }],
            "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]
        },
        "status": {
            "phase": "Running", "hostIP": "192.0.2.1", "podIPs": [{"ip": "10.244.0.7"}, {"ip": "fd00::7"}],
            "containerStatuses": [{
                "name": "app", "image": "web:7", "imageID": "", "ready": true, "restartCount": 2,
                "containerID": "containerd://bbbb", "state": {"running": {}},
                "lastState": {"terminated": {
                    "exitCode": 137, "reason": "OOMKilled", "containerID": "containerd://aaaa"
                }}
            }],
            "initContainerStatuses": [{
                "name": "proxy", "image": "p", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "cri-o://cccc", "state": {"running": {}}
            }]
        }
    })
}

fn set(pod: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    pod.pointer_mut(parent).expect("a parent")[name] = value;
}

#[test]
fn every_kind_of_container_is_told() {
    let pod = of(running());
    let kinds: Vec<_> =
        pod.containers.iter().map(|it| (it.name.as_str(), it.spec.kind.as_str(), it.id.as_deref())).collect();
    assert_eq!(
        kinds,
        [
            ("migrate", "init", None),
            ("proxy", "sidecar", Some("cccc")),
            ("app", "container", Some("bbbb")),
            ("debugger", "ephemeral", None),
        ]
    );
    assert_eq!(pod.container("aaaa").map(|it| it.name.as_str()), Some("app"), "the one before its restart");
    assert_eq!(pod.containers[2].oom_killed, ["aaaa"]);
}

#[test]
fn the_audit_says_what_the_spec_says() {
    let pod = of(running());
    let app = pod.named("app").expect("the container");
    let spec = &app.spec;
    assert_eq!((spec.pre_stop.as_deref(), spec.stop_signal.as_deref()), (Some("sleep 5 s"), Some("SIGUSR1")));
    assert_eq!((spec.command_is_shell, spec.grace_seconds, spec.restarts), (Some(true), Some(30), 2));
    assert!(spec.readiness_probe && spec.liveness_probe && !spec.startup_probe);
    assert_eq!((app.liveness_grace_seconds, app.startup_grace_seconds), (Some(3), None));
    assert_eq!(app.probes, [Probe { port: 8080, period_seconds: 2 }]);
    assert_eq!(pod.named("proxy").map(|it| it.spec.command_is_shell), Some(None), "the image decides");
}

#[test]
fn hooks_are_told_in_words() {
    for (hook, words) in [
        (json!({"exec": {"command": ["nginx", "-s", "quit"]}}), "exec nginx -s quit"),
        (json!({"httpGet": {"path": "/drain", "port": 80}}), "GET /drain"),
        (json!({"tcpSocket": {"port": 80}}), "connect (does nothing)"),
        (json!({}), "nothing"),
    ] {
        let mut pod = running();
        set(&mut pod, "/spec/containers/0/lifecycle/preStop", hook);
        assert_eq!(of(pod).named("app").and_then(|it| it.spec.pre_stop.clone()), Some(words.to_owned()));
    }
}

#[test]
fn a_pod_on_the_nodes_network_has_no_address_of_its_own() {
    let node: IpAddr = "192.0.2.1".parse().expect("valid");
    let pod = of(running());
    assert_eq!((pod.addresses.len(), pod.node_addresses.as_slice()), (2, [node].as_slice()));
    let mut pod = running();
    set(&mut pod, "/spec/hostNetwork", json!(true));
    let pod = of(pod);
    assert!(pod.addresses.is_empty() && pod.containers[2].spec.host_network);
}

#[test]
fn the_deletion_began_a_grace_before_its_date() {
    let now = jiff::Timestamp::now().as_second();
    let date = |second| jiff::Timestamp::from_second(second).expect("a date").to_string();
    let mut pod = running();
    set(&mut pod, "/metadata/deletionTimestamp", json!(date(now - 60 + 30)));
    set(&mut pod, "/metadata/deletionGracePeriodSeconds", json!(30));
    let deletion = of(pod).deletion.expect("a deletion");
    let ago = crate::clock::boot_now().since(deletion.began_at).as_secs_f64();
    assert!((59.0..62.0).contains(&ago), "{ago}");
    assert_eq!(deletion.grace_seconds, 30);
}

#[test]
fn only_a_condition_that_holds_is_a_reason() {
    let mut pod = running();
    let condition =
        |status| json!([{"type": "DisruptionTarget", "status": status, "reason": "EvictionByEvictionAPI"}]);
    set(&mut pod, "/status/conditions", condition("False"));
    assert_eq!(of(pod.clone()).disruption, None);
    set(&mut pod, "/status/conditions", condition("True"));
    assert_eq!(of(pod).disruption.as_deref(), Some("EvictionByEvictionAPI"));
}

#[test]
fn the_kubelets_words_outlast_the_status() {
    let quick = |words: &str| {
        let mut pod = running();
        set(&mut pod, "/status/phase", json!("Succeeded"));
        let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": words});
        set(&mut pod, "/status/conditions", json!([condition]));
        assert!(!was_ended_by_kubelet(&object(&pod)), "nobody need be asked");
        of(pod)
    };
    assert!(quick("Pod was terminated in response to imminent node shutdown.").says_node_shutdown);
    let preempted = quick("Pod was preempted by Kubelet to accommodate a critical pod.");
    assert_eq!((preempted.reason.as_deref(), preempted.says_node_shutdown), (Some("Preempting"), false));
    assert_eq!(quick("The node was low on resource: memory.").reason, None);
}

#[test]
fn a_pod_is_finished_when_none_of_its_work_goes_on() {
    let ended = |policy: &str, code: i32| {
        let mut pod = running();
        set(&mut pod, "/spec/restartPolicy", json!(policy));
        let state = json!({"terminated": {"exitCode": code}});
        set(&mut pod, "/status/containerStatuses/0/state", state);
        of(pod).is_finished
    };
    assert!(ended("Never", 1) && ended("OnFailure", 0));
    assert!(!ended("OnFailure", 1) && !ended("Always", 0), "it will be started again");
    assert!(!of(running()).is_finished);
    let mut failed = running();
    set(&mut failed, "/status/phase", json!("Failed"));
    assert!(!of(failed.clone()).is_finished && was_ended_by_kubelet(&object(&failed)), "nobody wanted that");
    set(&mut failed, "/spec/restartPolicy", json!("Never"));
    assert!(of(failed.clone()).is_finished && !was_ended_by_kubelet(&object(&failed)));
    set(&mut failed, "/status/reason", json!("DeadlineExceeded"));
    assert!(!of(failed).is_finished, "its containers run still");
}

#[test]
fn a_static_pod_has_its_hash_and_nonsense_is_no_reason_to_fail() {
    let mut pod = running();
    set(
        &mut pod,
        "/metadata/annotations",
        json!({CONFIG_HASH: "d3b0", CONFIG_MIRROR: "d3b0", "\u{1b}[2J": "\n"}),
    );
    set(&mut pod, "/status/podIPs", json!([{"ip": "not an address"}]));
    set(&mut pod, "/spec/terminationGracePeriodSeconds", json!(-5));
    let pod = of(pod);
    assert_eq!((pod.config_hash.as_deref(), pod.grace_seconds), (Some("d3b0"), None));
    assert!(pod.addresses.is_empty());
    assert_eq!(of(json!({"metadata": {}})).containers, []);
}

#[test]
fn a_pod_that_only_says_so_is_no_static_one() {
    let mut pod = running();
    set(&mut pod, "/metadata/annotations", json!({CONFIG_HASH: "d3b0"}));
    assert_eq!(of(pod.clone()).config_hash, None);
    set(&mut pod, "/metadata/annotations", json!({CONFIG_HASH: "d3b0", CONFIG_MIRROR: "another"}));
    assert_eq!(of(pod).config_hash, None);
}
