//! One pod, from the API's words to the engine's.
//!
//! Invariant: pure functions. Text stays as it is; it is escaped where it is printed.

use super::clock::ServerClock;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shutdown_probe_core::identity::KernelInstant;
use shutdown_probe_core::kubernetes::Pod;
use shutdown_probe_core::kubernetes::pod::{Container, Deletion, Probe};
use shutdown_probe_core::report::{Spec, Workload};
use std::collections::HashMap;
use std::net::IpAddr;

/// Annotations of static pods: the hash that their cgroups are named after, and what makes them the API's image of one.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
/// The kubelet's message of a node that shuts down, in its beginning.
const NODE_SHUTDOWN: &str = "Pod was terminated in response to imminent node shutdown";
/// Its words about a pod that had to make room for a critical one, in their beginning.
const PREEMPTED: &str = "Pod was preempted by Kubelet";
/// Programs that are shells.
const SHELLS: &[&str] = &["sh", "ash", "bash", "dash", "busybox", "zsh"];

/// What is not said of a pod itself, but of its owner or by the kubelet.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// What it belongs to.
    pub workload: Option<Workload>,
    /// When its deletion was first heard of.
    pub deletion_heard: Option<KernelInstant>,
}

/// The pod as the engine takes it.
pub fn translate(pod: &api::Pod, besides: &Besides, clock: &ServerClock) -> Pod {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    let shares_node = spec.and_then(|spec| spec.host_network).unwrap_or_default();
    let addresses = status.and_then(|status| status.pod_ips.as_ref()).into_iter().flatten();
    let addresses = addresses.filter_map(|ip| ip.ip.parse().ok());
    let annotation = |name| metadata.annotations.as_ref()?.get(name).cloned();
    Pod {
        uid: metadata.uid.clone().unwrap_or_default(),
        // Anybody may annotate a pod of his: the kubelet's own says it twice.
        config_hash: annotation(CONFIG_HASH).filter(|hash| annotation(CONFIG_MIRROR).as_ref() == Some(hash)),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        workload: besides.workload.clone(),
        addresses: if shares_node { Vec::new() } else { addresses.collect() },
        node_addresses: status.map(node_addresses).unwrap_or_default(),
        grace_seconds: spec.and_then(|spec| seconds(spec.termination_grace_period_seconds)),
        deletion: deletion(pod, besides, clock),
        disruption: status.and_then(disruption).and_then(|condition| condition.reason.clone()),
        reason: status.and_then(reason),
        says_node_shutdown: status.is_some_and(says_node_shutdown),
        is_finished: is_finished(pod),
        change: None,
        containers: containers(pod),
    }
}

fn seconds(value: Option<i64>) -> Option<u32> {
    value.and_then(|seconds| u32::try_from(seconds).ok())
}

fn node_addresses(status: &api::PodStatus) -> Vec<IpAddr> {
    let several = status.host_ips.iter().flatten().map(|host| host.ip.as_str());
    let mut addresses: Vec<IpAddr> =
        several.chain(status.host_ip.as_deref()).filter_map(|ip| ip.parse().ok()).collect();
    addresses.dedup();
    addresses
}

/// `deletionTimestamp` is the deadline: it began a grace earlier.
fn deletion(pod: &api::Pod, besides: &Besides, clock: &ServerClock) -> Option<Deletion> {
    let deadline = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace_seconds = seconds(pod.metadata.deletion_grace_period_seconds).unwrap_or_default();
    let dated = deadline.checked_sub(jiff::SignedDuration::from_secs(grace_seconds.into())).ok()?;
    let heard = besides.deletion_heard.unwrap_or_else(crate::clock::boot_now);
    Some(Deletion { began_at: clock.began(dated, heard), grace_seconds })
}

/// The condition that says that a pod is disrupted, where that holds.
fn disruption(status: &api::PodStatus) -> Option<&api::PodCondition> {
    let holds =
        |condition: &&api::PodCondition| condition.type_ == "DisruptionTarget" && condition.status == "True";
    status.conditions.iter().flatten().find(holds)
}

/// The kubelet's words on the disruption. They stay where those of the status itself are lost: a pod that exits with 0
/// at once is `Succeeded`, without reason and message.
fn kubelets_words(status: &api::PodStatus) -> &str {
    disruption(status).and_then(|condition| condition.message.as_deref()).unwrap_or_default()
}

fn says_node_shutdown(status: &api::PodStatus) -> bool {
    let own = status.message.as_deref().unwrap_or_default();
    [own, kubelets_words(status)].iter().any(|words| words.starts_with(NODE_SHUTDOWN))
}

fn reason(status: &api::PodStatus) -> Option<String> {
    let preempted = || kubelets_words(status).starts_with(PREEMPTED).then(|| "Preempting".to_owned());
    status.reason.clone().or_else(preempted)
}

/// All containers but sidecars have ended, and none will be started again.
fn is_finished(pod: &api::Pod) -> bool {
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let Some(status) = pod.status.as_ref().filter(|_| !is_to_go_on(policy)) else { return false };
    // With a reason, somebody ended it: Evicted, DeadlineExceeded and the like come before the containers' end.
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) && status.reason.is_none() {
        return true;
    }
    let has_ended = |status: &api::ContainerStatus| {
        let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        terminated
            .is_some_and(|end| policy == Some("Never") || policy == Some("OnFailure") && end.exit_code == 0)
    };
    let statuses = status.container_statuses.as_deref().unwrap_or_default();
    !statuses.is_empty() && statuses.iter().all(has_ended)
}

/// Its containers are started again, however they end.
fn is_to_go_on(restart_policy: Option<&str>) -> bool {
    restart_policy.unwrap_or("Always") == "Always"
}

/// A pod that is to go on for ever is over, nobody deleted it, and its status does not say why: its containers were too
/// quick for the kubelet, which ended it.
pub fn was_ended_by_kubelet(pod: &api::Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let is_deleted = pod.metadata.deletion_timestamp.is_some();
    let is_explained = status.reason.is_some() || disruption(status).is_some();
    is_over && !is_deleted && !is_explained && is_to_go_on(policy)
}

fn containers(pod: &api::Pod) -> Vec<Container> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let statuses = statuses(pod);
    let init = spec.init_containers.iter().flatten().map(|container| {
        let is_sidecar = container.restart_policy.as_deref() == Some("Always");
        (container.clone(), if is_sidecar { "sidecar" } else { "init" })
    });
    let usual = spec.containers.iter().map(|container| (container.clone(), "container"));
    let debug = spec.ephemeral_containers.iter().flatten().map(|it| (of_ephemeral(it), "ephemeral"));
    let all = init.chain(usual).chain(debug);
    all.map(|(container, kind)| one(spec, &container, kind, statuses.get(container.name.as_str()).copied()))
        .collect()
}

fn statuses(pod: &api::Pod) -> HashMap<&str, &api::ContainerStatus> {
    let Some(status) = &pod.status else { return HashMap::new() };
    let lists =
        [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let all = lists.into_iter().flatten().flatten();
    all.map(|status| (status.name.as_str(), status)).collect()
}

/// What the two kinds have in common that matters at the end.
fn of_ephemeral(container: &api::EphemeralContainer) -> api::Container {
    api::Container {
        name: container.name.clone(),
        image: container.image.clone(),
        command: container.command.clone(),
        ..api::Container::default()
    }
}

fn one(
    pod: &api::PodSpec,
    container: &api::Container,
    kind: &str,
    status: Option<&api::ContainerStatus>,
) -> Container {
    let grace = |probe: &Option<api::Probe>| {
        probe.as_ref().and_then(|probe| seconds(probe.termination_grace_period_seconds))
    };
    let ended = |state: &Option<api::ContainerState>| state.as_ref()?.terminated.clone();
    let last = status.and_then(|status| ended(&status.last_state));
    let now = status.and_then(|status| ended(&status.state));
    let ends = [&now, &last].into_iter().flatten();
    let oom_killed = ends.filter(|end| end.reason.as_deref() == Some("OOMKilled"));
    Container {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        id: status.and_then(|status| status.container_id.as_deref()).map(bare_id),
        previous_id: last.as_ref().and_then(|end| end.container_id.as_deref()).map(bare_id),
        spec: spec(pod, container, kind, status),
        liveness_grace_seconds: grace(&container.liveness_probe),
        startup_grace_seconds: grace(&container.startup_probe),
        probes: probes(container),
        stopped: Vec::new(),
        oom_killed: oom_killed.filter_map(|end| end.container_id.as_deref()).map(bare_id).collect(),
    }
}

/// What the kubelet connects to, and how often: every 10 s unless it is told otherwise.
fn probes(container: &api::Container) -> Vec<Probe> {
    let all = [&container.readiness_probe, &container.liveness_probe, &container.startup_probe];
    let probe = |probe: &api::Probe| {
        let http = probe.http_get.as_ref().map(|get| &get.port);
        let tcp = probe.tcp_socket.as_ref().map(|socket| &socket.port);
        let port = match (http.or(tcp), &probe.grpc) {
            (Some(port), _) => port_number(container, port),
            (None, Some(grpc)) => u16::try_from(grpc.port).ok(),
            (None, None) => None,
        };
        let period_seconds = probe.period_seconds.and_then(|seconds| u32::try_from(seconds).ok());
        Some(Probe { port: port?, period_seconds: period_seconds.filter(|&it| it > 0).unwrap_or(10) })
    };
    all.into_iter().flatten().filter_map(probe).collect()
}

fn port_number(container: &api::Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok()
}

/// Without the runtime's name: `containerd://<id>`.
fn bare_id(id: &str) -> String {
    id.rsplit_once("://").map_or(id, |(_, id)| id).to_owned()
}

fn spec(
    pod: &api::PodSpec,
    container: &api::Container,
    kind: &str,
    status: Option<&api::ContainerStatus>,
) -> Spec {
    let lifecycle = container.lifecycle.as_ref();
    let stop_signal = lifecycle.and_then(|lifecycle| lifecycle.stop_signal.clone());
    Spec {
        kind: kind.to_owned(),
        grace_seconds: seconds(pod.termination_grace_period_seconds),
        pre_stop: lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()).map(in_words),
        stop_signal: stop_signal.or_else(|| status.and_then(|status| status.stop_signal.clone())),
        command_is_shell: container
            .command
            .as_ref()
            .and_then(|command| command.first())
            .map(|it| is_shell(it)),
        readiness_probe: container.readiness_probe.is_some(),
        liveness_probe: container.liveness_probe.is_some(),
        startup_probe: container.startup_probe.is_some(),
        host_network: pod.host_network.unwrap_or_default(),
        shared_process_namespace: pod.share_process_namespace.unwrap_or_default(),
        restarts: status.and_then(|status| u32::try_from(status.restart_count).ok()).unwrap_or_default(),
    }
}

fn is_shell(program: &str) -> bool {
    SHELLS.contains(&program.rsplit('/').next().unwrap_or(program))
}

/// A hook, for people.
fn in_words(hook: &api::LifecycleHandler) -> String {
    if let Some(sleep) = &hook.sleep {
        format!("sleep {} s", sleep.seconds)
    } else if let Some(exec) = &hook.exec {
        format!("exec {}", exec.command.as_deref().unwrap_or_default().join(" "))
    } else if let Some(get) = &hook.http_get {
        format!("GET {}", get.path.as_deref().unwrap_or("/"))
    } else if hook.tcp_socket.is_some() {
        "connect (does nothing)".to_owned()
    } else {
        "nothing".to_owned()
    }
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
