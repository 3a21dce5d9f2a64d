//! The scenes that the browser is shown. Ends of real servers come from the engine's recordings.

use crate::story::{Story, replayed};
use shutdown_probe::recording::Header;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::Input;
use shutdown_probe_core::report::{State, Termination, Workload};
use std::path::Path;

const SIGTERM: u32 = 15;
const SIGKILL: u32 = 9;
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}evil\u{1b}[2J";

fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

/// Real servers, stopped one after another within the last hours; the first is one whose requests were cut.
pub fn recordings() -> Vec<Termination> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shutdown-probe-core/recordings");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .expect("the recordings")
        .map(|entry| entry.expect("a recording").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    // The one to look at comes first.
    paths.sort_by_key(|path| (!path.ends_with("node-no-handler.jsonl"), path.clone()));
    let ago = |n: usize| 240.0 + n as f64 * 700.0;
    paths.iter().enumerate().flat_map(|(n, path)| recorded(path, now() - ago(n))).collect()
}

/// What is in a recording, as if it had begun then.
fn recorded(path: &Path, begun: f64) -> Vec<Termination> {
    let text = std::fs::read_to_string(path).expect("a recording");
    let (header, inputs) = text.split_once('\n').expect("a header");
    let header: Header = serde_json::from_str(header).expect("a header");
    let mut inputs: Vec<Input> =
        inputs.lines().map(|line| serde_json::from_str(line).expect("an input")).collect();
    let first = inputs.iter().find_map(|input| match input {
        Input::ContainerAdded { at, .. } => Some(at.0),
        _ => None,
    });
    let boot_to_unix_ns = (begun * 1e9) as i64 - first.expect("a container") as i64;
    for input in &mut inputs {
        if let Input::Clock { boot_to_unix_ns: offset } = input {
            *offset = boot_to_unix_ns;
        }
    }
    replayed(&header, &inputs)
}

/// A rollout of a service that stops listening while it is still routed to, and others of the same node.
pub fn cluster() -> Vec<Termination> {
    let mut all = vec![rollout("web", now() - 95.0)];
    for (n, name) in ["cart", "web", "search", "web", "payments", "cart", "web"].into_iter().enumerate() {
        let at = now() - 900.0 - n as f64 * 1_130.0;
        let mut it = if n % 3 == 2 { drained(name, at) } else { rollout(name, at) };
        it.id = format!("{}-{n}", it.id);
        all.push(it);
    }
    all
}

fn rollout(name: &str, at: f64) -> Termination {
    let mut story =
        Story::serving(name, at).rolled_out(180, 900).signal(5_040, SIGTERM).stops_listening(5_052);
    // Idle keep-alive connections go at once, requests in flight as they are done.
    for port in 1..=14 {
        story = story.connection(port, None, 5_053, Fate::ClosedIdle, false);
    }
    for (n, port) in (20..=25).enumerate() {
        let opened = (n % 2 == 0).then_some(700 * n as i64);
        story = story.connection(port, opened, 5_060 + 38 * n as i64, Fate::Drained, false);
    }
    for (n, port) in (40..=42).enumerate() {
        story = story.connection(port, Some(4_100 + 250 * n as i64), 5_490, Fate::UnansweredRequest, true);
    }
    for n in 0..5 {
        story = story.refused(5_110 + i64::from(n) * 290, 60 + n);
    }
    story.exits(5_490, 0).told()
}

fn drained(name: &str, at: f64) -> Termination {
    let mut story = Story::serving(name, at).rolled_out(150, 700).signal(6_000, SIGTERM);
    for port in 1..=9 {
        story = story.connection(port, None, 6_010 + i64::from(port) * 17, Fate::Drained, false);
    }
    story.stops_listening(6_001).exits(6_300, 0).told()
}

/// As many as the daemon keeps.
pub fn busy() -> Vec<Termination> {
    let patterns: Vec<_> = recordings().into_iter().chain(cluster()).collect();
    let of = |n: usize| {
        let mut it = patterns[n % patterns.len()].clone();
        it.id = format!("{}-{n:x}", it.id);
        it.began_at = now() - n as f64 * 61.0;
        if let Some(pod) = &mut it.container.pod {
            pod.name = format!("{}-{n}", pod.name);
            pod.namespace = format!("team-{}", n % 12);
            it.container.workload = Some(Workload {
                kind: "Deployment".into(),
                name: format!("service-{}", n % 60),
                revision: None,
            });
        }
        it
    };
    (0..1_000).map(of).collect()
}

/// A server with a thousand connections, many of which it loses.
pub fn thousand() -> Vec<Termination> {
    let mut story = Story::serving("gateway", now() - 40.0).rolled_out(220, 1_400).signal(3_000, SIGTERM);
    let mut random = 7_u64;
    let mut next = |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as i64 % below
    };
    for port in 1..=1_000_u16 {
        let opened = (port % 4 == 0).then(|| next(3_500));
        story = match port % 10 {
            0 | 1 => story.connection(port, opened, 33_001, Fate::UnansweredRequest, true),
            2 => story.connection(port, opened, 33_001, Fate::TruncatedResponse, true),
            3..=6 => story.connection(port, opened, 3_600 + next(20_000), Fate::Drained, false),
            7 | 8 => story.connection(port, opened, 33_001, Fate::ClosedIdle, true),
            _ => story.connection(port, opened, 3_600 + next(29_000), Fate::PeerClosed, false),
        };
    }
    for n in 0..60 {
        story = story.refused(3_700 + next(30_000), 2_000 + n);
    }
    vec![story.stops_listening(3_650).signal(33_000, SIGKILL).exits(33_002, 137).told()]
}

/// One that is not over.
pub fn in_progress() -> Vec<Termination> {
    let mut it = rollout("web", now() - 5.2);
    (it.state, it.exit, it.grace.used_seconds) = (State::InProgress, None, None);
    it.timeline.retain(|entry| entry.at <= now());
    it.severed.retain(|severed| severed.at <= now());
    vec![it]
}

/// One whose names were chosen by somebody who means harm.
pub fn hostile() -> Vec<Termination> {
    let mut it = rollout("web", now() - 95.0);
    it.container.name = HOSTILE.into();
    it.container.image = HOSTILE.repeat(4);
    it.container.cgroup = format!("/{}", HOSTILE.repeat(30));
    it.summary = HOSTILE.into();
    it.advice = vec![HOSTILE.into()];
    it.measured.complete = false;
    it.measured.reasons = vec![HOSTILE.into()];
    if let Some(pod) = &mut it.container.pod {
        (pod.name, pod.namespace) = (HOSTILE.into(), HOSTILE.into());
    }
    if let Some(workload) = &mut it.container.workload {
        (workload.kind, workload.name) = (HOSTILE.into(), HOSTILE.into());
    }
    if let Some(stop) = &mut it.stop_signal {
        stop.comm = HOSTILE.into();
    }
    if let Some(routing) = &mut it.routing {
        routing.services = vec![HOSTILE.into()];
    }
    for entry in &mut it.timeline {
        entry.text = HOSTILE.into();
    }
    for severed in &mut it.severed {
        severed.peer = HOSTILE.into();
    }
    for change in &mut it.changes {
        (change.what, change.reason, change.value) = (HOSTILE.into(), HOSTILE.into(), Some(HOSTILE.into()));
    }
    for patch in &mut it.patches {
        patch.text = HOSTILE.into();
    }
    vec![it]
}
