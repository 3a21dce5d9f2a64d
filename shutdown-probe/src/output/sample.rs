//! A termination that tests start from.

use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::input::{Confidence, Protocol};
use shutdown_probe_core::report::{
    Container, Exit, Grace, Measured, Opened, Phase, Severed, State, StopSignal, Termination, TimelineEntry,
};
use shutdown_probe_core::signal::Disposition;
use shutdown_probe_core::trigger::Trigger;
use std::collections::BTreeMap;

/// The story's Node server: three requests were cut.
pub fn termination() -> Termination {
    let entry = |after_seconds: f64, event: &str, text: &str| TimelineEntry {
        at: 1_790_000_000.0 + after_seconds,
        after_seconds,
        event: event.into(),
        text: text.into(),
    };
    Termination {
        id: "42-1".into(),
        state: State::Complete,
        container: Container {
            cgroup: "/system.slice/web.service".into(),
            name: "web.service".into(),
            ..Container::default()
        },
        began_at: 1_790_000_000.0,
        trigger: Trigger::ContainerStopped,
        cause: Cause::ExitedWithoutDrain,
        other_causes: vec![],
        summary: "It exited 3 ms after SIGTERM with 3 requests unanswered.".into(),
        advice: vec!["Stop accepting, finish the requests in flight, then exit.".into()],
        stop_signal: Some(StopSignal {
            signal: "SIGTERM".into(),
            at: 1_790_000_000.0,
            disposition: Disposition::Handled,
            target: 1234,
            comm: "node".into(),
        }),
        kill_signal: None,
        exit: Some(Exit { at: 1_790_000_000.003, code: Some(0), signal: None }),
        grace: Grace { allowed_seconds: Some(30.0), used_seconds: Some(0.003), exceeded: false },
        severed_total: 3,
        severed_by_evidence: BTreeMap::from([("unanswered_request".into(), 3)]),
        retry_unsafe_total: 3,
        streams_severed_total: 0,
        severed: vec![severed()],
        unsevered: vec![],
        drained_total: 5,
        connections_by_fate: BTreeMap::from([("drained".into(), 5), ("unanswered_request".into(), 3)]),
        outbound_unanswered_total: 0,
        late_connections_total: 2,
        last_late_connection_after_seconds: Some(0.41),
        timeline: vec![
            entry(0.0, "stop_signal", "SIGTERM was sent to node (1234), which handles it"),
            entry(0.003, "exit", "node (1234) exited with status 0"),
        ],
        recommendation: None,
        changes: vec![],
        patches: vec![],
        measured: Measured { complete: true, lost_records: 0, not_measured_connections: 0, reasons: vec![] },
        announced: None,
        routing: None,
        kubelet_probes_total: 0,
        late_by_source: BTreeMap::new(),
    }
}

/// One of the three.
pub fn severed() -> Severed {
    Severed {
        peer: "127.0.0.1:54321".into(),
        local: "127.0.0.1:8080".into(),
        evidence: "unanswered_request".into(),
        cause: Cause::ExitedWithoutDrain,
        opened: Opened { opened_at: None, opened_before: true },
        at: 1_790_000_000.003,
        phase: Phase::Draining,
        protocol: Protocol::Http1,
        confidence: Confidence::Exact,
        streams_severed: 0,
        retry_safe: false,
        unread_bytes: 0,
        response_bytes: 0,
        expected_bytes: None,
        undelivered_bytes: 0,
    }
}
