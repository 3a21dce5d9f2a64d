//! What was there before the probes.

use crate::puppet::Address;
use crate::stage::{Directory, SHORTLY, Stage, client};
use shutdown_probe_common::connection::{flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::connection_event;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;

#[test]
fn open_connections_and_listeners_are_taken_up() {
    let directory = Directory::new();
    let container = directory.container("old");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Any);
    let mut asked = client(port);
    let asked_fd = server.accept(listener);
    let mut answered = client(port);
    let answered_fd = server.accept(listener);
    // The clock that TCP stamps its sockets with ticks every few milliseconds.
    sleep(SHORTLY);
    for client in [&mut asked, &mut answered] {
        client.stream.write_all(b"ask").unwrap();
    }
    server.read(asked_fd, 3);
    server.read(answered_fd, 3);
    sleep(SHORTLY);
    server.write(answered_fd, 5);
    answered.stream.read_exact(&mut [0; 5]).unwrap();
    let silent = client(port);
    server.accept(listener);

    let mut stage = Stage::over(directory);
    let pid = server.pid();
    server.kill();
    assert_eq!(stage.fate(&container, asked.port), Fate::UnansweredRequest);
    assert_eq!(stage.fate(&container, answered.port), Fate::ClosedIdle);
    assert_eq!(stage.fate(&container, silent.port), Fate::ClosedIdle);
    let end = stage.wait_connection(&container, asked.port, connection_event::ENDED);
    assert!(end.evidence.has(flag::PREEXISTING));
    assert_eq!((end.owner.tgid, end.role), (pid, role::SERVER));
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    stage.wait_counted(&container, Fate::Refused, 1);
}

#[test]
fn containers_are_found_with_their_main_process() {
    let directory = Directory::new();
    let container = directory.container("old");
    let nested = container.nested("inner");
    let empty = directory.container("empty");
    let mut first = nested.puppet();
    first.fork();
    sleep(SHORTLY);
    let second = container.puppet();

    let stage = Stage::over(directory);
    let existing = stage.probes.existing();
    assert_eq!(existing.len(), 2, "{existing:#?}");
    let found = existing.iter().find(|found| found.id == container.id).unwrap();
    assert_eq!(found.main.tgid, first.pid());
    assert_eq!(found.nested, [nested.id]);
    assert!(found.path.ends_with("/old") && found.populated && !found.comm.is_empty(), "{found:?}");
    let found = existing.iter().find(|found| found.id == empty.id).unwrap();
    assert_eq!((found.main.tgid, found.populated), (0, false));
    // A cgroup with processes cannot be removed.
    drop((first, second));
}
