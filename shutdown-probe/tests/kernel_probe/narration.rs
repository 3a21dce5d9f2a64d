//! Records come inside a termination only; counters always.

use crate::puppet::Address;
use crate::stage::{Directory, SHORTLY, Stage, client, header};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::loss::Loss;
use shutdown_probe_common::record::{Record, connection_event, kind};
use std::io::{Read, Write};
use std::thread::sleep;

#[test]
fn daily_work_is_counted_and_not_narrated() {
    let mut stage = Stage::new();
    let container = stage.container("quiet");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    for _ in 0..20 {
        let mut client = client(port);
        let fd = server.accept(listener);
        client.stream.write_all(b"ask").unwrap();
        server.read(fd, 3);
        server.write(fd, 5);
        client.stream.read_exact(&mut [0; 5]).unwrap();
        drop(client);
        assert_eq!(server.read(fd, 1), 0);
        server.close(fd);
    }
    stage.wait_counted(&container, Fate::PeerClosed, 20);
    assert_eq!(stage.counters(&container).opened, 20);
    let kinds: Vec<_> = stage.settled(&container).iter().map(|record| header(record).kind).collect();
    assert_eq!(
        kinds,
        [kind::CGROUP_MADE, kind::POPULATED, kind::PROCESS_ENTERED, kind::LISTENER],
        "only what is told always"
    );
}

#[test]
fn counters_and_records_agree() {
    let mut stage = Stage::new();
    let container = stage.container("busy");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    let mut clients = Vec::new();
    for index in 0..60 {
        let mut client = client(port);
        // The last ones stay in the queue.
        if index < 48 {
            let fd = server.accept(listener);
            client.stream.write_all(b"ask").unwrap();
            if index % 4 != 3 {
                server.read(fd, 3);
            }
            if index % 4 == 1 {
                server.write(fd, 5);
                client.stream.read_exact(&mut [0; 5]).unwrap();
            }
        }
        clients.push(client);
        if index == 30 {
            stage.narrate(&container);
        }
    }
    server.kill();
    for client in &mut clients {
        // Those that ended with a FIN answer this with a reset, the others are broken already.
        let _ = client.stream.write_all(b"more");
    }
    sleep(SHORTLY);
    let mut told = [0_u64; Fate::COUNT];
    let mut opened = 0;
    for record in stage.settled(&container) {
        match record {
            Record::Connection(connection) => match connection.event {
                connection_event::OPENED => opened += 1,
                connection_event::ENDED => told[usize::from(connection.fate)] += 1,
                _ => {
                    told[usize::from(connection.previous_fate)] -= 1;
                    told[usize::from(connection.fate)] += 1;
                }
            },
            Record::Refused(_) => told[Fate::Refused as usize] += 1,
            _ => {}
        }
    }
    let known = stage.table.get(container.id).unwrap();
    assert_eq!(known.counters.fates, told);
    assert_eq!(told.iter().sum::<u64>(), 60);
    assert_eq!((known.counters.opened, known.at_begin.opened), (60, 31));
    assert_eq!(known.counters.opened - known.at_begin.opened, opened);
    assert_eq!(known.counters.lost, 0);
    let expected = [
        (Fate::UnansweredRequest, 24),
        (Fate::RequestAfterClose, 12),
        (Fate::UnreadRequest, 12),
        // They had sent nothing when the listener was closed.
        (Fate::NotMeasured, 12),
    ];
    for (fate, count) in expected {
        assert_eq!(told[fate as usize], count, "{fate:?} of {told:?}");
    }
}

#[test]
fn what_the_ring_cannot_hold_is_counted() {
    let mut stage = Stage::with_ring(Directory::new(), 4096);
    let container = stage.container("storm");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    let clients: Vec<_> = (0..60)
        .map(|_| {
            let mut client = client(port);
            let fd = server.accept(listener);
            client.stream.write_all(b"ask").unwrap();
            server.read(fd, 3);
            client
        })
        .collect();
    stage.records();
    server.kill();
    stage.wait_counted(&container, Fate::UnansweredRequest, clients.len() as u64);
    let told = stage.settled(&container);
    let told = told.iter().filter(|record| matches!(record, Record::Connection(_))).count() as u64;
    let lost = stage.counters(&container).lost;
    assert!(told < 60 && lost >= 60 - told, "{told} told, {lost} lost");
    assert_eq!(stage.probes.losses()[Loss::Ring as usize], (Loss::Ring, lost));
}

#[test]
fn a_ring_half_full_calls_the_reader() {
    let mut stage = Stage::with_ring(Directory::new(), 4096);
    let container = stage.container("called");
    let mut server = container.puppet();
    stage.records();
    let sleeper = stage.sleeper();
    sleep(SHORTLY);
    server.listen(Address::V4Loopback);
    sleep(SHORTLY);
    assert!(!sleeper.is_finished(), "one record can wait");
    for _ in 0..40 {
        server.listen(Address::V4Loopback);
    }
    assert!(sleeper.join().unwrap(), "nobody called");
}

#[test]
fn user_space_opens_and_closes_the_narration() {
    let mut stage = Stage::new();
    let container = stage.container("narrated");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    stage.narrate(&container);
    let first = client(port);
    server.accept(listener);
    stage.wait_connection(&container, first.port, connection_event::OPENED);
    let began = stage.table.get(container.id).unwrap();
    assert!(began.began_at > 0 && began.began_jiffies > 0);
    assert_eq!((began.at_begin.opened, began.counters.opened), (0, 1));

    stage.table.narrate_until(container.id, 0).unwrap();
    let second = client(port);
    server.accept(listener);
    let records = stage.settled(&container);
    assert!(!records.iter().any(
        |record| matches!(record, Record::Connection(opened) if opened.tuple.remote_port == second.port)
    ));
    assert_eq!(stage.counters(&container).opened, 2);

    stage.narrate(&container);
    let again = stage.table.get(container.id).unwrap();
    assert!(again.began_at > began.began_at);
    assert_eq!(again.at_begin.opened, 2);
}

#[test]
fn a_forgotten_container_is_silent() {
    let mut stage = Stage::new();
    let container = stage.container("forgotten");
    let mut server = container.puppet();
    stage.table.forget(container.id, &[]);
    assert!(stage.table.get(container.id).is_none());
    server.listen(Address::V4Loopback);
    server.kill();
    let kinds: Vec<_> = stage.settled(&container).iter().map(|record| header(record).kind).collect();
    assert_eq!(kinds, [kind::CGROUP_MADE, kind::POPULATED, kind::PROCESS_ENTERED]);
}
