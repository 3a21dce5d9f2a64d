//! What the service account must be allowed, and why: the table that `deploy/` grants and `doctor` asks about.

use super::access::{Need, reason};
use super::client::{self, PATIENCE};
use crate::kernel::Check;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use std::path::Path;

/// What may be done with one resource, everywhere in the cluster: RBAC knows no nodes.
#[derive(Debug)]
pub struct Permission {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// What must be allowed.
    pub verbs: &'static [&'static str],
    /// What it is for.
    pub need: Need,
}

const fn permission(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    need: Need,
) -> Permission {
    Permission { group, resource, verbs, need }
}

/// All of them.
pub const TABLE: &[Permission] = &[
    permission("", "pods", &["list", "watch"], Need::Pods),
    permission("apps", "replicasets", &["get"], Need::Owners),
    permission("apps", "deployments", &["get"], Need::Owners),
    permission("apps", "statefulsets", &["get"], Need::Owners),
    permission("apps", "daemonsets", &["get"], Need::Owners),
    permission("batch", "jobs", &["get"], Need::Owners),
    permission("argoproj.io", "rollouts", &["get"], Need::Owners),
    permission("discovery.k8s.io", "endpointslices", &["list", "watch"], Need::Endpoints),
    permission("", "events", &["list"], Need::KubeletEvents),
    permission("", "events", &["create", "patch"], Need::OwnEvents),
];

/// Whether the API can be reached and allows all this. None of it is required: what the kernel sees needs no API.
pub fn checks(kubeconfig: Option<&Path>) -> Vec<Check> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(ask(kubeconfig)),
        Err(error) => vec![Check::unknown("Kubernetes API", error.to_string(), "try again").optional()],
    }
}

async fn ask(kubeconfig: Option<&Path>) -> Vec<Check> {
    const NAME: &str = "Kubernetes API";
    let client = match client::client(kubeconfig).await {
        Ok(client) => client,
        Err(error) => {
            let remedy = "give the pod a service account and its token, or name a kubeconfig";
            return vec![Check::no(NAME, error, remedy).optional()];
        }
    };
    let version = match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(version)) => version.git_version,
        Ok(Err(error)) => {
            let remedy = "see whether the address, the token and the network policy let us through";
            return vec![Check::no(NAME, reason(&error), remedy).optional()];
        }
        Err(_) => return vec![Check::unknown(NAME, "it does not answer", "see whether it is up").optional()],
    };
    let mut checks = vec![Check::yes(NAME, version).optional()];
    for permission in TABLE {
        checks.push(may(&client, permission).await.optional());
    }
    checks
}

async fn may(client: &Client, permission: &Permission) -> Check {
    let name = format!("may {} {}", permission.verbs.join("+"), permission.resource);
    let remedy =
        format!("grant it to the service account, as deploy/ does; without: {}", permission.need.loss());
    let mut denied = Vec::new();
    for verb in permission.verbs {
        match is_allowed(client, permission, verb).await {
            Ok(true) => {}
            Ok(false) => denied.push(*verb),
            Err(error) => return Check::unknown(name, error, remedy),
        }
    }
    if denied.is_empty() {
        Check::yes(name, "granted")
    } else {
        Check::no(name, format!("not granted: {}", denied.join(", ")), remedy)
    }
}

async fn is_allowed(client: &Client, permission: &Permission, verb: &str) -> Result<bool, String> {
    let attributes = ResourceAttributes {
        group: Some(permission.group.to_owned()),
        resource: Some(permission.resource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let parameters = PostParams::default();
    let asked = reviews.create(&parameters, &review);
    let answer = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| "no answer".to_owned())?;
    let answer = answer.map_err(|error| reason(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
