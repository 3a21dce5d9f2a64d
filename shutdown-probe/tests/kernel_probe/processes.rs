//! Who is who: containers, processes, signals.

use crate::puppet::{Address, Puppet, kill};
use crate::stage::{Container, Stage, client};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{
    ProcessEntered, ProcessExited, Record, SignalGenerated, disposition, signal_flag,
};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

fn entered(stage: &mut Stage, container: &Container) -> ProcessEntered {
    stage.wait(container, "an entry", |record| match record {
        Record::ProcessEntered(entered) => Some(*entered),
        _ => None,
    })
}

fn signal(stage: &mut Stage, container: &Container, number: i32) -> SignalGenerated {
    stage.wait(container, "a signal", |record| match record {
        Record::SignalGenerated(signal) if signal.signal == number.cast_unsigned() => Some(*signal),
        _ => None,
    })
}

fn exited(stage: &mut Stage, container: &Container, pid: u32) -> ProcessExited {
    stage.wait(container, "an exit", |record| match record {
        Record::ProcessExited(exited) if exited.process.tgid == pid => Some(*exited),
        _ => None,
    })
}

#[test]
fn a_process_that_moves_in_is_the_main_one() {
    let mut stage = Stage::new();
    let container = stage.container("entered");
    let first = container.puppet();
    let second = container.puppet();
    let entered = entered(&mut stage, &container);
    assert_eq!(entered.process.tgid, first.pid());
    assert!(entered.process.start > 0 && entered.comm[0] != 0);
    let main = stage.table.get(container.id).unwrap().main;
    assert_eq!(main, entered.process);

    second.exit(7);
    first.exit(3);
    let exit = exited(&mut stage, &container, main.tgid);
    assert_eq!((exit.exit_code, exit.flags, exit.root), (3 << 8, signal_flag::TARGET_IS_MAIN, exit.process));
}

#[test]
fn a_process_that_is_born_inside_enters_too() {
    let mut stage = Stage::new();
    let container = stage.container("born");
    let born = Puppet::born_in(&container.directory());
    assert_eq!(entered(&mut stage, &container).process.tgid, born.pid());
}

#[test]
fn forks_do_not_enter() {
    let mut stage = Stage::new();
    let container = stage.container("forks");
    let mut parent = container.puppet();
    let child = parent.fork();
    kill(child, libc::SIGKILL);
    let exit = exited(&mut stage, &container, child);
    assert_eq!((exit.exit_code, exit.flags), (9, 0));
    assert_eq!(exit.root.tgid, parent.pid());
    let entries = stage.settled(&container);
    let entries = entries.iter().filter(|record| matches!(record, Record::ProcessEntered(_)));
    assert_eq!(entries.count(), 1);
}

#[test]
fn a_nested_cgroup_belongs_to_its_container() {
    let mut stage = Stage::new();
    let container = stage.container("outer");
    let nested = container.nested("inner");
    let mut server = nested.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    let mut asked = client(port);
    let fd = server.accept(listener);
    asked.stream.write_all(b"ask").unwrap();
    server.read(fd, 3);
    server.kill();
    assert_eq!(stage.fate(&container, asked.port), Fate::UnansweredRequest);
    assert!(stage.table.get(nested.id).is_none(), "it is no container of its own");
    nested.remove();
    let removed = stage.wait(&container, "the removal", |record| match record {
        Record::CgroupRemoved(removed) => Some(removed.cgroup),
        _ => None,
    });
    assert_eq!(removed, nested.id);
}

#[test]
fn a_containers_life_is_told() {
    let mut stage = Stage::new();
    let container = stage.container("short-lived");
    container.puppet().exit(0);
    container.remove();
    let records = stage.settled(&container);
    let path = records.iter().find_map(|record| match record {
        Record::CgroupMade(made) if made.cgroup == container.id => Some(made.path),
        _ => None,
    });
    let path = path.expect("it was made");
    let end = path.iter().position(|&byte| byte == 0).unwrap();
    let directory = stage.directory.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(str::from_utf8(&path[..end]).unwrap(), format!("/{directory}/short-lived"));
    assert!(path[end..].iter().all(|&byte| byte == 0));
    let populated: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Populated(populated) => Some(populated.populated),
            _ => None,
        })
        .collect();
    assert_eq!(populated, [1, 0]);
}

#[test]
fn a_stop_signal_is_told_with_what_awaits_it() {
    let mut stage = Stage::new();
    let container = stage.container("stopped");
    let mut server = container.puppet();
    server.handle_stop();
    server.signal(libc::SIGTERM);
    let told = signal(&mut stage, &container, libc::SIGTERM);
    assert_eq!(told.target.tgid, server.pid());
    assert_eq!(told.root, told.target);
    assert_eq!(told.sender.tgid, std::process::id());
    assert_eq!((told.result, told.disposition), (0, disposition::HANDLED));
    assert_eq!(told.flags, signal_flag::TARGET_IS_MAIN);
    stage.wait(&container, "the delivery", |record| match record {
        Record::SignalDelivered(delivered) => {
            assert_eq!((delivered.process, delivered.disposition), (told.target, disposition::HANDLED));
            Some(())
        }
        _ => None,
    });

    server.ignore_stop();
    server.signal(libc::SIGKILL);
    let told = signal(&mut stage, &container, libc::SIGKILL);
    assert_eq!(told.disposition, disposition::IGNORED, "that of SIGTERM");
}

#[test]
fn a_signal_from_inside_opens_no_story() {
    let mut stage = Stage::new();
    let container = stage.container("own-doing");
    let mut server = container.puppet();
    server.handle_stop();
    server.raise_stop();
    let told = signal(&mut stage, &container, libc::SIGTERM);
    assert_eq!(told.flags, signal_flag::TARGET_IS_MAIN | signal_flag::FROM_INSIDE);
    assert_eq!(told.sender, told.target);
    assert_eq!(stage.table.get(container.id).unwrap().narrate_until, 0);
}

#[test]
fn a_child_is_told_with_its_root() {
    let mut stage = Stage::new();
    let container = stage.container("tree");
    let mut parent = container.puppet();
    let child = parent.fork();
    kill(child, libc::SIGTERM);
    let told = signal(&mut stage, &container, libc::SIGTERM);
    assert_eq!((told.target.tgid, told.root.tgid), (child, parent.pid()));
    assert_eq!((told.flags, told.disposition), (0, disposition::DEFAULT));
}

#[test]
fn a_kill_of_the_cgroup_is_the_writers() {
    let mut stage = Stage::new();
    let container = stage.container("cgroup-kill");
    let mut server = container.puppet();
    container.kill();
    server.wait();
    let told = signal(&mut stage, &container, libc::SIGKILL);
    assert_eq!(told.flags, signal_flag::TARGET_IS_MAIN);
    assert_eq!(told.sender.tgid, std::process::id());
}

#[test]
fn a_listener_from_outside_becomes_the_readers() {
    let mut stage = Stage::new();
    let container = stage.container("activated");
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    let mut server = Puppet::enter(&container.procs(), Some(outside.as_fd()));
    drop(outside);
    let mut asked = client(port);
    let fd = server.accept(5);
    asked.stream.write_all(b"ask").unwrap();
    server.read(fd, 3);
    server.kill();
    assert_eq!(stage.fate(&container, asked.port), Fate::UnansweredRequest);
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    stage.wait_counted(&container, Fate::Refused, 1);
}

#[test]
fn a_neighbour_is_left_alone() {
    let mut stage = Stage::new();
    let (one, other) = (stage.container("one"), stage.container("other"));
    let server = one.puppet();
    let mut neighbour = other.puppet();
    let (listener, port) = neighbour.listen(Address::V4Loopback);
    let _served = client(port);
    neighbour.accept(listener);
    server.kill();
    let told = stage.settled(&other);
    assert!(!told.iter().any(|record| matches!(record, Record::Connection(_) | Record::SignalGenerated(_))));
    assert_eq!(stage.table.get(other.id).unwrap().narrate_until, 0);
}
