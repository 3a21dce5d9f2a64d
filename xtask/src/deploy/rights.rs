//! What the service account may do: what its role says, and nothing more than any account may.
//!
//! Invariant: the account that is asked for is one like the daemon's, there for as long as this takes.

use super::chart::Chart;
use super::server::feed;
use crate::cluster::Access;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

const NAMESPACE: &str = "shutdown-probe";
const ACCOUNT: &str = "shutdown-probe-rights";
/// An account to which nobody has granted anything.
const ANY_ACCOUNT: &str = "shutdown-probe-nobody";

/// A verb and a resource with its group, or a path.
type Rights = BTreeSet<(String, String)>;

/// Asks the API server.
pub fn check(chart: &Chart, access: &Access) -> Result<()> {
    let objects = chart.render(&[&format!("fullnameOverride={ACCOUNT:?}")])?;
    let object = |kind: &str| objects.of_kind(kind).with_context(|| format!("no {kind}"));
    let (account, role) = (object("ServiceAccount")?, object("ClusterRole")?);
    let list =
        json!({"apiVersion": "v1", "kind": "List", "items": [account, role, object("ClusterRoleBinding")?]});
    let list = list.to_string();
    feed(access, &["apply", "-f", "-"], &list)?;
    let judged = judge(access, role);
    feed(access, &["delete", "--ignore-not-found", "-f", "-"], &list)?;
    judged
}

fn judge(access: &Access, role: &Value) -> Result<()> {
    let granted = rights_in(&role["rules"]);
    ensure!(!granted.is_empty(), "the role grants nothing");
    for (verb, resource) in &granted {
        ensure!(may(access, verb, resource)?, "the service account may not {verb} {resource}");
    }
    let anybody = all_of(access, ANY_ACCOUNT)?;
    let held: Rights = all_of(access, ACCOUNT)?.difference(&anybody).cloned().collect();
    let beyond: Vec<_> = held.difference(&granted).collect();
    ensure!(beyond.is_empty(), "the service account may do more than its role says: {beyond:?}");
    Ok(())
}

fn as_account(account: &str) -> String {
    format!("--as=system:serviceaccount:{NAMESPACE}:{account}")
}

/// What `kubectl auth can-i` asks. That itself knows no resource of which the server has no definition, and a cluster
/// need not have Argo Rollouts.
fn may(access: &Access, verb: &str, thing: &str) -> Result<bool> {
    let spec = if thing.starts_with('/') {
        json!({"nonResourceAttributes": {"verb": verb, "path": thing}})
    } else {
        let (resource, group) = thing.split_once('.').unwrap_or((thing, ""));
        json!({"resourceAttributes": {"verb": verb, "resource": resource, "group": group}})
    };
    let status = review(access, ACCOUNT, "SelfSubjectAccessReview", "selfsubjectaccessreviews", &spec)?;
    status["allowed"].as_bool().with_context(|| format!("no answer to whether it may {verb} {thing}"))
}

/// Everything that an account may do, by the API server's own word.
fn all_of(access: &Access, account: &str) -> Result<Rights> {
    let spec = json!({"namespace": NAMESPACE});
    let status = review(access, account, "SelfSubjectRulesReview", "selfsubjectrulesreviews", &spec)?;
    ensure!(status["incomplete"] == false, "the API server does not know all that {account} may do");
    let mut rights = rights_in(&status["resourceRules"]);
    rights.extend(rights_in(&status["nonResourceRules"]));
    Ok(rights)
}

/// Asks the API server about an account, as that account.
fn review(access: &Access, account: &str, kind: &str, resource: &str, spec: &Value) -> Result<Value> {
    let path = format!("/apis/authorization.k8s.io/v1/{resource}");
    let mut ask = access.kubectl();
    ask.args(["create", "--raw", &path, "-f", "-"]).arg(as_account(account));
    let mut child = ask.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("kubectl")?;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
    child.stdin.take().context("no standard input")?.write_all(review.to_string().as_bytes())?;
    let output = child.wait_with_output().context("kubectl")?;
    ensure!(output.status.success(), "the API server does not say what {account} may do");
    let answer: Value = serde_json::from_slice(&output.stdout).context("the review cannot be read")?;
    Ok(answer["status"].clone())
}

/// Each verb on each resource of each group, and on each path.
fn rights_in(rules: &Value) -> Rights {
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(String::from).collect()
    };
    let mut rights = Rights::new();
    for rule in rules.as_array().into_iter().flatten() {
        let mut things = words(rule, "nonResourceURLs");
        for group in words(rule, "apiGroups") {
            let of_group = |resource| {
                if group.is_empty() { resource } else { format!("{resource}.{group}") }
            };
            things.extend(words(rule, "resources").into_iter().map(of_group));
        }
        for verb in words(rule, "verbs") {
            rights.extend(things.iter().map(|thing| (verb.clone(), thing.clone())));
        }
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_of_every_rule_is_a_right() {
        let rules = json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        ]);
        let expected =
            [("list", "pods"), ("watch", "pods"), ("get", "replicasets.apps"), ("get", "/metrics")];
        let expected = expected.map(|(verb, thing)| (verb.to_owned(), thing.to_owned()));
        assert_eq!(rights_in(&rules), Rights::from(expected));
        assert!(rights_in(&json!([])).is_empty());
    }
}
