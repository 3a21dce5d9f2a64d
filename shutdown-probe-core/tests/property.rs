//! Whatever comes, in whatever order, once, twice or never: no panic, totals that add up, and rest at the end.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::command::Count;
use shutdown_probe_core::identity::{ContainerId, KernelInstant, ProcessId, SocketCookie};
use shutdown_probe_core::input::{
    Connection, Counters, FateName, Framed, Handler, Input, ProcessExited, Role, Sender, Signal,
};
use shutdown_probe_core::report::{State, Termination};
use shutdown_probe_core::{Command, Engine, Settings};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A minute of time, few identities: collisions are the point.
fn at() -> impl Strategy<Value = KernelInstant> {
    (0..60_000_u64).prop_map(|ms| KernelInstant(ms * 1_000_000))
}

fn container() -> impl Strategy<Value = ContainerId> {
    (1..3_u64).prop_map(ContainerId)
}

fn process() -> impl Strategy<Value = ProcessId> {
    (1..6_u32, 0..2_u64).prop_map(|(tgid, start)| ProcessId { tgid, start })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (1..9_u16).prop_map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
}

fn fate() -> impl Strategy<Value = FateName> {
    prop::sample::select(Fate::ALL.to_vec()).prop_map(FateName)
}

fn connection() -> impl Strategy<Value = Connection> {
    let ends = (address(), address());
    let who = (container(), 1..20_u64, prop::option::of(process()), any::<bool>());
    (at(), who, ends, fate(), any::<(bool, bool, u32)>()).prop_map(
        |(at, (container, cookie, owner, is_server), (local, peer), fate, (by_death, accepted, bytes))| {
            Connection {
                at,
                container,
                cookie: SocketCookie(cookie),
                owner,
                role: if is_server { Role::Server } else { Role::Client },
                local,
                peer,
                fate,
                by_death,
                accepted,
                opened_in_window: false,
                unread_bytes: bytes,
                response_bytes: bytes.into(),
                framed: Framed::default(),
                undelivered_bytes: bytes,
                under_way: bytes % 3 == 0,
                unsent: bytes % 2 == 0,
            }
        },
    )
}

fn signal() -> impl Strategy<Value = Signal> {
    let senders = vec![Sender::Outside, Sender::Inside, Sender::Kernel, Sender::KernelInside];
    let handlers = vec![Handler::Default, Handler::Ignore, Handler::Installed];
    let how =
        (prop::sample::select(senders), prop::sample::select(handlers), any::<(bool, bool, bool, bool)>());
    let number = prop::sample::select(vec![2_u32, 9, 15, 64, 0, u32::MAX]);
    (at(), container(), (process(), process(), prop::option::of(process())), number, how, any::<u64>())
        .prop_map(
            |(at, container, (target, root, sender_process), signal, (sender, handler, flags), accepted)| {
                Signal {
                    at,
                    container,
                    target,
                    root,
                    comm: "\u{1b}[31m\n".to_owned(),
                    signal,
                    sender,
                    sender_process,
                    dropped: flags.0,
                    handler,
                    blocked: flags.1,
                    to_init: flags.2,
                    to_main: flags.3,
                    accepted,
                }
            },
        )
}

fn exit() -> impl Strategy<Value = ProcessExited> {
    let ends = (prop::option::of(any::<u8>()), prop::option::of(0..70_u32));
    (at(), container(), process(), process(), ends, any::<(bool, bool)>()).prop_map(
        |(at, container, process, root, (code, signal), (is_init, is_main))| ProcessExited {
            at,
            container,
            process,
            root,
            comm: String::new(),
            code,
            signal,
            is_init,
            is_main,
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        1 => (at(), container(), any::<bool>()).prop_map(|(at, container, from_birth)| Input::ContainerAdded {
            at,
            container,
            path: format!("/zoo/{}", container.0),
            from_birth,
        }),
        1 => (at(), container()).prop_map(|(at, container)| Input::ContainerRemoved { at, container }),
        1 => (at(), container(), any::<bool>())
            .prop_map(|(at, container, populated)| Input::ContainerPopulated { at, container, populated }),
        1 => (at(), container(), process()).prop_map(|(at, container, process)| Input::ProcessEntered {
            at,
            container,
            process,
            comm: String::new(),
        }),
        1 => exit().prop_map(Input::ProcessExited),
        1 => (at(), container(), process()).prop_map(|(at, container, process)| Input::OomVictim { at, container, process }),
        3 => signal().prop_map(Input::Signal),
        1 => (at(), container(), process(), 0..70_u32).prop_map(|(at, container, process, signal)| {
            Input::SignalDelivered { at, container, process, signal, handler: Handler::Installed }
        }),
        1 => connection().prop_map(Input::ConnectionOpened),
        5 => connection().prop_map(Input::ConnectionEnded),
        2 => (connection(), fate())
            .prop_map(|(connection, previous)| Input::ConnectionRevised { connection, previous }),
        1 => (at(), container(), 1..20_u64).prop_map(|(at, container, cookie)| {
            Input::ConnectionSettled { at, container, cookie: SocketCookie(cookie) }
        }),
        1 => (at(), container(), 1..20_u64).prop_map(|(at, container, cookie)| {
            Input::ConnectionStranded { at, container, cookie: SocketCookie(cookie) }
        }),
        1 => (at(), container(), address(), address())
            .prop_map(|(at, container, local, peer)| Input::Refused { at, container, local, peer }),
        1 => (at(), container(), process(), address(), any::<(bool, bool)>()).prop_map(
            |(at, container, process, local, (open, by_death))| Input::Listener {
                at,
                container,
                process,
                local,
                open,
                by_death,
            }
        ),
        1 => (at(), container(), 0..9_u64, vec((fate(), 0..50_u64), 0..4)).prop_map(|(at, container, lost, fates)| {
            Input::Counters { at, container, grown: Counters { opened: lost, fates, lost } }
        }),
        1 => (at(), 0..9_u64).prop_map(|(at, count)| Input::RecordsLost { at, count }),
        1 => (at(), any::<u32>(), any::<u32>())
            .prop_map(|(at, major, minor)| Input::ServerVersion { at, major, minor }),
        1 => any::<i64>().prop_map(|boot_to_unix_ns| Input::Clock { boot_to_unix_ns }),
    ]
}

/// What an engine made of some inputs.
#[derive(Default)]
struct Outcome {
    reports: Vec<Termination>,
    severed_counted: u64,
    narrating: BTreeMap<ContainerId, bool>,
}

fn drain(engine: &mut Engine, outcome: &mut Outcome) {
    while let Some(command) = engine.next_command() {
        match command {
            Command::Report(report) => outcome.reports.push(*report),
            Command::Count { count: Count::Severed { count, .. }, .. } => outcome.severed_counted += count,
            Command::Narrate { container, .. } => drop(outcome.narrating.insert(container, true)),
            Command::Silence { container } => drop(outcome.narrating.insert(container, false)),
            _ => {}
        }
    }
}

fn run(inputs: &[Input], times: usize) -> Outcome {
    let mut engine = Engine::new(Settings::default());
    let mut outcome = Outcome::default();
    for input in inputs {
        for _ in 0..times {
            engine.handle(input.clone());
            drain(&mut engine, &mut outcome);
        }
    }
    // Every container ends, so that every termination completes.
    for container in [1, 2].map(ContainerId) {
        let at = KernelInstant(60_000_000_000);
        engine.handle(Input::ContainerPopulated { at, container, populated: false });
        drain(&mut engine, &mut outcome);
    }
    while let Some(due) = engine.poll_timeout() {
        engine.handle_timeout(due);
        drain(&mut engine, &mut outcome);
    }
    outcome
}

fn assert_adds_up(report: &Termination) {
    assert_eq!(report.severed_total, report.severed_by_evidence.values().sum::<u64>());
    assert!(report.retry_unsafe_total <= report.severed_total);
    assert!(report.severed.len() as u64 <= report.severed_total);
    assert!(report.grace.used_seconds.is_none_or(|used| used >= 0.0));
    assert!(report.last_late_connection_after_seconds.is_none_or(|after| after >= 0.0));
    let lost = report.measured.lost_records > 0 || report.measured.not_measured_connections > 0;
    assert_eq!(report.measured.complete, !lost);
    assert!(report.cause != Cause::Clean || report.severed_total == 0, "clean never stands beside a loss");
    let json = serde_json::to_string(report).expect("a report is JSON");
    assert_eq!(&serde_json::from_str::<Termination>(&json).expect("and back"), report);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/property.regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_any_loss(inputs in vec(input(), 0..120)) {
        let outcome = run(&inputs, 1);
        outcome.reports.iter().for_each(assert_adds_up);
        let complete = outcome.reports.iter().filter(|report| report.state == State::Complete);
        let reported: u64 = complete.map(|report| report.severed_total).sum();
        prop_assert!(outcome.severed_counted >= reported, "all that is reported is counted");
        prop_assert!(outcome.narrating.values().all(|&narrating| !narrating), "silence at the end");
    }

    #[test]
    fn connections_told_twice_count_once(
        inputs in vec(connection().prop_map(Input::ConnectionEnded), 1..60),
        mut stop in signal(),
    ) {
        (stop.at, stop.signal, stop.sender, stop.to_init) = (KernelInstant(0), 15, Sender::Outside, true);
        let script: Vec<_> = std::iter::once(Input::Signal(stop)).chain(inputs).collect();
        let totals = |outcome: Outcome| outcome.reports.last().map(|report| report.connections_by_fate.clone());
        prop_assert_eq!(totals(run(&script, 1)), totals(run(&script, 2)));
    }

    #[test]
    fn every_input_survives_a_recording(input in input()) {
        let json = serde_json::to_string(&input).expect("an input is JSON");
        prop_assert_eq!(serde_json::from_str::<Input>(&json).expect("and back"), input);
    }
}
