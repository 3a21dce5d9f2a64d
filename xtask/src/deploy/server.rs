//! What a real API server says of it: every object fits its schema, so do the patches that reports give, and the
//! service account may do what the role says and nothing more.

use super::chart::Chart;
use super::patches;
use crate::cluster::Access;
use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the daemon's account must not be able to do, were a rule too wide.
const FORBIDDEN: [(&str, &str); 8] = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("get", "configmaps"),
    ("create", "pods"),
    ("delete", "pods"),
    ("patch", "deployments.apps"),
    ("create", "pods/exec"),
    ("*", "*"),
];

/// Asks it.
pub fn check(context: &Context, chart: &Chart, access: &Access, overlays: &[PathBuf]) -> Result<()> {
    let rendered = chart.text(&["namespace.create=true"])?;
    let _guard = Namespace::ensure(access)?;
    dry_run(access, &rendered)?;
    for overlay in overlays.iter().filter(|overlay| !needs_operator(chart, overlay)) {
        command::read(
            access
                .kubectl()
                .args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k"])
                .arg(overlay),
        )?;
    }
    patches::check(context, access)?;
    rights(chart, access)
}

/// Whether it has kinds that only the Prometheus operator brings.
fn needs_operator(chart: &Chart, overlay: &Path) -> bool {
    let is_monitor = |kind: &&str| kind.ends_with("Monitor");
    chart.kustomize(overlay).is_ok_and(|objects| objects.kinds().iter().any(is_monitor))
}

/// In a dry run nothing can be put into a namespace that is not there.
struct Namespace<'a> {
    access: &'a Access,
    made: bool,
}

impl<'a> Namespace<'a> {
    fn ensure(access: &'a Access) -> Result<Self> {
        let there = command::probe(access.kubectl().args(["get", "namespace", "shutdown-probe"])).is_some();
        if !there {
            command::read(access.kubectl().args(["create", "namespace", "shutdown-probe"]))?;
        }
        Ok(Self { access, made: !there })
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if self.made {
            let mut delete = self.access.kubectl();
            delete.args(["delete", "namespace", "shutdown-probe", "--wait=false"]);
            if command::probe(&mut delete).is_none() {
                eprintln!("the namespace shutdown-probe could not be removed");
            }
        }
    }
}

/// Strict: a field that the schema does not know is an error, not a warning.
pub(super) fn dry_run(access: &Access, manifests: &str) -> Result<()> {
    feed(
        access,
        &["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"],
        manifests,
    )
}

pub(super) fn feed(access: &Access, arguments: &[&str], manifests: &str) -> Result<()> {
    let mut kubectl = access.kubectl();
    kubectl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = kubectl.spawn().context("kubectl")?;
    child.stdin.take().context("no standard input")?.write_all(manifests.as_bytes())?;
    ensure!(child.wait()?.success(), "kubectl {}: not accepted", arguments.join(" "));
    Ok(())
}

/// Of an account like the daemon's, there for as long as this takes.
fn rights(chart: &Chart, access: &Access) -> Result<()> {
    let objects = chart.render(&[r#"fullnameOverride="shutdown-probe-rights""#])?;
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
    for (verb, resource) in granted(role)? {
        ensure!(may(access, &verb, &resource)?, "the service account may not {verb} {resource}");
    }
    for (verb, resource) in FORBIDDEN {
        ensure!(!may(access, verb, resource)?, "the service account may {verb} {resource}");
    }
    Ok(())
}

/// Each verb on each resource.
fn granted(role: &Value) -> Result<Vec<(String, String)>> {
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(String::from).collect()
    };
    let mut granted = Vec::new();
    for rule in role["rules"].as_array().context("a role without rules")? {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                let name = if group.is_empty() { resource } else { format!("{resource}.{group}") };
                granted.extend(words(rule, "verbs").into_iter().map(|verb| (verb, name.clone())));
            }
        }
    }
    ensure!(!granted.is_empty(), "the role grants nothing");
    Ok(granted)
}

fn may(access: &Access, verb: &str, resource: &str) -> Result<bool> {
    let mut ask = access.kubectl();
    ask.args(["auth", "can-i", verb, resource, "--all-namespaces"]);
    ask.arg("--as=system:serviceaccount:shutdown-probe:shutdown-probe-rights");
    let answer = ask.output().context("kubectl auth can-i")?;
    match String::from_utf8_lossy(&answer.stdout).trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => anyhow::bail!("can-i {verb} {resource}: {}", String::from_utf8_lossy(&answer.stderr).trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_of_every_rule_is_asked_for() {
        let role = json!({"rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
        ]});
        let expected = [("list", "pods"), ("watch", "pods"), ("get", "replicasets.apps")];
        let expected = expected.map(|(verb, resource)| (verb.to_owned(), resource.to_owned()));
        assert_eq!(granted(&role).unwrap(), expected);
        assert!(granted(&json!({"rules": []})).is_err());
    }
}
