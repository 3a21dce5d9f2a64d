//! What Kubernetes adds to the text of one termination: what its spec asks for, next to what happened; how it was
//! announced; where late clients came from.

use shutdown_probe_core::report::{Announced, Spec, Termination};

/// Lines of a word and what is said of it; none outside a cluster.
pub fn lines(termination: &Termination) -> Vec<(&'static str, String)> {
    let container = &termination.container;
    let lines = [
        ("spec", container.spec.as_ref().map(spec)),
        ("announced", termination.announced.as_ref().map(announced)),
        ("late from", late(termination)),
    ];
    lines.into_iter().filter_map(|(what, text)| Some((what, text?))).collect()
}

/// What decides how it ends, as it is written; what is left to the image is said to be.
fn spec(spec: &Spec) -> String {
    let grace = spec.grace_seconds.map_or_else(|| "no grace known".into(), |it| format!("grace {it} s"));
    let hook = spec.pre_stop.as_ref().map_or_else(|| "no preStop".into(), |hook| format!("preStop {hook}"));
    let signal = spec.stop_signal.as_ref().map_or("stop signal of the image", |signal| signal.as_str());
    let command = match spec.command_is_shell {
        Some(true) => "command is a shell's",
        Some(false) => "command is no shell's",
        None => "command of the image",
    };
    let readiness = if spec.readiness_probe { "readiness probe" } else { "no readiness probe" };
    let shared = spec.shared_process_namespace.then_some("shared PID namespace");
    let host = spec.host_network.then_some("the node's network");
    let restarts = (spec.restarts > 0).then(|| format!("restarted {} times before", spec.restarts));
    let kind = (spec.kind != "container").then(|| format!("{} container", spec.kind));
    let first = [kind.as_deref(), Some(&grace), Some(&hook), Some(signal), Some(command), Some(readiness)];
    let rest = [shared, host, restarts.as_deref()];
    first.into_iter().chain(rest).flatten().collect::<Vec<_>>().join(", ")
}

fn announced(announced: &Announced) -> String {
    let signal = match announced.stop_signal_after_seconds {
        Some(after) => format!("{after:.3} s before the stop signal"),
        None => "no stop signal came".into(),
    };
    match announced.connections {
        0 => signal,
        1 => format!("{signal}; 1 connection came meanwhile"),
        count => format!("{signal}; {count} connections came meanwhile"),
    }
}

fn late(termination: &Termination) -> Option<String> {
    let some = termination.late_by_source.iter().filter(|(_, count)| **count > 0);
    let each: Vec<_> = some.map(|(source, count)| format!("{source} {count}")).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use shutdown_probe_core::report::Container;
    use std::collections::BTreeMap;

    #[test]
    fn outside_a_cluster_there_is_nothing_to_say() {
        assert_eq!(lines(&sample::termination()), []);
    }

    #[test]
    fn what_the_spec_says_stands_next_to_what_happened() {
        let spec = Spec {
            kind: "sidecar".into(),
            grace_seconds: Some(30),
            command_is_shell: Some(true),
            restarts: 2,
            ..Spec::default()
        };
        let announced =
            Announced { stop_signal_after_seconds: Some(3.007), connections: 2, ..Announced::default() };
        let termination = Termination {
            container: Container { spec: Some(spec), ..Container::default() },
            announced: Some(announced),
            late_by_source: BTreeMap::from([("cluster".into(), 4), ("outside".into(), 0)]),
            ..sample::termination()
        };
        let expected = [
            (
                "spec",
                "sidecar container, grace 30 s, no preStop, stop signal of the image, command is a shell's, no \
                 readiness probe, restarted 2 times before",
            ),
            ("announced", "3.007 s before the stop signal; 2 connections came meanwhile"),
            ("late from", "cluster 4"),
        ];
        assert_eq!(lines(&termination), expected.map(|(what, text)| (what, text.to_owned())));
    }
}
