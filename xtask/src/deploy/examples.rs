//! The chart's unit tests: with these values, this is what comes out.

use super::chart::Chart;
use super::objects::Objects;
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;

/// What one set of values must give.
struct Example {
    about: &'static str,
    /// As for `--set-json`.
    values: &'static [&'static str],
    checks: &'static [(&'static str, &'static str, Expected)],
}

/// What stands at a place of an object: a JSON pointer, RFC 6901.
enum Expected {
    Is(fn() -> Value),
    Absent,
    /// The object itself must not be there.
    NoSuchObject,
}

use Expected::{Absent, Is, NoSuchObject};

const CONTAINER: &str = "/spec/template/spec/containers/0";

const EXAMPLES: &[Example] = &[
    Example {
        about: "by default it has two capabilities, and nothing else of the node",
        values: &[],
        checks: &[
            (
                "DaemonSet",
                "/spec/template/spec/containers/0/securityContext/capabilities",
                Is(|| json!({"drop": ["ALL"], "add": ["BPF", "PERFMON"]})),
            ),
            ("DaemonSet", "/spec/template/spec/containers/0/securityContext/privileged", Absent),
            (
                "DaemonSet",
                "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem",
                Is(|| json!(true)),
            ),
            (
                "DaemonSet",
                "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
                Is(|| json!(false)),
            ),
            ("DaemonSet", "/spec/template/spec/hostPID", Absent),
            ("DaemonSet", "/spec/template/spec/hostNetwork", Absent),
            (
                "DaemonSet",
                "/spec/template/spec/volumes",
                Is(
                    || json!([{"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup", "type": "Directory"}}]),
                ),
            ),
            ("DaemonSet", "/spec/template/spec/tolerations", Is(|| json!([{"operator": "Exists"}]))),
            ("DaemonSet", "/spec/template/spec/containers/0/ports/0/name", Is(|| json!("metrics"))),
            ("PodMonitor", "", NoSuchObject),
            ("PrometheusRule", "", NoSuchObject),
            ("ConfigMap", "", NoSuchObject),
            ("Namespace", "", NoSuchObject),
        ],
    },
    Example {
        about: "all that belongs together has one name",
        values: &[],
        checks: &[
            ("DaemonSet", "/metadata/name", Is(|| json!("shutdown-probe"))),
            ("DaemonSet", "/metadata/namespace", Is(|| json!("shutdown-probe"))),
            ("DaemonSet", "/spec/template/spec/serviceAccountName", Is(|| json!("shutdown-probe"))),
            ("ClusterRoleBinding", "/subjects/0/name", Is(|| json!("shutdown-probe"))),
            ("ClusterRoleBinding", "/subjects/0/namespace", Is(|| json!("shutdown-probe"))),
        ],
    },
    Example {
        about: "the namespace admits the pods",
        values: &["namespace.create=true"],
        checks: &[(
            "Namespace",
            "/metadata/labels/pod-security.kubernetes.io~1enforce",
            Is(|| json!("privileged")),
        )],
    },
    Example {
        about: "options become flags",
        values: &[r#"options={"linger": "20s", "keep": 50}"#],
        checks: &[(
            "DaemonSet",
            "/spec/template/spec/containers/0/args",
            Is(|| json!(["run", "--listen=[::]:9464", "--keep=50", "--linger=20s", "--log-format=json"])),
        )],
    },
    Example {
        about: "a digest goes before the tag",
        values: &[
            r#"image.repository="registry.example/probe""#,
            r#"image.digest="sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef""#,
        ],
        checks: &[(
            "DaemonSet",
            "/spec/template/spec/containers/0/image",
            Is(|| {
                json!(
                    "registry.example/probe@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                )
            }),
        )],
    },
    Example {
        about: "without a tag, the image of the chart's version is run",
        values: &[r#"image.tag="""#],
        checks: &[(
            "DaemonSet",
            "/spec/template/spec/containers/0/image",
            Is(|| json!(concat!("localhost/shutdown-probe:", env!("CARGO_PKG_VERSION")))),
        )],
    },
    Example {
        about: "what others manage is left out",
        values: &[
            "serviceAccount.create=false",
            r#"serviceAccount.name="theirs""#,
            "rbac.create=false",
            "priorityClass.create=false",
            "networkPolicy.create=false",
            "service.create=false",
        ],
        checks: &[
            ("DaemonSet", "/spec/template/spec/serviceAccountName", Is(|| json!("theirs"))),
            ("DaemonSet", "/spec/template/spec/priorityClassName", Absent),
            ("ServiceAccount", "", NoSuchObject),
            ("ClusterRole", "", NoSuchObject),
            ("ClusterRoleBinding", "", NoSuchObject),
            ("PriorityClass", "", NoSuchObject),
            ("NetworkPolicy", "", NoSuchObject),
            ("Service", "", NoSuchObject),
        ],
    },
    Example {
        about: "the PodMonitor keeps the labels of what ended",
        values: &["podMonitor.create=true", r#"podMonitor.interval="15s""#],
        checks: &[
            ("PodMonitor", "/spec/podMetricsEndpoints/0/honorLabels", Is(|| json!(true))),
            ("PodMonitor", "/spec/podMetricsEndpoints/0/interval", Is(|| json!("15s"))),
        ],
    },
    Example {
        about: "rules and dashboards have the labels by which others find them",
        values: &[
            "prometheusRule.create=true",
            r#"prometheusRule.labels={"release": "prometheus"}"#,
            "dashboards.create=true",
            r#"dashboards.namespace="default""#,
            r#"dashboards.annotations={"grafana_folder": "Shutdown Probe"}"#,
        ],
        checks: &[
            ("PrometheusRule", "/metadata/labels/release", Is(|| json!("prometheus"))),
            ("PrometheusRule", "/spec/groups/0/name", Is(|| json!("shutdown-probe.records"))),
            ("ConfigMap", "/metadata/labels/grafana_dashboard", Is(|| json!("1"))),
            ("ConfigMap", "/metadata/namespace", Is(|| json!("default"))),
            ("ConfigMap", "/metadata/annotations/grafana_folder", Is(|| json!("Shutdown Probe"))),
        ],
    },
    Example {
        about: "the ServiceMonitor keeps them, too",
        values: &["serviceMonitor.create=true"],
        checks: &[
            ("ServiceMonitor", "/spec/endpoints/0/honorLabels", Is(|| json!(true))),
            ("ServiceMonitor", "/spec/endpoints/0/port", Is(|| json!("metrics"))),
        ],
    },
];

/// Values that the schema must refuse, and what it must name.
const REFUSED: &[(&[&str], &str)] = &[
    (&["imag={}"], "imag"),
    (&[r#"image.digest="sha256:12""#], "digest"),
    (&[r#"image.pullPolicy="Sometimes""#], "pullPolicy"),
    (&[r#"options={"Linger": "1s"}"#], "Linger"),
    // Two on a node would count everything twice, and the ports of the pod are known by their address.
    (&[r#"options={"listen": "127.0.0.1:1"}"#], "listen"),
    (&["updateStrategy.rollingUpdate.maxSurge=1"], "maxSurge"),
    (&["terminationGracePeriodSeconds=0"], "terminationGracePeriodSeconds"),
    (&[r#"podMonitor.interval="often""#], "interval"),
    (&["podMonitor.create=true", "serviceMonitor.create=true"], "twice"),
    (&["dashboards.folder=1"], "folder"),
];

/// The values of each example, as for `--set-json`.
pub fn values() -> impl Iterator<Item = &'static [&'static str]> {
    EXAMPLES.iter().map(|example| example.values)
}

/// Renders all of them.
pub fn check(chart: &Chart) -> Result<()> {
    for example in EXAMPLES {
        let objects = chart.render(example.values)?;
        for (kind, pointer, expected) in example.checks {
            let object = objects.of_kind(kind);
            let found = object.and_then(|object| object.pointer(pointer));
            let right = match expected {
                Is(value) => found == Some(&value()),
                Absent => object.is_some() && found.is_none(),
                NoSuchObject => object.is_none(),
            };
            ensure!(right, "{}: {kind} {pointer} is {found:?}", example.about);
        }
    }
    for (values, named) in REFUSED {
        let refusal = chart.refusal(values)?;
        ensure!(refusal.contains(named), "{values:?} is refused without a word of {named}: {refusal}");
    }
    limits_hold(chart)?;
    nothing_is_lost_on_the_way(chart)
}

/// Rules and dashboards have braces of their own, which Helm must leave alone.
fn nothing_is_lost_on_the_way(chart: &Chart) -> Result<()> {
    let objects = chart.render(&["prometheusRule.create=true", "dashboards.create=true"])?;
    let root = chart.directory().join("../..");
    let rules = Objects::parse(&fs::read_to_string(root.join("alerts/prometheusrule.yaml"))?)?;
    let spec = |objects: &Objects| objects.of_kind("PrometheusRule").map(|rule| rule["spec"].clone());
    ensure!(spec(&objects) == spec(&rules), "the chart's PrometheusRule is not that of deploy/alerts");
    let map = objects.of_kind("ConfigMap").and_then(|map| map["data"].as_object());
    for (name, text) in map.into_iter().flatten() {
        let source = fs::read_to_string(root.join("dashboards").join(name))?;
        ensure!(text.as_str() == Some(&source), "{name} of the chart is not that of deploy/dashboards");
    }
    ensure!(map.is_some_and(|map| map.len() == 3), "the chart has not all dashboards");
    Ok(())
}

/// The memory that docs/performance.md measures must fit twice.
fn limits_hold(chart: &Chart) -> Result<()> {
    const MEASURED_MEBIBYTES: u64 = 64;
    let objects = chart.render(&[])?;
    let resources = objects.of_kind("DaemonSet").and_then(|object| object.pointer(CONTAINER));
    let limit = resources.and_then(|container| container.pointer("/resources/limits/memory")?.as_str());
    let mebibytes = limit.and_then(|limit| limit.strip_suffix("Mi")?.parse::<u64>().ok());
    match mebibytes {
        Some(limit) if limit >= 2 * MEASURED_MEBIBYTES => Ok(()),
        _ => bail!("the memory limit {limit:?} is less than twice {MEASURED_MEBIBYTES} MiB"),
    }
}
