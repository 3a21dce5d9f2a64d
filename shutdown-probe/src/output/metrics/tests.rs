//! A script of counts, and the exposition that must follow, to the byte.

use super::*;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::trigger::Trigger;

const HOUR: Duration = Duration::from_secs(3600);
const GOLDEN: &str = include_str!("golden.txt");

fn labels(container: &str) -> Labels {
    Labels { container: container.into(), ..Labels::default() }
}

fn metrics() -> Metrics {
    Metrics::new(&[15], HOUR).expect("a sound table")
}

fn lines_with<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
    text.lines().filter(|line| !line.starts_with('#') && line.contains(what)).collect()
}

fn story(metrics: &Metrics, now: Instant) {
    let web = labels("web.service");
    for count in [
        Count::Serving,
        Count::StopSignal { signal: 15, disposition: Disposition::Handled },
        Count::LateConnection { after: Duration::from_millis(410), source: None },
        Count::Severed { fate: Fate::UnansweredRequest, cause: Cause::ExitedWithoutDrain, count: 3 },
        Count::Severed { fate: Fate::Refused, cause: Cause::ListenerClosedWhileRouted, count: 1 },
        Count::SeveredStreams { count: 4 },
        Count::Drained { count: 5 },
        Count::NotMeasured { count: 2 },
        Count::OutboundSevered { count: 1 },
        Count::Kill { reason: KillReason::GraceExceeded },
        Count::RecommendedPreStop { sleep: Duration::from_secs(4) },
        Count::Termination {
            trigger: Trigger::ContainerStopped,
            cause: Cause::ExitedWithoutDrain,
            duration: Some(Duration::from_millis(3)),
            grace_used_ratio: Some(0.0001),
        },
    ] {
        metrics.count(&web, &count, now);
    }
}

#[test]
fn the_exposition_is_this_to_the_byte() {
    let metrics = metrics();
    metrics.set_build("0.1.0", "6.12.0-test");
    metrics.set_verdict("read", &["ok", "unsupported", "broken"], "ok");
    metrics.set_lost("ring", 7);
    metrics.set_lost("decode", 0);
    metrics.set_recursion_misses("read", 2);
    metrics.set_kept(1);
    story(&metrics, Instant::now());
    let text = metrics.render().expect("an exposition");
    if text != GOLDEN {
        let written = std::env::temp_dir().join("shutdown-probe-metrics.txt");
        std::fs::write(&written, &text).expect("a place for what was rendered");
        panic!("the exposition differs from golden.txt; it was written to {}", written.display());
    }
}

#[test]
fn every_metric_of_the_table_can_be_had_and_no_other() {
    let text = GOLDEN;
    let exposed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let measured = |spec: &&&table::Spec| spec.measured == table::Measured::Everywhere;
    let mut listed: Vec<&str> = table::TABLE.iter().filter(measured).map(|spec| spec.name).collect();
    listed.sort_unstable();
    assert_eq!(exposed, listed);
}

#[test]
fn what_the_process_takes_is_in_the_table_too() {
    let metrics = metrics();
    metrics.watch_process().expect("for the first time");
    let text = metrics.render().expect("an exposition");
    for spec in table::TABLE.iter().filter(|spec| spec.measured == table::Measured::OfProcess) {
        let kind = if spec.kind == table::Kind::Counter { "counter" } else { "gauge" };
        let head = format!("# HELP {0} {1}\n# TYPE {0} {kind}\n", spec.name, spec.help);
        assert!(text.contains(&head), "{head}is not in\n{text}");
    }
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(table::TABLE.iter().any(|spec| spec.name == name), "{name} is not in the table");
    }
    assert!(metrics.watch_process().is_err());
}

#[test]
fn known_series_start_at_zero_with_the_container() {
    let metrics = metrics();
    let before = metrics.render().expect("an exposition");
    assert!(lines_with(&before, "web").is_empty());
    metrics.count(&labels("web"), &Count::Serving, Instant::now());
    let text = metrics.render().expect("an exposition");
    let severed = lines_with(&text, "severed_connections_total{");
    assert_eq!(severed.len(), known::severed().len() + 1, "and one for outbound connections");
    assert!(severed.iter().all(|line| line.ends_with(" 0")));
    assert_eq!(lines_with(&text, "terminations_total{").len(), known::terminations(false).len());
    assert_eq!(lines_with(&text, "stop_signals_total{").len(), 4);
    assert_eq!(lines_with(&text, "duration_seconds_count{").len(), 1);
    assert!(lines_with(&text, "recommended").is_empty(), "nothing is recommended yet");
}

#[test]
fn series_outlive_their_container_by_the_expiry() {
    let (metrics, start) = (metrics(), Instant::now());
    story(&metrics, start);
    metrics.count(&labels("other"), &Count::Serving, start);
    metrics.count(&labels("web.service"), &Count::Expired, start);
    metrics.expire(start + HOUR - Duration::from_secs(1));
    assert!(!lines_with(&metrics.render().expect("an exposition"), "web.service").is_empty());
    metrics.expire(start + HOUR);
    let text = metrics.render().expect("an exposition");
    assert!(lines_with(&text, "web.service").is_empty());
    assert!(!lines_with(&text, "\"other\"").is_empty());
}

#[test]
fn series_stay_while_another_of_the_same_name_serves() {
    let (metrics, start) = (metrics(), Instant::now());
    let web = labels("web");
    for count in [Count::Serving, Count::Serving, Count::Expired] {
        metrics.count(&web, &count, start);
    }
    metrics.expire(start + 10 * HOUR);
    assert!(!lines_with(&metrics.render().expect("an exposition"), "web").is_empty());
    metrics.count(&web, &Count::Expired, start + 10 * HOUR);
    metrics.expire(start + 11 * HOUR);
    assert!(lines_with(&metrics.render().expect("an exposition"), "web").is_empty());
}

#[test]
fn label_values_are_escaped_and_limited() {
    let metrics = metrics();
    let hostile = format!("\x1b[2J\"}} 1\nfake_metric 1\n{}", "x".repeat(500));
    metrics.count(&labels(&hostile), &Count::Drained { count: 1 }, Instant::now());
    let text = metrics.render().expect("an exposition");
    let lines = lines_with(&text, "drained");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(r#"container="\\x1b[2J\"} 1\\nfake_metric 1\\nxxx"#), "{}", lines[0]);
    assert!(lines[0].len() < 350 && !text.contains("\nfake_metric"));
}

#[test]
fn containers_beyond_the_limit_share_their_series() {
    let (metrics, now) = (metrics(), Instant::now());
    for n in 0..CONTAINERS + 3 {
        metrics.count(&labels(&format!("c{n}")), &Count::Drained { count: 1 }, now);
    }
    metrics.count(&labels("one-more"), &Count::Expired, now);
    metrics.expire(now + 2 * HOUR);
    let text = metrics.render().expect("an exposition");
    let lines = lines_with(&text, "drained");
    assert_eq!(lines.len(), CONTAINERS + 1);
    let others = lines.iter().find(|line| line.contains("_other")).expect("the others");
    assert!(others.ends_with(" 3"), "{others}");
}

#[test]
fn totals_counted_elsewhere_never_go_back() {
    let metrics = metrics();
    for total in [5, 9, 9, 2] {
        metrics.set_lost("ring", total);
    }
    let text = metrics.render().expect("an exposition");
    assert_eq!(lines_with(&text, "lost_records"), ["shutdown_probe_lost_records_total{where=\"ring\"} 9"]);
}

#[test]
fn the_reference_names_every_metric_and_value() {
    let text = reference();
    for spec in table::TABLE {
        assert!(text.contains(&format!("\n## `{}`\n", spec.name)), "{}", spec.name);
    }
    for cause in Cause::ALL {
        assert!(text.contains(&format!("`{}`", cause.as_str())));
    }
}

#[test]
fn the_reference_in_the_repository_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let written = std::fs::read_to_string(path).expect("docs/metrics.md");
    assert!(written == reference(), "docs/metrics.md is stale: run `shutdown-probe generate metrics-doc`");
}

fn in_kubernetes(own: &[OwnLabel]) -> Metrics {
    Metrics::in_kubernetes(&[15], HOUR, own).expect("a sound table")
}

fn pod(name: &str) -> Labels {
    Labels {
        namespace: "shop".into(),
        workload_kind: "Deployment".into(),
        workload: "web".into(),
        container: "app".into(),
        pod: name.into(),
    }
}

#[test]
fn pods_of_a_workload_share_series_unless_asked_otherwise() {
    let metrics = in_kubernetes(OwnLabel::DEFAULT);
    for name in ["web-1", "web-2"] {
        metrics.count(&pod(name), &Count::Drained { count: 1 }, Instant::now());
    }
    let text = metrics.render().expect("an exposition");
    let expected = "shutdown_probe_drained_connections_total{container=\"app\",namespace=\"shop\",\
                    workload=\"web\",workload_kind=\"Deployment\"} 2";
    assert_eq!(lines_with(&text, "drained"), [expected]);
    let metrics = in_kubernetes(&[OwnLabel::Namespace, OwnLabel::Pod]);
    for name in ["web-1", "web-2"] {
        metrics.count(&pod(name), &Count::Drained { count: 1 }, Instant::now());
        metrics.count(&pod(name), &Count::Expired, Instant::now());
    }
    let text = metrics.render().expect("an exposition");
    assert_eq!(lines_with(&text, "drained").len(), 2);
    assert!(text.contains("drained_connections_total{namespace=\"shop\",pod=\"web-2\"} 1"), "{text}");
    metrics.expire(Instant::now() + 2 * HOUR);
    assert!(lines_with(&metrics.render().expect("an exposition"), "drained").is_empty(), "they expire");
}

#[test]
fn what_only_kubernetes_can_tell_has_series_only_there() {
    let (now, lag) = (Instant::now(), Count::EndpointLag { lag: Duration::from_millis(700) });
    let late = Count::LateConnection { after: Duration::from_secs(1), source: Some(Source::Cluster) };
    let metrics = in_kubernetes(OwnLabel::DEFAULT);
    for count in [&Count::Serving, &lag, &late] {
        metrics.count(&pod("web-1"), count, now);
    }
    let text = metrics.render().expect("an exposition");
    assert_eq!(lines_with(&text, "endpoint_lag_seconds_sum").len(), 1);
    assert!(text.contains("endpoint_lag_seconds_bucket{container=\"app\",namespace=\"shop\",workload=\"web\",workload_kind=\"Deployment\",le=\"1\"} 1"), "{text}");
    let by_source: Vec<_> = lines_with(&text, "source=").iter().map(|line| line.ends_with(" 1")).collect();
    assert_eq!(by_source, [true, false, false], "one of the cluster, none of the others");
    let clean = lines_with(&text, "cause=\"clean\"");
    assert!(clean.iter().any(|line| line.contains("trigger=\"rollout\"")));
    let plain = super::tests::metrics();
    plain.count(&labels("web"), &lag, now);
    plain.count(&labels("web"), &late, now);
    let text = plain.render().expect("an exposition");
    assert!(!text.contains("endpoint_lag") && !text.contains("by_source"));
}
