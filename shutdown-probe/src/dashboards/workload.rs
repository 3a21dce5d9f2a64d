//! One workload: what becomes of its connections, and how it uses its time.

use super::document;
use super::grafana::{Dashboard, Kind, Panel, Query, Row, chosen, in_steps, rollouts, whose};
use super::overview::links;
use crate::promql::OWNER;

const SEVERED: &str = "shutdown_probe_severed_connections_total";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "shutdown-probe-workload",
        title: "Shutdown Probe / Workload",
        description: "What becomes of a workload's connections when it is shut down, and how it uses its time.",
        from: "now-24h",
        variables: whose(),
        annotations: vec![rollouts()],
        links: links(),
        rows: vec![
            Row { title: "Connections", panels: connections() },
            Row { title: "Time", panels: time() },
            Row { title: "Routing", panels: routing() },
            Row { title: "Signals", panels: signals() },
        ],
    }
}

fn bars(title: &'static str, counter: &str, by: &[&str], legend: &'static str) -> Panel {
    Panel::new(title, Kind::Bars, "short", vec![Query::new(in_steps(counter, by) + " > 0", legend)])
}

/// The same, where nothing is worth a line in the legend, too.
fn all_bars(title: &'static str, counter: &str, by: &[&str], legend: &'static str) -> Panel {
    Panel::new(title, Kind::Bars, "short", vec![Query::new(in_steps(counter, by), legend)])
}

/// How the values of a histogram are distributed, from one point to the next.
fn heatmap(title: &'static str, histogram: &str, unit: &'static str) -> Panel {
    let buckets = chosen(&format!("{histogram}_bucket"), &[]);
    Panel::new(title, Kind::Heatmap, unit, vec![Query::new(in_steps(&buckets, &["le"]), "{{le}}")])
}

fn connections() -> Vec<Panel> {
    let counts = [
        (in_steps(&chosen("shutdown_probe_drained_connections_total", &[]), &[]), "drained"),
        (in_steps(&chosen(SEVERED, &[]), &[]), "severed"),
        (in_steps(&chosen("shutdown_probe_not_measured_connections_total", &[]), &[]), "not measured"),
    ];
    let queries = counts.map(|(expression, legend)| Query::new(expression, legend));
    vec![
        bars("Severed, by fate", &chosen(SEVERED, &[]), &["evidence", "retry_safe"], "{{evidence}}, retry_safe={{retry_safe}}")
            .about("What befell them. unanswered_request: read and not answered, it may have been executed. refused: a client was still sent here."),
        bars("Severed, by cause", &chosen(SEVERED, &[]), &["cause"], "{{cause}}")
            .about("Why. The runbook and the overview say what to change.")
            .link("Runbook", document("runbooks/ShutdownProbeSeveredConnections.md")),
        Panel::new("Drained, severed, not measured", Kind::Bars, "short", queries.into())
            .about("What became of the connections that had something open. Those that were idle cost nothing and are not here."),
        all_bars("Outbound requests cut", &chosen("shutdown_probe_outbound_severed_connections_total", &[]), &OWNER, "{{container}}")
            .about("The container's own requests, on which it awaited an answer when it ended."),
    ]
}

fn time() -> Vec<Panel> {
    vec![
        heatmap("Time from the beginning to the last exit", "shutdown_probe_termination_duration_seconds", "s")
            .about("How long its terminations take. A line at the grace period: it is killed, not stopped."),
        heatmap("Part of the grace period used", "shutdown_probe_grace_used_ratio", "percentunit")
            .about("Above 1 it was killed. Empty where nobody says how long the grace period is: then run the daemon with --grace.")
            .link("Runbook", document("runbooks/ShutdownProbeGraceExceeded.md")),
    ]
}

fn routing() -> Vec<Panel> {
    let pre_stop = chosen("shutdown_probe_recommended_pre_stop_seconds", &[]);
    let owner = OWNER.join(", ");
    vec![
        bars("Connections after the stop signal", &chosen("shutdown_probe_late_connections_total", &[]), &OWNER, "{{container}}")
            .about("Clients that were still sent here. As soon as the listener closes they are refused.")
            .link("Runbook", document("runbooks/ShutdownProbeLateArrivals.md")),
        heatmap("How late they came", "shutdown_probe_late_arrival_seconds", "s")
            .about("Seconds from the stop signal: a preStop sleep has to be longer than the last."),
        Panel::new(
            "preStop sleep to set",
            Kind::Lines,
            "s",
            vec![Query::new(format!("max by ({owner}) ({pre_stop})"), "{{namespace}}/{{workload}} {{container}}")],
        )
        .about("What recent terminations ask for. No line: nothing came late enough to ask for one."),
        heatmap("From the endpoint's withdrawal to the last connection", "shutdown_probe_endpoint_lag_seconds", "s")
            .about("How long clients are still sent here after all Services had it not ready any more. Only in Kubernetes."),
        all_bars(
            "Late connections, by where they came from",
            &chosen("shutdown_probe_late_connections_by_source_total", &[]),
            &["source"],
            "{{source}}",
        )
        .about("same_node, cluster or outside: whose routing is slow. Only in Kubernetes."),
    ]
}

fn signals() -> Vec<Panel> {
    vec![
        bars(
            "Stop signals, by what they met",
            &chosen("shutdown_probe_stop_signals_total", &[]),
            &["signal", "disposition"],
            "{{signal}} {{disposition}}",
        )
        .about("handled is what is wanted. ignored: nothing happens until SIGKILL. default: it died at once.")
        .link("Runbook", document("runbooks/ShutdownProbeStopSignalIgnored.md")),
        bars("Killed, by reason", &chosen("shutdown_probe_kills_total", &[]), &["reason"], "{{reason}}")
            .about("Whatever was in flight then is lost.")
            .link("Runbook", document("runbooks/ShutdownProbeKilledWithoutStopSignal.md")),
        bars(
            "Terminations, by cause",
            &chosen("shutdown_probe_terminations_total", &[]),
            &["trigger", "cause"],
            "{{trigger}}: {{cause}}",
        )
        .about("Also those that lost nothing: clean is what is wanted, the others had luck."),
    ]
}
