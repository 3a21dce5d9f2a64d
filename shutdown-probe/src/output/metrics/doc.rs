//! The reference of metrics, `docs/metrics.md`, from the [table](super::table).

use super::OwnLabel;
use super::known;
use super::table::{Kind, Measured, Spec, TABLE};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::KillReason;
use shutdown_probe_core::signal::Disposition;
use shutdown_probe_core::trigger::Trigger;

const INTRODUCTION: &str = "\
# Metrics

<!-- Made by `shutdown-probe generate metrics-doc`; do not edit. -->

`shutdown-probe run` serves these at `/metrics`, in Prometheus' text format.
";

const LIFE: &str = "\
## When series exist

The series of a container begin at 0 when it opens a listener, so that `increase()` sees the first event. They stay for \
`--series-expiry` (1 h by default) after it has ended, so that the last values are scraped, and then go. A container \
that never listens has none before its first termination. What cannot be measured has no series: a missing number is not a 0.
";

/// The reference, as Markdown.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str(&container_labels());
    for spec in TABLE {
        text.push_str(&section(spec));
    }
    text.push_str(&format!("\n{LIFE}{}", values()));
    text
}

fn container_labels() -> String {
    let labels = list(OwnLabel::DEFAULT.iter().map(|label| label.as_str()));
    format!(
        "\n**Container labels** are {labels}. Without Kubernetes the first three are empty and `container` is the \
         last part of the cgroup's path. Values are escaped and cut to 128 characters; beyond 1,000 containers at a \
         time, the others share `container=\"_other\"`. In Kubernetes `--metric-labels` chooses others, `pod` among \
         them: then each pod has a set of series of its own.\n"
    )
}

fn section(spec: &Spec) -> String {
    let kind = match spec.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(bounds) => {
            let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
            format!("histogram, buckets {}", bounds.join(", "))
        }
    };
    let labels = match (spec.per_container, spec.labels) {
        (true, []) => "container labels".to_owned(),
        (true, more) => format!("container labels, {}", list(more.iter().copied())),
        (false, []) => "none".to_owned(),
        (false, own) => list(own.iter().copied()),
    };
    let mut text = format!("\n## `{}`\n\n{}\n\n- kind: {kind}\n- labels: {labels}\n", spec.name, spec.help);
    if spec.measured == Measured::InKubernetes {
        text.push_str("- only in Kubernetes: elsewhere there is nothing to measure it by, and no series\n");
    }
    if !spec.note.is_empty() {
        text.push_str(&format!("\n{}\n", spec.note));
    }
    text
}

fn values() -> String {
    let triggers = list(Trigger::ALL.iter().map(|trigger| trigger.as_str()));
    let causes = list(Cause::ALL.iter().map(|cause| cause.as_str()));
    let evidence = list(Fate::ALL.into_iter().filter(|fate| fate.is_severed()).map(Fate::as_str));
    let dispositions = list(Disposition::ALL.iter().map(|disposition| disposition.as_str()));
    let reasons = list(KillReason::ALL.iter().map(|reason| reason.as_str()));
    let (severed, terminations) = (known::severed().len(), known::terminations(false).len());
    format!(
        "\n## What labels can say\n\n- `trigger`: {triggers}\n- `cause`: {causes}\n- `evidence`: {evidence}\n\
         - `retry_safe`: `true`, `false`\n- `disposition`: {dispositions}\n- `reason`: {reasons}\n\n\
         Of the combinations, those that can occur begin at 0 with the container: {severed} of severed connections \
         and {terminations} of terminations.\n"
    )
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
