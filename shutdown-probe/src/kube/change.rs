//! Why a deleted pod is not wanted any more, from the state of its owner.
//!
//! Invariant: pure functions; each answer has its proof.

use super::owner::{CONTROLLER_REVISION, TEMPLATE_HASH};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shutdown_probe_core::kubernetes::pod::Change;

/// A Deployment numbers its revisions, on itself and on its ReplicaSets; and so does a Rollout of Argo.
const REVISION: &str = "deployment.kubernetes.io/revision";
const ROLLOUT_REVISION: &str = "rollout.argoproj.io/revision";
/// A DaemonSet's number of its template, and that of a pod.
const DAEMON_SET_GENERATION: &str = "deprecated.daemonset.template.generation";
const POD_GENERATION: &str = "pod-template-generation";
/// Whole seconds, and the way.
const SAME_MOMENT: i64 = 2;

/// The revision of a Deployment, of a Rollout, or of one of their ReplicaSets.
pub fn revision(metadata: &ObjectMeta) -> Option<String> {
    let annotations = metadata.annotations.as_ref()?;
    [REVISION, ROLLOUT_REVISION].into_iter().find_map(|name| annotations.get(name)).cloned()
}

/// Whether the owner of a ReplicaSet has a newer revision than that.
pub fn has_newer(owner: &ObjectMeta, set: &ReplicaSet) -> bool {
    let number = |metadata| revision(metadata).and_then(|revision| revision.parse::<u64>().ok());
    number(&set.metadata).zip(number(owner)).is_some_and(|(own, newest)| own < newest)
}

/// Whether the ReplicaSet is of an older revision than its Deployment. The strategy `Recreate` gives the newest its
/// number only when the last pod of the others has gone: until then, the template tells.
pub fn is_superseded(set: &ReplicaSet, deployment: &Deployment) -> bool {
    has_newer(&deployment.metadata, set) || is_outdated(set, deployment)
}

/// Whether the Deployment has a template that its ReplicaSet, which differs by the label with the hash, is not of. One
/// that is paused does not roll out.
fn is_outdated(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let Some(mut own) = set.spec.template.clone() else { return false };
    let spec = &deployment.spec;
    if let Some(labels) = own.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    let is_of_another = own.spec.is_some() && spec.template.spec.is_some() && own != spec.template;
    is_of_another && !spec.paused.unwrap_or_default()
}

/// What a ReplicaSet of the newest revision wants, by the pods it has a moment after the deletion of one of them.
pub fn of_replicas(set: &ReplicaSet, pods: &[ObjectMeta], deleted: &ObjectMeta) -> Change {
    let wanted = set.spec.replicas.unwrap_or(1);
    let lives = |pod: &&ObjectMeta| pod.deletion_timestamp.is_none() && pod.uid != deleted.uid;
    let living = pods.iter().filter(lives).count();
    let began = deletion_began(deleted);
    let made_since = |pod: &&ObjectMeta| {
        let made = pod.creation_timestamp.as_ref().map(|made| made.0.as_second());
        made.zip(began).is_some_and(|(made, began)| made >= began - SAME_MOMENT)
    };
    let has_successor = pods.iter().filter(lives).any(|pod| made_since(&pod));
    let is_enough = i32::try_from(living).is_ok_and(|living| living >= wanted);
    if set.metadata.deletion_timestamp.is_none() && is_enough && !has_successor {
        Change::FewerReplicas
    } else {
        Change::Unchanged
    }
}

/// When the deletion began, in seconds: the deadline less the grace.
fn deletion_began(metadata: &ObjectMeta) -> Option<i64> {
    let deadline = metadata.deletion_timestamp.as_ref()?.0.as_second();
    Some(deadline - metadata.deletion_grace_period_seconds.unwrap_or_default())
}

/// What a StatefulSet wants: pods are numbered, and have the hash of their revision.
pub fn of_stateful_set(set: &StatefulSet, pod: &ObjectMeta) -> Change {
    if set.metadata.deletion_timestamp.is_some() {
        return Change::Unchanged;
    }
    let first = set.spec.ordinals.as_ref().and_then(|it| it.start).unwrap_or_default();
    let wanted = set.spec.replicas.unwrap_or(1);
    let number = pod.name.as_deref().and_then(|name| name.rsplit_once('-')?.1.parse::<i32>().ok());
    let is_beyond = number.is_some_and(|number| number >= first + wanted);
    let newest = set.status.as_ref().and_then(|status| status.update_revision.as_ref());
    let is_old = label(pod, CONTROLLER_REVISION).zip(newest).is_some_and(|(own, newest)| own != newest);
    match (is_beyond, is_old) {
        (true, true) if was_scaled_later(&set.metadata, pod) => Change::NewRevision,
        (true, _) => Change::FewerReplicas,
        (false, true) => Change::NewRevision,
        (false, false) => Change::Unchanged,
    }
}

/// Whether the number of replicas was written after the deletion began: it is not what the deletion is for.
fn was_scaled_later(set: &ObjectMeta, deleted: &ObjectMeta) -> bool {
    let writers = set.managed_fields.iter().flatten();
    let of_replicas = writers.filter(|writer| {
        let fields = writer.fields_v1.as_ref().map(|fields| &fields.0["f:spec"]["f:replicas"]);
        fields.is_some_and(|replicas| !replicas.is_null())
    });
    let written = of_replicas.filter_map(|writer| Some(writer.time.as_ref()?.0.as_second())).max();
    written.zip(deletion_began(deleted)).is_some_and(|(written, began)| written > began)
}

/// What a DaemonSet wants: templates are numbered.
pub fn of_daemon_set(set: &DaemonSet, pod: &ObjectMeta) -> Change {
    let number = |text: &String| text.parse::<u64>().ok();
    let annotations = set.metadata.annotations.as_ref();
    let newest = annotations.and_then(|all| all.get(DAEMON_SET_GENERATION)).and_then(number);
    let own = label(pod, POD_GENERATION).and_then(number);
    match own.zip(newest) {
        Some((own, newest)) if own < newest && set.metadata.deletion_timestamp.is_none() => {
            Change::NewRevision
        }
        _ => Change::Unchanged,
    }
}

/// What a Job wants: one that is suspended wants no pods.
pub fn of_job(job: &Job) -> Change {
    match job.spec.as_ref().and_then(|spec| spec.suspend) {
        Some(true) => Change::FewerReplicas,
        _ => Change::Unchanged,
    }
}

fn label<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a String> {
    metadata.labels.as_ref()?.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("an object of the API")
    }

    fn replica_set(revision: &str, replicas: i32) -> ReplicaSet {
        object(json!({
            "metadata": {"annotations": {REVISION: revision}},
            "spec": {"replicas": replicas, "selector": {}}
        }))
    }

    /// Deleted at second 30 of the hour with a grace of 30 s.
    fn deleted() -> ObjectMeta {
        object(json!({
            "uid": "gone", "deletionTimestamp": "2026-09-21T14:01:00Z", "deletionGracePeriodSeconds": 30
        }))
    }

    fn pod(uid: &str, made: &str) -> ObjectMeta {
        object(json!({"uid": uid, "creationTimestamp": made}))
    }

    const OLD: &str = "2026-09-21T13:00:00Z";
    const NEW: &str = "2026-09-21T14:00:30Z";

    #[test]
    fn an_older_revision_was_superseded() {
        let deployment = |revision: &str| -> Deployment {
            object(json!({"metadata": {"annotations": {REVISION: revision}}}))
        };
        assert!(is_superseded(&replica_set("9", 0), &deployment("10")), "numbers, not text");
        assert!(!is_superseded(&replica_set("10", 3), &deployment("10")));
        assert!(!is_superseded(&object(json!({"metadata": {}})), &deployment("10")), "without proof: no");
    }

    #[test]
    fn a_rollout_numbers_its_revisions_as_well() {
        let of = |number: &str| json!({"metadata": {"annotations": {ROLLOUT_REVISION: number}}});
        let set: ReplicaSet = object(of("9"));
        let rollout = |number: &str| object::<ReplicaSet>(of(number)).metadata;
        assert!(has_newer(&rollout("10"), &set) && !has_newer(&rollout("9"), &set));
        assert_eq!(revision(&set.metadata).as_deref(), Some("9"));
    }

    #[test]
    fn a_deployment_that_recreates_has_a_template_before_it_has_a_number() {
        let template = |image: &str, labels: Value| {
            let containers = json!([{"name": "app", "image": image}]);
            json!({"metadata": {"labels": labels}, "spec": {"containers": containers}})
        };
        let set: ReplicaSet = object(json!({
            "metadata": {"annotations": {REVISION: "1"}},
            "spec": {"selector": {}, "template": template("web:1", json!({"app": "web", TEMPLATE_HASH: "5d4f"}))}
        }));
        let deployment = |image: &str, paused: bool| -> Deployment {
            object(json!({
                "metadata": {"annotations": {REVISION: "1"}},
                "spec": {"paused": paused, "selector": {}, "template": template(image, json!({"app": "web"}))}
            }))
        };
        assert!(is_superseded(&set, &deployment("web:2", false)));
        assert!(!is_superseded(&set, &deployment("web:1", false)), "the hash is the set's own");
        assert!(!is_superseded(&set, &deployment("web:2", true)), "it waits");
    }

    #[test]
    fn replicas_tell_fewer_from_replaced() {
        let set = replica_set("1", 2);
        let two = [pod("a", OLD), pod("b", OLD)];
        assert_eq!(of_replicas(&set, &two, &deleted()), Change::FewerReplicas);
        let replaced = [pod("a", OLD), pod("b", NEW)];
        assert_eq!(of_replicas(&set, &replaced, &deleted()), Change::Unchanged);
        let waiting = [pod("a", OLD)];
        assert_eq!(of_replicas(&set, &waiting, &deleted()), Change::Unchanged, "one is still to be made");
        let with_itself = [pod("a", OLD), pod("b", OLD), deleted()];
        assert_eq!(of_replicas(&set, &with_itself, &deleted()), Change::FewerReplicas);
        assert_eq!(of_replicas(&replica_set("1", 0), &[], &deleted()), Change::FewerReplicas);
    }

    #[test]
    fn a_set_that_is_itself_deleted_wants_no_less() {
        let mut set = replica_set("1", 0);
        set.metadata.deletion_timestamp = deleted().deletion_timestamp;
        assert_eq!(of_replicas(&set, &[], &deleted()), Change::Unchanged);
    }

    #[test]
    fn a_stateful_set_counts_from_its_first() {
        let set = |replicas: i32, start: i32, newest: &str| -> StatefulSet {
            object(json!({
                "metadata": {},
                "spec": {"replicas": replicas, "ordinals": {"start": start}, "selector": {}, "serviceName": "",
                         "template": {}},
                "status": {"replicas": replicas, "updateRevision": newest}
            }))
        };
        let pod = |name: &str| -> ObjectMeta {
            object(json!({"name": name, "labels": {CONTROLLER_REVISION: "db-1"}}))
        };
        assert_eq!(of_stateful_set(&set(2, 0, "db-1"), &pod("db-2")), Change::FewerReplicas);
        assert_eq!(of_stateful_set(&set(2, 5, "db-1"), &pod("db-6")), Change::Unchanged);
        assert_eq!(of_stateful_set(&set(2, 0, "db-2"), &pod("db-1")), Change::NewRevision);
        assert_eq!(of_stateful_set(&set(2, 0, "db-1"), &pod("db-1")), Change::Unchanged);
    }

    #[test]
    fn a_pod_is_not_deleted_for_what_was_written_later() {
        let scaled = |at: &str| -> StatefulSet {
            object(json!({
                "metadata": {"managedFields": [
                    {"time": "2026-09-21T15:00:00Z", "fieldsV1": {"f:spec": {"f:template": {}}}},
                    {"time": at, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
                ]},
                "spec": {"replicas": 1, "selector": {}, "serviceName": "", "template": {}},
                "status": {"replicas": 1, "updateRevision": "db-2"}
            }))
        };
        let mut pod = deleted();
        pod.name = Some("db-1".into());
        pod.labels = Some([(CONTROLLER_REVISION.into(), "db-1".into())].into());
        assert_eq!(of_stateful_set(&scaled(NEW), &pod), Change::FewerReplicas, "in the same second");
        assert_eq!(of_stateful_set(&scaled("2026-09-21T14:00:31Z"), &pod), Change::NewRevision);
    }

    #[test]
    fn daemon_sets_number_their_templates() {
        let set: DaemonSet = object(json!({"metadata": {"annotations": {DAEMON_SET_GENERATION: "10"}}}));
        let pod = |number: &str| -> ObjectMeta { object(json!({"labels": {POD_GENERATION: number}})) };
        assert_eq!(of_daemon_set(&set, &pod("9")), Change::NewRevision);
        assert_eq!(of_daemon_set(&set, &pod("10")), Change::Unchanged);
        assert_eq!(of_daemon_set(&set, &pod("ten")), Change::Unchanged);
    }

    #[test]
    fn a_suspended_job_wants_no_pods() {
        let job = |suspend: bool| -> Job {
            object(json!({"metadata": {}, "spec": {"suspend": suspend, "template": {}}}))
        };
        assert_eq!((of_job(&job(true)), of_job(&job(false))), (Change::FewerReplicas, Change::Unchanged));
    }
}
