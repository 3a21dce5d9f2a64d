//! Every workload: what it loses, why, and where it goes.

use super::document;
use super::grafana::{Dashboard, Kind, Link, Panel, Query, Row, chosen, in_all, in_steps, rollouts, whose};
use crate::promql::{OWNER, Window, growth};
use shutdown_probe_core::advice;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::trigger::Trigger;

const SEVERED: &str = "shutdown_probe_severed_connections_total";
const UNSAFE: (&str, &str, &str) = ("retry_safe", "=", "false");
/// The labels of a workload in a legend.
const WORKLOAD: &str = "{{namespace}}/{{workload}} {{container}}";

pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "shutdown-probe-overview",
        title: "Shutdown Probe / Overview",
        description: "Which workloads lose connections when they are shut down, why, and where it goes.",
        from: "now-7d",
        variables: whose(),
        annotations: vec![rollouts()],
        links: links(),
        rows: vec![
            Row { title: "In the time shown", panels: totals() },
            Row { title: "Workloads", panels: vec![ranking()] },
            Row { title: "When and why", panels: over_time() },
            Row { title: "What to change", panels: vec![remedies()] },
        ],
    }
}

/// The links at the top of every dashboard about workloads.
pub fn links() -> Vec<Link> {
    [("Metrics", "metrics.md"), ("Fleet", "fleet.md"), ("Runbooks", "runbooks")]
        .map(|(title, page)| Link { title, url: document(page) })
        .into()
}

fn totals() -> Vec<Panel> {
    let number = |title, kind, expression| Panel::new(title, kind, "short", vec![Query::new(expression, "")]);
    vec![
        number("Severed", Kind::Stat { bad: true }, in_all(&chosen(SEVERED, &[]), &[]))
            .about("Connections on which a shutdown cost the client something.")
            .link("Runbook", document("runbooks/ShutdownProbeSeveredConnections.md")),
        number("Unsafe to repeat", Kind::Stat { bad: true }, in_all(&chosen(SEVERED, &[UNSAFE]), &[]))
            .about("Of these, requests that may have been executed: no proxy may repeat them by itself.")
            .link("Runbook", document("runbooks/ShutdownProbeRetryUnsafeLosses.md")),
        number("Terminations", Kind::Stat { bad: false }, in_all(&chosen("shutdown_probe_terminations_total", &[]), &[]))
            .about("How often a container ended, whatever set it off."),
        number(
            "Drained",
            Kind::Stat { bad: false },
            in_all(&chosen("shutdown_probe_drained_connections_total", &[]), &[]),
        )
        .about("Connections that ended after their last response was complete: what a good shutdown does with all."),
        number(
            "Not measured",
            Kind::Stat { bad: false },
            in_all(&chosen("shutdown_probe_not_measured_connections_total", &[]), &[]),
        )
        .about("Connections whose fate cannot be known. They are no losses, and no proof that nothing was lost."),
        number("Daemons", Kind::Stat { bad: false }, "count(shutdown_probe_build_info)".into())
            .about("Nodes that are watched now. What ends elsewhere is counted by nobody.")
            .link("Runbook", document("runbooks/ShutdownProbeAbsent.md")),
    ]
}

fn ranking() -> Panel {
    let pre_stop = chosen("shutdown_probe_recommended_pre_stop_seconds", &[]);
    let owner = OWNER.join(", ");
    let queries = vec![
        Query::new(in_all(&chosen(SEVERED, &[]), &OWNER), ""),
        Query::new(in_all(&chosen(SEVERED, &[UNSAFE]), &OWNER), ""),
        Query::new(in_all(&chosen("shutdown_probe_terminations_total", &[]), &OWNER), ""),
        Query::new(
            in_all(
                &chosen("shutdown_probe_terminations_total", &[("trigger", "=", Trigger::Rollout.as_str())]),
                &OWNER,
            ),
            "",
        ),
        Query::new(format!("max by ({owner}) (last_over_time({pre_stop}[$__range]))"), ""),
    ];
    let to = Link {
        title: "Look at this workload",
        url: "/d/shutdown-probe-workload?${__url_time_range}&${datasource:queryparam}&\
              var-namespace=${__data.fields.namespace}&var-workload=${__data.fields.workload}&\
              var-container=${__data.fields.container}"
            .into(),
    };
    let kind = Kind::Table {
        columns: &["severed", "unsafe to repeat", "terminations", "in rollouts", "preStop to set (s)"],
        hidden: &[],
        to: Some(to),
    };
    Panel::new("Workloads by losses", kind, "short", queries)
        .about("Those that lost most come first. Without Kubernetes only the container has a name. `shutdown-probe report --prometheus` prints the same with the fix for each.")
}

fn over_time() -> Vec<Panel> {
    let bars = |title, expression, legend| {
        Panel::new(title, Kind::Bars, "short", vec![Query::new(expression, legend)])
    };
    vec![
        bars("Severed, by workload", in_steps(&chosen(SEVERED, &[]), &OWNER) + " > 0", WORKLOAD)
            .about("Each bar is what was lost since the one before. Blue marks are rollouts."),
        bars("Severed, by cause", in_steps(&chosen(SEVERED, &[]), &["cause"]) + " > 0", "{{cause}}")
            .about("Why. What to change for each cause is said below."),
        bars("Safe and unsafe to repeat", in_steps(&chosen(SEVERED, &[]), &["retry_safe"]) + " > 0", "retry_safe={{retry_safe}}")
            .about("retry_safe=\"false\": the request may have been executed."),
        bars(
            "Terminations, by what set them off",
            in_steps(&chosen("shutdown_probe_terminations_total", &[]), &["trigger"]) + " > 0",
            "{{trigger}}",
        )
        .about("Rollouts, scaling, evictions, crashes: losses that come with rollouts come back with the next one."),
        bars(
            "Severed per day, the last two weeks",
            growth(&chosen(SEVERED, &[]), &Window::written("1d", "86400"), &OWNER) + " > 0",
            WORKLOAD,
        )
        .about("The trend, whatever time is shown above: one bar a day.")
        .always("14d", "1d"),
        bars(
            "HTTP/2 streams severed",
            in_steps(&chosen("shutdown_probe_severed_streams_total", &[]), &OWNER),
            WORKLOAD,
        )
        .about("In the clear only: inside TLS streams cannot be told apart. Their connections are among the severed ones, once each."),
    ]
}

fn remedies() -> Panel {
    let mut text = String::from("| cause | what to change |\n|---|---|\n");
    for cause in Cause::ALL {
        if let Some(fix) = advice::in_words(*cause, Trigger::Unknown) {
            text.push_str(&format!("| `{}` | {fix} |\n", cause.as_str()));
        }
    }
    Panel::new("By cause", Kind::Text(text), "", Vec::new())
        .about("The advice that alerts, reports and the scorecard give, too.")
        .size(24, 16)
}
