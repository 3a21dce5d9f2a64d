//! The daemons: what they cannot see, and what they take.

use super::document;
use super::grafana::{Dashboard, Kind, Link, Panel, Query, Row, Variable};
use crate::promql::{Window, growth, selector};

/// The daemons that the reader has chosen.
const THESE: [(&str, &str, &str); 2] = [("job", "=~", "$job"), ("instance", "=~", "$instance")];

pub fn dashboard() -> Dashboard {
    let values = |label: &str, given: usize| {
        format!("label_values({}, {label})", selector("shutdown_probe_build_info", &THESE[..given]))
    };
    Dashboard {
        uid: "shutdown-probe-probe",
        title: "Shutdown Probe / The probe itself",
        description: "What the daemons cannot see, what they lost on the way, and what they take of their nodes.",
        from: "now-24h",
        variables: vec![
            Variable { name: "job", label: "Job", query: values("job", 0) },
            Variable { name: "instance", label: "Daemon", query: values("instance", 1) },
        ],
        annotations: Vec::new(),
        links: [
            ("Metrics", "metrics.md"),
            ("Troubleshooting", "troubleshooting.md"),
            ("Sizing", "scaling.md"),
        ]
        .map(|(title, page)| Link { title, url: document(page) })
        .into(),
        rows: vec![
            Row { title: "What is seen", panels: sight() },
            Row { title: "What was lost on the way", panels: losses() },
            Row { title: "What it takes", panels: costs() },
        ],
    }
}

fn these(metric: &str, more: &[(&str, &str, &str)]) -> String {
    selector(metric, &[&THESE[..], more].concat())
}

fn steps(counter: &str, by: &[&str]) -> String {
    growth(counter, &Window::written("$__interval", "$__interval_ms / 1000"), by)
}

fn panel(
    title: &'static str,
    kind: Kind,
    unit: &'static str,
    expression: String,
    legend: &'static str,
) -> Panel {
    Panel::new(title, kind, unit, vec![Query::new(expression, legend)])
}

fn sight() -> Vec<Panel> {
    let verdicts = Kind::Table { columns: &["daemons"], hidden: &[], to: None };
    let versions = Kind::Table { columns: &["daemons"], hidden: &[], to: None };
    vec![
        panel("Daemons that answer", Kind::Lines, "short", format!("sum(up and on (job, instance) {})", these("shutdown_probe_build_info", &[])), "up")
            .about("A node without a daemon is a node whose shutdowns nobody sees.")
            .link("Runbook", document("runbooks/ShutdownProbeAbsent.md")),
        panel(
            "Probes, by verdict",
            verdicts,
            "short",
            format!("count by (probe, verdict) ({} == 1)", these("shutdown_probe_probe_status", &[])),
            "",
        )
        .about("Whatever is not attached makes the fates that rest on it not_measured; /probes of the daemon says why.")
        .size(12, 8)
        .link("Runbook", document("runbooks/ShutdownProbeDegraded.md")),
        panel(
            "Versions and kernels",
            versions,
            "short",
            format!("count by (version, kernel) ({})", these("shutdown_probe_build_info", &[])),
            "",
        )
        .about("What a kernel offers decides what can be seen.")
        .size(12, 8)
        .link("Kernels", document("kernels.md")),
        panel(
            "Connections that could not be judged",
            Kind::Bars,
            "short",
            steps(&these("shutdown_probe_not_measured_connections_total", &[]), &["instance"]),
            "{{instance}}",
        )
        .about("Never counted as severed and never as drained: opened before the daemon started, or beyond its sight."),
    ]
}

fn losses() -> Vec<Panel> {
    vec![
        panel(
            "Records lost, by place",
            Kind::Bars,
            "short",
            steps(&these("shutdown_probe_lost_records_total", &[]), &["where"]),
            "{{where}}",
        )
        .about("Totals are right all the same; details of some terminations are missing.")
        .link("Runbook", document("runbooks/ShutdownProbeRecordsLost.md")),
        panel(
            "Events that a hook missed",
            Kind::Bars,
            "short",
            steps(&these("shutdown_probe_recursion_misses_total", &[]), &["probe"]),
            "{{probe}}",
        )
        .about("From Linux 7.0 on a hook can be interrupted, and what comes meanwhile on the same CPU is not seen."),
        panel(
            "Recordings that failed",
            Kind::Bars,
            "short",
            steps(&these("shutdown_probe_recording_errors_total", &[]), &["instance"]),
            "{{instance}}",
        )
        .about("Of --record. The daemon goes on, the file does not."),
        panel("Terminations kept", Kind::Lines, "short", these("shutdown_probe_terminations_kept", &[]), "{{instance}}")
            .about("What the API and the page can show; --keep bounds it."),
    ]
}

fn costs() -> Vec<Panel> {
    vec![
        panel("Memory", Kind::Lines, "bytes", these("process_resident_memory_bytes", &[]), "{{instance}}")
            .about("Resident memory of the daemon. The eBPF maps come on top: 18 MiB."),
        panel(
            "CPU",
            Kind::Lines,
            "percentunit",
            format!("rate({}[$__rate_interval])", these("process_cpu_seconds_total", &[])),
            "{{instance}}",
        )
        .about("Of one CPU. It counts in whole seconds: look at some minutes at least."),
        Panel::new(
            "Files and threads",
            Kind::Lines,
            "short",
            vec![
                Query::new(these("process_open_fds", &[]), "{{instance}} files"),
                Query::new(these("process_max_fds", &[]), "{{instance}} files at most"),
                Query::new(these("process_threads", &[]), "{{instance}} threads"),
            ],
        )
        .about("They do not grow with time."),
        panel("Running since", Kind::Lines, "s", format!("time() - {}", these("process_start_time_seconds", &[])), "{{instance}}")
            .about("What ended before the daemon started is not counted."),
        panel("Samples of a scrape", Kind::Lines, "short", of_scrapes("scrape_samples_scraped"), "{{instance}}")
            .about("Some 140 for each container that serves or has ended within the hour: --series-expiry and --metric-labels change it.")
            .link("Sizing", document("scaling.md")),
        panel("Time of a scrape", Kind::Lines, "s", of_scrapes("scrape_duration_seconds"), "{{instance}}")
            .about("As Prometheus measures it."),
    ]
}

/// What Prometheus itself says of the targets that are daemons.
fn of_scrapes(metric: &str) -> String {
    format!("{metric} and on (job, instance) {}", these("shutdown_probe_build_info", &[]))
}
