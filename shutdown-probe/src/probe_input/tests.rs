//! One record of each kind, and the values that none may have.

use super::*;
use bytemuck::Zeroable;
use shutdown_probe_common::record::Header;

const HEADER: Header = Header { at: 1_000, container: 42, kind: 0, reserved: 0 };
const AT: KernelInstant = KernelInstant(1_000);
const CONTAINER: ContainerId = ContainerId(42);
const WIRE_PROCESS: wire::Process = wire::Process { start: 77, tgid: 5, reserved: 0 };
const PROCESS: ProcessId = ProcessId { tgid: 5, start: 77 };

fn input(record: Record) -> Input {
    match translate(&record) {
        Ok(Heard::Input(input)) => input,
        other => panic!("{other:?} is no input"),
    }
}

fn comm(name: &[u8]) -> [u8; record::COMM_LENGTH] {
    let mut comm = [0; record::COMM_LENGTH];
    comm[..name.len()].copy_from_slice(name);
    comm
}

fn mapped(last: u8) -> [u8; 16] {
    std::net::Ipv4Addr::new(127, 0, 0, last).to_ipv6_mapped().octets()
}

fn connection_record(event: u8, fate: Fate) -> record::ConnectionRecord {
    record::ConnectionRecord {
        header: HEADER,
        cookie: 9,
        owner: WIRE_PROCESS,
        tuple: wire::Tuple {
            local_address: mapped(1),
            remote_address: mapped(2),
            netns: 1,
            local_port: 8080,
            remote_port: 54321,
        },
        evidence: wire::Evidence {
            unread: 3,
            written: 4,
            undelivered: 5,
            flags: flag::ACCEPTED | flag::CLOSER_EXITING,
            ..wire::Evidence::zeroed()
        },
        event,
        fate: fate as u8,
        previous_fate: Fate::ClosedIdle as u8,
        role: role::SERVER,
        ..record::ConnectionRecord::zeroed()
    }
}

fn connection_input(fate: Fate) -> Connection {
    Connection {
        at: AT,
        container: CONTAINER,
        cookie: SocketCookie(9),
        owner: Some(PROCESS),
        role: Role::Server,
        local: "127.0.0.1:8080".parse().expect("an address"),
        peer: "127.0.0.2:54321".parse().expect("an address"),
        fate: FateName(fate),
        by_death: true,
        accepted: true,
        opened_in_window: false,
        unread_bytes: 3,
        response_bytes: 4,
        undelivered_bytes: 5,
        under_way: false,
        unsent: false,
        framed: Framed::default(),
    }
}

fn cgroup_made(cgroup: u64, path: &[u8]) -> Record {
    let mut made = record::CgroupMade { header: HEADER, cgroup, path: [0; record::PATH_LENGTH] };
    made.path[..path.len()].copy_from_slice(path);
    Record::CgroupMade(made)
}

#[test]
fn a_container_is_its_own_cgroup_and_others_are_nested() {
    assert_eq!(
        input(cgroup_made(42, b"/web")),
        Input::ContainerAdded { at: AT, container: CONTAINER, path: "/web".into(), from_birth: true }
    );
    assert_eq!(
        translate(&cgroup_made(43, b"/web/inner")),
        Ok(Heard::NestedMade { container: CONTAINER, cgroup: 43 })
    );
    let removed = |cgroup| Record::CgroupRemoved(record::CgroupRemoved { header: HEADER, cgroup });
    assert_eq!(input(removed(42)), Input::ContainerRemoved { at: AT, container: CONTAINER });
    assert_eq!(translate(&removed(43)), Ok(Heard::NestedRemoved { container: CONTAINER, cgroup: 43 }));
}

#[test]
fn a_path_that_fills_its_field_may_be_cut() {
    for length in [record::PATH_LENGTH - 1, record::PATH_LENGTH] {
        let path = vec![b'a'; length];
        let heard = translate(&cgroup_made(42, &path)).expect("a cgroup");
        let cut = String::from_utf8(path).expect("ASCII");
        assert_eq!(heard, Heard::AddedWithCutPath { at: AT, container: CONTAINER, path: cut });
    }
    let whole = vec![b'a'; record::PATH_LENGTH - 2];
    assert!(matches!(input(cgroup_made(42, &whole)), Input::ContainerAdded { .. }));
}

#[test]
fn a_hostile_name_is_kept_as_data() {
    let entered =
        record::ProcessEntered { header: HEADER, process: WIRE_PROCESS, comm: comm(b"\x1b[2J\nx\xff\0rest") };
    assert_eq!(
        input(Record::ProcessEntered(entered)),
        Input::ProcessEntered {
            at: AT,
            container: CONTAINER,
            process: PROCESS,
            comm: "\x1b[2J\nx\u{fffd}".into()
        }
    );
}

#[test]
fn a_wait_status_is_a_code_or_a_signal() {
    let exited = |exit_code, flags| {
        let record = record::ProcessExited {
            header: HEADER,
            process: WIRE_PROCESS,
            root: WIRE_PROCESS,
            exit_code,
            flags,
            comm: comm(b"node"),
        };
        match input(Record::ProcessExited(record)) {
            Input::ProcessExited(exited) => exited,
            other => panic!("{other:?}"),
        }
    };
    let by_status = exited(3 << 8, signal_flag::TARGET_IS_MAIN);
    assert_eq!((by_status.code, by_status.signal), (Some(3), None));
    assert_eq!((by_status.is_main, by_status.is_init), (true, false));
    let with_core = exited(11 | 0x80, signal_flag::TARGET_IS_INIT);
    assert_eq!((with_core.code, with_core.signal), (None, Some(11)));
    assert_eq!((with_core.is_main, with_core.is_init), (false, true));
    assert_eq!(by_status.comm, "node");
}

#[test]
fn a_signal_tells_who_sent_it_and_what_it_met() {
    let with = |flags, result, sender: wire::Process| {
        let record = record::SignalGenerated {
            header: HEADER,
            target: WIRE_PROCESS,
            root: WIRE_PROCESS,
            sender,
            opened: 12,
            signal: 15,
            result,
            disposition: disposition::HANDLED,
            flags,
            comm: comm(b"node"),
        };
        match input(Record::SignalGenerated(record)) {
            Input::Signal(signal) => signal,
            other => panic!("{other:?}"),
        }
    };
    let outside = with(signal_flag::BLOCKED, 0, WIRE_PROCESS);
    assert_eq!((outside.sender, outside.sender_process), (Sender::Outside, Some(PROCESS)));
    assert!(outside.blocked && !outside.dropped && !outside.to_init);
    assert_eq!((outside.handler, outside.signal, outside.accepted), (Handler::Installed, 15, 12));
    let kernel = with(signal_flag::FROM_KERNEL | signal_flag::TARGET_IS_INIT, 1, wire::Process::zeroed());
    assert_eq!((kernel.sender, kernel.sender_process), (Sender::Kernel, None));
    assert!(kernel.dropped && kernel.to_init);
    assert_eq!(with(signal_flag::FROM_INSIDE, 2, WIRE_PROCESS).sender, Sender::Inside);
    let both = signal_flag::FROM_INSIDE | signal_flag::FROM_KERNEL;
    assert_eq!(with(both, 0, WIRE_PROCESS).sender, Sender::KernelInside);
}

#[test]
fn a_connection_opens_ends_and_is_judged_anew() {
    let told = |event| input(Record::Connection(connection_record(event, Fate::UnansweredRequest)));
    let inferred = Framed { confidence: Confidence::Likely, ..Framed::default() };
    let unanswered = || Connection { framed: inferred.clone(), ..connection_input(Fate::UnansweredRequest) };
    assert_eq!(told(connection_event::OPENED), Input::ConnectionOpened(connection_input(Fate::NotMeasured)));
    assert_eq!(told(connection_event::ENDED), Input::ConnectionEnded(unanswered()));
    assert_eq!(
        told(connection_event::REVISED),
        Input::ConnectionRevised { connection: unanswered(), previous: FateName(Fate::ClosedIdle) }
    );
}

#[test]
fn addresses_are_what_people_call_them() {
    let address = wire::ListenAddress { address: [0; 16], netns: 1, port: 80, reserved: 0 };
    let listener =
        record::ListenerRecord { header: HEADER, process: WIRE_PROCESS, address, open: 0, flags: 1 << 1 };
    assert_eq!(
        input(Record::Listener(listener)),
        Input::Listener {
            at: AT,
            container: CONTAINER,
            process: PROCESS,
            local: "[::]:80".parse().expect("an address"),
            open: false,
            by_death: true,
        }
    );
    let tuple = connection_record(0, Fate::Refused).tuple;
    assert_eq!(
        input(Record::Refused(record::Refused { header: HEADER, tuple })),
        Input::Refused {
            at: AT,
            container: CONTAINER,
            local: "127.0.0.1:8080".parse().expect("an address"),
            peer: "127.0.0.2:54321".parse().expect("an address"),
        }
    );
}

#[test]
fn the_rest_is_carried_over() {
    let populated = record::Populated { header: HEADER, populated: 0 };
    assert_eq!(
        input(Record::Populated(populated)),
        Input::ContainerPopulated { at: AT, container: CONTAINER, populated: false }
    );
    let victim = record::OomVictim { header: HEADER, process: WIRE_PROCESS };
    assert_eq!(
        input(Record::OomVictim(victim)),
        Input::OomVictim { at: AT, container: CONTAINER, process: PROCESS }
    );
    let mut delivered = record::SignalDelivered::zeroed();
    delivered.header = HEADER;
    delivered.signal = 2;
    delivered.process = WIRE_PROCESS;
    delivered.disposition = disposition::IGNORED;
    assert_eq!(
        input(Record::SignalDelivered(delivered)),
        Input::SignalDelivered {
            at: AT,
            container: CONTAINER,
            process: PROCESS,
            signal: 2,
            handler: Handler::Ignore
        }
    );
}

#[test]
fn values_of_another_build_are_refused() {
    let mut record = connection_record(connection_event::ENDED, Fate::Drained);
    record.fate = Fate::COUNT as u8;
    let refused = |record| translate(&Record::Connection(record)).expect_err("unknown").field;
    assert_eq!(refused(record), "fate");
    assert_eq!(refused(connection_record(9, Fate::Drained)), "event");
    let mut record = connection_record(connection_event::OPENED, Fate::Drained);
    record.role = 7;
    assert_eq!(refused(record), "role");
    let mut delivered = record::SignalDelivered::zeroed();
    delivered.disposition = 3;
    let error = translate(&Record::SignalDelivered(delivered)).expect_err("unknown");
    assert_eq!(error.to_string(), "disposition has no value 3");
}
