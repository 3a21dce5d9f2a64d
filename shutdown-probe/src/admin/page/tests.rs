//! Whole pages: what comes from outside stays text, and pages stay light.

use super::asked::Asked;
use super::{home, termination};
use crate::admin::{ProbeStatus, Readiness, Shared, Stage};
use crate::output::console::escape::is_unsafe;
use crate::output::metrics::Metrics;
use crate::output::sample;
use crate::output::store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};
use shutdown_probe_core::report::{LISTED_CONNECTIONS, Severed, Termination, Unsevered};
use std::sync::Arc;
use std::time::Duration;

/// What a page may weigh.
const LIGHT: usize = 100_000;
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}\u{1b}[2J\u{9b}&amp;";

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_060).expect("a date")
}

fn shared() -> Shared {
    Shared {
        store: Arc::new(Store::new(10_000)),
        metrics: Arc::new(Metrics::new(&[15], Duration::from_secs(60)).expect("a sound table")),
        readiness: Arc::new(Readiness::default()),
    }
}

fn home_of(shared: &Shared, pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    home::page(shared, &Asked::new(pairs), now()).into_string()
}

/// A termination that has everything that one can have.
fn full() -> Value {
    let mut value = serde_json::to_value(sample::termination()).expect("JSON");
    let unsevered = json!({"peer": "10.0.0.1:5", "local": "10.0.0.2:80", "evidence": "drained",
        "opened_at": 1_790_000_000.001, "at": 1_790_000_000.002, "phase": "draining", "protocol": "http1"});
    let more = json!({
        "unsevered": [unsevered],
        "kill_signal": {"signal": "SIGKILL", "at": 1_790_000_000.002, "target": 1, "oom": false},
        "recommendation": {"pre_stop_seconds": 2, "terminations": 3, "reason": "so"},
        "changes": [{"setting": "pre_stop", "value": "2", "what": "sleep", "reason": "so"}],
        "patches": [{"form": "kubectl", "settings": ["pre_stop"], "text": "kubectl patch\nx"}],
        "announced": {"at": 1_789_999_999.0, "stop_signal_after_seconds": 1.0, "connections": 1,
            "last_connection_after_seconds": 0.5},
        "routing": {"services": ["web"], "not_ready_after_seconds": 1.0, "removed_after_seconds": 2.0,
            "lag_seconds": 1.5, "unanswered_attempts": "not_measured"},
        "late_by_source": {"same_node": 2},
        "measured": {"complete": false, "lost_records": 1, "not_measured_connections": 1, "reasons": ["lost"]},
        "container": {"cgroup": "/a", "id": "c", "name": "app", "image": "web:1",
            "pod": {"namespace": "shop", "name": "web-1", "uid": "u"},
            "workload": {"kind": "Deployment", "name": "web", "revision": "2"},
            "spec": {"kind": "container", "pre_stop": "sleep 2", "stop_signal": "SIGTERM"}},
    });
    value.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
    value
}

/// The places of all texts in a value.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| texts(item, &format!("{at}/{n}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| texts(field, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

/// Every text of it that is not of a closed set is hostile.
fn hostile() -> (Termination, usize) {
    let mut value = full();
    let mut places = Vec::new();
    texts(&value, "", &mut places);
    let mut changed = 0;
    for place in places {
        let text = value.pointer_mut(&place).expect("it is there");
        let before = std::mem::replace(text, Value::String(HOSTILE.into()));
        match serde_json::from_value::<Termination>(value.clone()) {
            Ok(_) => changed += 1,
            Err(_) => *value.pointer_mut(&place).expect("it is there") = before,
        }
    }
    (serde_json::from_value(value).expect("a termination"), changed)
}

fn assert_harmless(page: &str) {
    for tag in ["<script", "<img", "onerror=alert(2)>"] {
        assert!(!page.contains(tag), "{tag} in {page}");
    }
    let unsafe_at = page.find(|c| c != '\n' && is_unsafe(c));
    assert_eq!(unsafe_at.map(|at| &page[at.saturating_sub(80)..at]), None);
    assert!(
        page.contains("&lt;script&gt;alert(1)") && page.contains("\\u{202e}\\x1b[2J\\u{9b}&amp;amp;"),
        "{page}"
    );
}

#[test]
fn hostile_text_stays_text_wherever_it_stands() {
    let (termination, changed) = hostile();
    assert!(changed > 25, "only {changed} texts were changed");
    let mut page = termination::page(&termination, now()).into_string();
    assert_harmless(&page);
    page = termination::missing(HOSTILE).into_string();
    assert_harmless(&page);
    let shared = shared();
    shared.store.put(termination);
    let hostile = || HOSTILE.to_owned();
    let probe = ProbeStatus {
        probe: hostile(),
        verdict: hostile(),
        reason: Some(hostile()),
        fates_lost: vec![hostile()],
    };
    shared.readiness.enter(Stage::Observing([probe].into()));
    assert_harmless(&home_of(&shared, &[]));
    assert_harmless(&home_of(&shared, &[("since", HOSTILE)]));
}

#[test]
fn before_anything_was_seen_the_page_says_what_to_do() {
    let page = home_of(&shared(), &[]);
    for part in ["Nothing has been seen yet", "kubectl rollout restart", "the probes are being attached"] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    assert!(!page.contains("<form"), "there is nothing to choose from");
}

#[test]
fn a_filter_that_finds_nothing_says_how_much_there_is() {
    let shared = shared();
    shared.store.put(sample::termination());
    let page = home_of(&shared, &[("cause", "crashed")]);
    assert!(page.contains("No termination fits. There is 1 termination kept"), "{page}");
    let page = home_of(&shared, &[("limit", "0")]);
    assert!(page.contains("This cannot be answered: limit 0 is not between 1 and 1000"), "{page}");
}

#[test]
fn a_page_of_a_thousand_terminations_is_light() {
    let shared = shared();
    let (mut termination, _) = hostile();
    for n in 0..1_000_u32 {
        termination.id = format!("3a5b7c9d-{n:012x}");
        termination.began_at = 1_790_000_000.0 - f64::from(n) * 173.0;
        termination.cause =
            *shutdown_probe_core::cause::Cause::ALL.iter().cycle().nth(n as usize).expect("one");
        termination.container.name = format!("container-{n}-{}", "x".repeat(40));
        if let Some(workload) = &mut termination.container.workload {
            workload.name = format!("workload-{}-{}", n % 300, "x".repeat(40));
        }
        if let Some(pod) = &mut termination.container.pod {
            pod.namespace = format!("namespace-{}", n % 150);
            pod.name = format!("workload-{n}-{}", "x".repeat(40));
        }
        shared.store.put(termination.clone());
    }
    let page = home_of(&shared, &[]);
    assert!(page.len() < LIGHT, "{} bytes", page.len());
}

#[test]
fn a_page_of_as_many_connections_as_can_be_listed_is_light() {
    let at = |n: usize| 1_790_000_000.0 + n as f64 * 0.013;
    let evidence = |n: usize| ["unanswered_request", "refused", "unread_request", "never_accepted"][n % 4];
    let severed = |n: usize| Severed {
        peer: format!("[2001:db8::{n:x}]:{}", 10_000 + n),
        evidence: evidence(n).into(),
        at: at(n),
        ..sample::severed()
    };
    let unsevered = |n: usize| -> Unsevered {
        let at = at(n + 7);
        serde_json::from_value(json!({"peer": format!("[2001:db8::{n:x}]:{n}"), "local": "[2001:db8::1]:8080",
            "evidence": "drained", "opened_at": at - 0.5, "at": at, "phase": "draining", "protocol": "http2"}))
        .expect("a connection")
    };
    let entry = sample::termination().timeline.remove(0);
    let termination = Termination {
        severed: (0..LISTED_CONNECTIONS).map(severed).collect(),
        unsevered: (0..LISTED_CONNECTIONS).map(unsevered).collect(),
        timeline: vec![entry; 201],
        ..sample::termination()
    };
    let page = termination::page(&termination, now()).into_string();
    assert!(page.len() < LIGHT, "{} bytes", page.len());
}
