//! Patches for pods: a strategic merge patch of whatever makes the pod, and parts of manifests.
//!
//! Invariant: every name in them is one that the API server would take.

use super::Facts;
use super::patches::Values;
use super::yaml::{Block, scalar};
use crate::report::{Container, Patch, PatchForm, Spec, Workload};

/// The first version whose preStop hooks have the action `sleep` without a feature gate.
const SLEEP_ACTION: (u32, u32) = (1, 30);
/// The longest name.
const NAME: usize = 253;

/// The forms that fit this container.
pub(super) fn patches(container: &Container, values: Values<'_>, facts: &Facts) -> Vec<Patch> {
    let signal = Values { pre_stop: None, grace: None, ..values };
    let image = signal.stop_signal.map(|name| format!("STOPSIGNAL {name}\n"));
    let image = image.and_then(|text| signal.patch(PatchForm::Dockerfile, text));
    let (template, values) = template(container, values, facts);
    let manifests = if template.is_empty() { Vec::new() } else { forms(container, &template, values) };
    manifests.into_iter().chain(image).collect()
}

fn forms(container: &Container, template: &Block, values: Values<'_>) -> Vec<Patch> {
    let workload = container.workload.as_ref();
    let namespace = container.pod.as_ref().map_or("", |pod| pod.namespace.as_str());
    let patchable = workload.filter(|it| is_name(&it.name) && is_name(namespace));
    let Some((workload, target)) = patchable.and_then(|it| Some((it, Target::of(&it.kind)?))) else {
        let manifest = Block::default().nested("spec", template.clone());
        return values.patch(PatchForm::Manifest, manifest.text(0)).into_iter().collect();
    };
    let patch = target.patch(template);
    let forms = [
        (PatchForm::Kubectl, kubectl(target, workload, namespace, &patch)),
        (PatchForm::Kustomize, kustomize(target, workload, patch)),
    ];
    forms.into_iter().filter_map(|(form, text)| values.patch(form, text)).collect()
}

/// Something that makes pods and can be told to make others.
#[derive(Clone, Copy)]
struct Target {
    kind: &'static str,
    resource: &'static str,
    api_version: &'static str,
    /// From its root to the spec of its pods, innermost first.
    path: &'static [&'static str],
}

const TEMPLATE: &[&str] = &["spec", "template", "spec"];

impl Target {
    /// Those whose pods are replaced by new ones. The template of a Job cannot be changed; a change of a ReplicaSet
    /// leaves its pods as they are; other kinds know no strategic merge.
    fn of(kind: &str) -> Option<Self> {
        let (kind, resource, api_version, path) = match kind {
            "Deployment" => ("Deployment", "deployment", "apps/v1", TEMPLATE),
            "StatefulSet" => ("StatefulSet", "statefulset", "apps/v1", TEMPLATE),
            "DaemonSet" => ("DaemonSet", "daemonset", "apps/v1", TEMPLATE),
            "CronJob" => {
                ("CronJob", "cronjob", "batch/v1", &["spec", "template", "spec", "jobTemplate", "spec"] as _)
            }
            _ => return None,
        };
        Some(Self { kind, resource, api_version, path })
    }

    fn patch(self, template: &Block) -> Block {
        self.path.iter().fold(template.clone(), |block, key| Block::default().nested(key, block))
    }
}

/// For a shell. The names are made of letters, digits, `-` and `.`, and the patch has no single quote.
fn kubectl(target: Target, workload: &Workload, namespace: &str, patch: &Block) -> String {
    let (resource, name) = (target.resource, &workload.name);
    format!("kubectl patch {resource} {name} --namespace {namespace} --patch '\n{}'\n", patch.text(0))
}

/// The namespace is left to the kustomization.
fn kustomize(target: Target, workload: &Workload, patch: Block) -> String {
    let name = scalar(&workload.name);
    let head = Block::default().entry("apiVersion", target.api_version).entry("kind", target.kind);
    let head = head.nested("metadata", Block::default().entry("name", &name));
    let selector = Block::default().entry("kind", target.kind).entry("name", name);
    let selector = Block::default().nested("target", selector).text(2);
    format!("patches:\n- patch: |\n{}{}{selector}", head.text(4), patch.text(4))
}

/// The spec of a pod with these values, and those of them that it has.
fn template<'a>(container: &Container, values: Values<'a>, facts: &Facts) -> (Block, Values<'a>) {
    let none = Spec::default();
    let spec = container.spec.as_ref().unwrap_or(&none);
    let list = match spec.kind.as_str() {
        "container" => Some("containers"),
        "sidecar" => Some("initContainers"),
        // Others have no lifecycle; where the kind is not known, nothing is.
        _ => None,
    };
    let list = list.filter(|_| is_name(&container.name));
    // What else the hook does would be lost.
    let may_sleep = list.is_some() && spec.pre_stop.as_deref().is_none_or(is_sleep);
    // Only where the feature is on does the API tell which signal it is now.
    let may_signal = list.is_some() && spec.stop_signal.is_some();
    let values = Values {
        pre_stop: values.pre_stop.filter(|_| may_sleep),
        stop_signal: values.stop_signal.filter(|_| may_signal),
        ..values
    };
    let hook = values.pre_stop.map_or_else(Block::default, |seconds| hook(seconds, spec, facts));
    let mut lifecycle = Block::default().nested("preStop", hook);
    let mut pod = Block::default();
    if let Some(signal) = values.stop_signal {
        lifecycle = lifecycle.entry("stopSignal", signal);
        // The API takes a stop signal only where the system is named.
        pod = pod.nested("os", Block::default().entry("name", "linux"));
    }
    if let Some(grace) = values.grace {
        pod = pod.entry("terminationGracePeriodSeconds", grace);
    }
    if let Some(list) = list.filter(|_| !lifecycle.is_empty()) {
        let own = Block::default().entry("name", scalar(&container.name)).nested("lifecycle", lifecycle);
        pod = pod.listed(list, own);
    }
    (pod, values)
}

/// Takes the place of whichever kind of sleep there is.
fn hook(seconds: u64, spec: &Spec, facts: &Facts) -> Block {
    let has_action = facts.server_version.map(|version| version >= SLEEP_ACTION);
    let before = spec.pre_stop.as_deref();
    let exec = format!("[\"sleep\", \"{seconds}\"]");
    if has_action == Some(false) {
        let hook = Block::default().comment("the image must have `sleep`");
        let hook = if before.is_some_and(|it| !is_exec(it)) { hook.entry("sleep", "null") } else { hook };
        return hook.nested("exec", Block::default().entry("command", exec));
    }
    let mut hook = Block::default();
    if has_action.is_none() {
        hook = hook.comment(&format!("before Kubernetes 1.30: exec: {{command: {exec}}}"));
    }
    if before.is_some_and(is_exec) {
        hook = hook.entry("exec", "null");
    }
    hook.nested("sleep", Block::default().entry("seconds", seconds))
}

/// Whether a hook, in the words of a report, does nothing but sleep.
fn is_sleep(words: &str) -> bool {
    let seconds =
        words.strip_prefix("exec sleep ").or_else(|| words.strip_prefix("sleep ")?.strip_suffix(" s"));
    seconds.is_some_and(|seconds| !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_exec(words: &str) -> bool {
    words.starts_with("exec ")
}

/// Whether the API server would take it as a name.
fn is_name(text: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= NAME
        && is_end(text.chars().next())
        && is_end(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}
