//! Controllers that end pods for reasons of their own.

use super::{Case, careless};
use crate::manifest::{Kind, ROLLOUT_REVISION, Workload};
use crate::stage::{LifeId, Stage, Work};
use anyhow::{Result, ensure};
use serde_json::json;

/// The resource of Argo Rollouts.
const ROLLOUTS: &str = "rollouts.argoproj.io";

pub const CASES: &[Case] = &[
    Case::new("stateful-partition", "a partitioned rollout replaces the last pod alone", partition),
    Case::new("restart-again", "rollout restart while a rollout is going on", restart_again),
    Case::new("job-deadline", "a Job's activeDeadlineSeconds", job_deadline),
    Case::new("pod-deadline", "a pod's own activeDeadlineSeconds: the kubelet ends it", pod_deadline),
    Case::new("replica-set", "a ReplicaSet of its own is scaled down", replica_set),
    Case::new("recreate", "a Deployment that ends all of its pods before it makes new ones", recreate),
    Case::new("argo-rollout", "an Argo Rollout goes over to another revision", argo_rollout).alone(),
    Case::new("namespace-deleted", "kubectl delete namespace, with all that is in it", namespace_deleted),
    Case::new("disruption-budget", "an eviction that is refused at first", disruption_budget),
    Case::new("owner-deleted", "kubectl delete deployment", owner_deleted),
];

fn audience(stage: &mut Stage<'_>, pods: &[LifeId]) -> Result<()> {
    pods.iter().try_for_each(|pod| stage.in_flight(*pod, 3, &Work::Endless).map(|_| ()))
}

fn partition(stage: &mut Stage<'_>) -> Result<()> {
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    let workload =
        Workload::node(Kind::StatefulSet, "exit").replicas(2).with_owner("updateStrategy", strategy);
    let pods = stage.deploy(&workload)?;
    audience(stage, &pods)?;
    let last = stage.pod_called(&pods, "web-1")?;
    stage.roll_out(&[last])?;
    careless::exits(stage, last, "rollout")?;
    let first = stage.pod_called(&pods, "web-0")?;
    ensure!(stage.lives_on(first), "the partition does not hold");
    stage.end_by(&[first], &["scale", "statefulset/web", "--replicas=0"])?;
    careless::exits(stage, first, "scaled_down")
}

fn restart_again(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "exit").replicas(2))?;
    audience(stage, &pods)?;
    stage.roll_out(&pods)?;
    stage.kubectl.run(&["rollout", "restart", "deployment/web"])?;
    pods.iter().try_for_each(|pod| careless::exits(stage, *pod, "rollout"))
}

fn job_deadline(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Job, "exit")
        .with("/restartPolicy", json!("Never"))
        .with_owner("activeDeadlineSeconds", json!(15));
    let web = stage.deploy_one(&workload)?;
    audience(stage, &[web])?;
    stage.begin_end(&[web]);
    careless::exits(stage, web, "pod_deleted")
}

fn pod_deadline(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Pod, "exit").with("/activeDeadlineSeconds", json!(15));
    let web = stage.deploy_one(&workload)?;
    audience(stage, &[web])?;
    stage.begin_end(&[web]);
    careless::exits(stage, web, "container_stopped")
}

fn replica_set(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::ReplicaSet, "exit").replicas(2))?;
    audience(stage, &pods)?;
    stage.end_by(&pods, &["scale", "replicaset/web", "--replicas=0"])?;
    pods.iter().try_for_each(|pod| careless::exits(stage, *pod, "scaled_down"))
}

fn recreate(stage: &mut Stage<'_>) -> Result<()> {
    let workload = Workload::node(Kind::Deployment, "exit").replicas(2);
    let pods = stage.deploy(&workload.with_owner("strategy", json!({"type": "Recreate"})))?;
    audience(stage, &pods)?;
    stage.roll_out(&pods)?;
    pods.iter().try_for_each(|pod| careless::exits(stage, *pod, "rollout"))
}

/// Its definition is in the cluster, and the case does what its controller would do.
fn argo_rollout(stage: &mut Stage<'_>) -> Result<()> {
    let definition = format!("customresourcedefinition/{ROLLOUTS}");
    ensure!(
        stage.kubectl.run(&["get", &definition]).is_err(),
        "this cluster has Argo Rollouts: their controller would interfere"
    );
    stage.kubectl.apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": ROLLOUTS},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": {"plural": "rollouts", "kind": "Rollout"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }))?;
    let played = go_over(stage, &definition);
    // Whatever came of it, it is of the whole cluster.
    stage.kubectl.run(&["delete", &definition])?;
    played
}

fn go_over(stage: &mut Stage<'_>, definition: &str) -> Result<()> {
    stage.kubectl.run(&["wait", "--for=condition=Established", definition, "--timeout=30s"])?;
    let pods = stage.deploy(&Workload::node(Kind::Rollout, "exit").replicas(2))?;
    audience(stage, &pods)?;
    let newest = format!("{ROLLOUT_REVISION}=2");
    stage.kubectl.run(&["annotate", "--overwrite", "rollout", "web", &newest])?;
    stage.end_by(&pods, &["scale", "replicaset/web-5d4f", "--replicas=0"])?;
    pods.iter().try_for_each(|pod| careless::exits(stage, *pod, "rollout"))
}

fn namespace_deleted(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    audience(stage, &[web])?;
    let namespace = stage.kubectl.namespace().to_owned();
    stage.end_by(&[web], &["delete", "namespace", &namespace, "--wait=false"])?;
    careless::exits(stage, web, "pod_deleted")
}

fn disruption_budget(stage: &mut Stage<'_>) -> Result<()> {
    stage.kubectl.apply(&json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }))?;
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    audience(stage, &[web])?;
    stage.await_refused_eviction(web)?;
    stage.kubectl.run(&["delete", "poddisruptionbudget", "web"])?;
    stage.evict(web)?;
    careless::exits(stage, web, "evicted")
}

fn owner_deleted(stage: &mut Stage<'_>) -> Result<()> {
    let web = stage.deploy_one(&Workload::node(Kind::Deployment, "exit"))?;
    audience(stage, &[web])?;
    stage.end_by(&[web], &["delete", "deployment/web", "--wait=false"])?;
    careless::exits(stage, web, "pod_deleted")
}
