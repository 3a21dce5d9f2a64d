//! What a pod belongs to: the topmost owner, as far as names and labels tell it, then as the API confirms it.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use shutdown_probe_core::report::Workload;

/// The label that a Deployment gives to ReplicaSet and pods.
pub const TEMPLATE_HASH: &str = "pod-template-hash";
/// The same of an Argo Rollout.
const ROLLOUT_HASH: &str = "rollouts-pod-template-hash";
/// The label that StatefulSets and DaemonSets give to pods: the revision that they were made from.
pub const CONTROLLER_REVISION: &str = "controller-revision-hash";

/// The owner that controls something, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The owner that controls it.
pub fn controller(metadata: &ObjectMeta) -> Option<Owner> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let controls = |owner: &&OwnerReference| owner.controller == Some(true);
    let owner = owners.iter().find(controls)?;
    Some(Owner { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() })
}

/// What a pod belongs to, without asking anybody.
pub fn workload(pod: &Pod) -> Workload {
    let metadata = &pod.metadata;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    match controller(metadata) {
        Some(owner) if owner.kind == "ReplicaSet" => of_replica_set(metadata, &owner),
        // The kubelet made it, and calls it after itself.
        Some(owner) if owner.kind == "Node" => named("StaticPod", static_name(metadata, node)),
        Some(owner) => {
            let numbered = matches!(owner.kind.as_str(), "StatefulSet" | "DaemonSet");
            let revision = metadata.labels.as_ref().and_then(|labels| labels.get(CONTROLLER_REVISION));
            Workload { revision: revision.filter(|_| numbered).cloned(), ..named(&owner.kind, &owner.name) }
        }
        None => named("Pod", of_a_kind(metadata)),
    }
}

fn named(kind: &str, name: &str) -> Workload {
    Workload { kind: kind.to_owned(), name: name.to_owned(), revision: None }
}

/// A ReplicaSet's name is its owner's and the hash that both it and the pod have as a label.
fn of_replica_set(pod: &ObjectMeta, owner: &Owner) -> Workload {
    for (label, kind) in [(ROLLOUT_HASH, "Rollout"), (TEMPLATE_HASH, "Deployment")] {
        let hash = pod.labels.as_ref().and_then(|labels| labels.get(label));
        let name = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
        if let Some(name) = name {
            return named(kind, name);
        }
    }
    named(&owner.kind, &owner.name)
}

fn static_name<'a>(metadata: &'a ObjectMeta, node: &str) -> &'a str {
    let name = metadata.name.as_deref().unwrap_or_default();
    name.strip_suffix(node).and_then(|name| name.strip_suffix('-')).unwrap_or(name)
}

/// Pods that were made from one `generateName` are of a kind.
fn of_a_kind(metadata: &ObjectMeta) -> &str {
    let made_from = metadata.generate_name.as_deref().map(|name| name.trim_end_matches('-'));
    made_from.or(metadata.name.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(metadata: serde_json::Value) -> (String, String) {
        let pod = json!({"metadata": metadata, "spec": {"containers": [], "nodeName": "node-a"}});
        let workload = workload(&serde_json::from_value(pod).expect("a pod"));
        (workload.kind, workload.name)
    }

    fn owned(kind: &str, name: &str, labels: serde_json::Value) -> (String, String) {
        let owner = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": true});
        of(json!({"name": "web-1-x", "labels": labels, "ownerReferences": [owner]}))
    }

    #[test]
    fn owners_are_found_without_asking() {
        for (found, kind, name) in [
            (owned("ReplicaSet", "web-5d4f", json!({"pod-template-hash": "5d4f"})), "Deployment", "web"),
            (
                owned("ReplicaSet", "web-5d4f", json!({"rollouts-pod-template-hash": "5d4f"})),
                "Rollout",
                "web",
            ),
            (owned("ReplicaSet", "lonely", json!({})), "ReplicaSet", "lonely"),
            (
                owned("ReplicaSet", "web-5d4f", json!({"pod-template-hash": "other"})),
                "ReplicaSet",
                "web-5d4f",
            ),
            (owned("StatefulSet", "db", json!({})), "StatefulSet", "db"),
            (owned("DaemonSet", "agent", json!({})), "DaemonSet", "agent"),
            (owned("Job", "once", json!({})), "Job", "once"),
            (owned("SparkApplication", "s", json!({})), "SparkApplication", "s"),
            (of(json!({"name": "bare"})), "Pod", "bare"),
            (of(json!({"name": "bare-x7", "generateName": "bare-"})), "Pod", "bare"),
        ] {
            assert_eq!(found, (kind.to_owned(), name.to_owned()));
        }
    }

    #[test]
    fn sets_say_the_revision_at_once() {
        let of = |kind: &str| {
            let owner =
                json!({"apiVersion": "v1", "kind": kind, "name": "db", "uid": "u", "controller": true});
            let metadata =
                json!({"labels": {"controller-revision-hash": "db-5d4f"}, "ownerReferences": [owner]});
            let pod = json!({"metadata": metadata, "spec": {"containers": []}});
            workload(&serde_json::from_value(pod).expect("a pod")).revision
        };
        assert_eq!(of("StatefulSet").as_deref(), Some("db-5d4f"));
        assert_eq!(of("DaemonSet").as_deref(), Some("db-5d4f"));
        assert_eq!(of("Job"), None);
    }

    #[test]
    fn a_static_pod_is_called_after_its_manifest() {
        let owner =
            json!({"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "u", "controller": true});
        let found = of(json!({"name": "kube-apiserver-node-a", "ownerReferences": [owner]}));
        assert_eq!(found, ("StaticPod".to_owned(), "kube-apiserver".to_owned()));
    }

    #[test]
    fn one_that_does_not_control_is_no_owner() {
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u"});
        let found = of(json!({"name": "bare", "ownerReferences": [owner]}));
        assert_eq!(found, ("Pod".to_owned(), "bare".to_owned()));
    }
}
