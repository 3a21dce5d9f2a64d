//! Recordings of real servers, judged again: the answer is the one that their clients gave.
//!
//! Each was recorded by `shutdown-probe record` while the zoo's case of its name ran; what is expected here
//! is what the zoo's clients saw.

use shutdown_probe_core::report::{Setting, State, Termination};
use shutdown_probe_core::{Command, Engine, Input, Settings};
use std::fs;
use std::path::Path;

/// Recording; trigger, cause, severed by evidence and drained of each termination in it.
type Expected = (&'static str, &'static [(&'static str, &'static str, &'static [(&'static str, u64)], u64)]);

const UNANSWERED_2: &[(&str, u64)] = &[("unanswered_request", 2)];
const UNANSWERED_3: &[(&str, u64)] = &[("unanswered_request", 3)];

const EXPECTED: &[Expected] = &[
    ("crash-fault", &[("crashed", "crashed", UNANSWERED_3, 0)]),
    ("dumb-init-none-pid1", &[("container_stopped", "stop_signal_killed_process", UNANSWERED_2, 0)]),
    ("exec-helper", &[("container_stopped", "clean", &[], 0)]),
    ("go-no-handler-pid1", &[("container_stopped", "stop_signal_killed_process", UNANSWERED_3, 0)]),
    ("gunicorn-term", &[("container_stopped", "clean", &[], 2)]),
    ("java-drain", &[("container_stopped", "clean", &[], 2)]),
    ("keepalive-race", &[("container_stopped", "keepalive_race", &[("request_after_close", 2)], 1)]),
    ("never-accepted", &[("container_stopped", "accept_queue_dropped", &[("never_accepted", 3)], 0)]),
    ("nginx-quit", &[("container_stopped", "clean", &[], 3)]),
    ("node-close", &[("container_stopped", "waited_on_idle_connections", &[], 3)]),
    ("node-drain-late", &[("container_stopped", "listener_closed_while_routed", &[("refused", 3)], 3)]),
    (
        "node-exit",
        &[("container_stopped", "exited_without_drain", &[("refused", 1), ("unanswered_request", 3)], 0)],
    ),
    (
        "node-no-handler",
        &[(
            "container_stopped",
            "stop_signal_killed_process",
            &[("refused", 2), ("unanswered_request", 3)],
            0,
        )],
    ),
    ("node-no-handler-pid1", &[("container_stopped", "ignored_stop_signal", UNANSWERED_3, 3)]),
    ("oom", &[("oom_killed", "killed_without_stop_signal", UNANSWERED_3, 0)]),
    (
        "restart-in-place",
        &[
            ("container_stopped", "exited_without_drain", UNANSWERED_2, 0),
            ("container_stopped", "clean", &[], 3),
        ],
    ),
    ("shell-pid1", &[("container_stopped", "stop_signal_not_forwarded", UNANSWERED_2, 0)]),
    ("uvicorn-term", &[("container_stopped", "clean", &[], 3)]),
];

#[test]
fn recordings_are_judged_as_their_clients_saw_it() {
    for (name, expected) in EXPECTED {
        let found: Vec<_> = replay(&inputs(name)).iter().map(judgement).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(trigger, cause, severed, drained)| {
                let severed = severed.iter().map(|&(fate, count)| (fate.to_owned(), count)).collect();
                (trigger.to_owned(), cause.to_owned(), severed, drained)
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// A setting and what it should be.
type Change = (Setting, Option<&'static str>);

/// What is to be changed about how it is stopped; in all others nothing, or the program alone.
const CHANGES: &[(&str, &[Change])] = &[
    ("node-drain-late", &[(Setting::PreStop, Some("2"))]),
    ("node-exit", &[(Setting::PreStop, Some("2"))]),
    ("node-no-handler", &[(Setting::PreStop, Some("2"))]),
    ("node-no-handler-pid1", &[(Setting::Pid1, None), (Setting::PreStop, Some("2"))]),
    ("shell-pid1", &[(Setting::Command, None)]),
];

#[test]
fn what_to_change_follows_from_what_was_seen() {
    for (name, _) in EXPECTED {
        let reports = replay(&inputs(name));
        let changes = reports.iter().flat_map(|report| &report.changes);
        let found: Vec<_> = changes.map(|change| (change.setting, change.value.as_deref())).collect();
        let expected =
            CHANGES.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, changes)| changes);
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn every_recording_is_expected_to_say_something() {
    let mut names: Vec<_> = fs::read_dir(directory())
        .expect("the recordings")
        .map(|entry| {
            entry.expect("a recording").path().file_stem().expect("a name").to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, EXPECTED.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// The inputs of a recording; its first line is the header.
fn inputs(name: &str) -> Vec<Input> {
    let text = fs::read_to_string(directory().join(format!("{name}.jsonl"))).expect("a recording");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("an input")).collect()
}

/// The complete reports, after everything that is due.
fn replay(inputs: &[Input]) -> Vec<Termination> {
    let mut engine = Engine::new(Settings::default());
    let mut reports = Vec::new();
    for input in inputs {
        engine.handle(input.clone());
        collect(&mut engine, &mut reports);
    }
    while let Some(due) = engine.poll_timeout() {
        engine.handle_timeout(due);
        collect(&mut engine, &mut reports);
    }
    reports
}

fn collect(engine: &mut Engine, reports: &mut Vec<Termination>) {
    while let Some(command) = engine.next_command() {
        if let Command::Report(report) = command
            && report.state == State::Complete
        {
            reports.push(*report);
        }
    }
}

fn judgement(report: &Termination) -> (String, String, Vec<(String, u64)>, u64) {
    let severed = report.severed_by_evidence.iter().map(|(fate, &count)| (fate.clone(), count)).collect();
    (report.trigger.as_str().to_owned(), report.cause.as_str().to_owned(), severed, report.drained_total)
}
