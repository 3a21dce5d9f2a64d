//! The probes attach, and leave nothing behind.

use crate::puppet::Address;
use crate::stage::{Directory, Stage, client};
use shutdown_probe::probe::{ProbeError, Probes, Settings, Status, Watch};
use shutdown_probe_common::loss::Loss;
use std::path::PathBuf;

#[test]
fn every_probe_attaches_or_says_why_not() {
    let stage = Stage::new();
    let verdicts = stage.probes.verdicts();
    assert_eq!(verdicts.len(), 14);
    for verdict in verdicts {
        match verdict.status {
            Status::Attached => assert!(verdict.reason.is_empty(), "{verdict:?}"),
            Status::Unsupported => assert!(verdict.reason.starts_with("this kernel"), "{verdict:?}"),
            Status::SwitchedOff => panic!("nobody switched it off: {verdict:?}"),
            Status::Broken => panic!("the kernel has it and refuses it: {verdict:?}"),
        }
    }
    assert_eq!(stage.probes.losses(), Loss::ALL.map(|loss| (loss, 0)));
}

#[test]
fn a_missing_directory_is_named() {
    let watch = Watch::Children(PathBuf::from("/shutdown-probe-test-of-nothing"));
    let error = Probes::attach(&Settings { watch, ..Settings::default() }).unwrap_err();
    let ProbeError::WatchedCgroupMissing(path) = &error else { panic!("{error:?}") };
    assert!(path.ends_with("shutdown-probe-test-of-nothing"), "{error}");
}

#[test]
fn dropping_the_probes_detaches_them() {
    let stage = Stage::new();
    let container = stage.container("served");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    let _first = client(port);
    server.accept(listener);
    assert_eq!(stage.counters(&container).opened, 1);

    let Stage { probes, table, directory, .. } = stage;
    drop(probes);
    let _second = client(port);
    server.accept(listener);
    let counters = table.get(container.id).expect("the map lives while a handle does").counters;
    assert_eq!(counters.opened, 1, "a program still runs");
    assert!(table.narrate_until(container.id, u64::MAX).is_err());
    drop(server);
    drop(directory);
}

#[test]
fn two_may_watch_at_once() {
    let directory = Directory::new();
    let one = Stage::over(directory);
    let watch = Watch::Children(one.directory.path().to_owned());
    let other = Probes::attach(&Settings { watch, ..Settings::default() }).unwrap();
    let container = one.container("seen-twice");
    assert!(one.table.get(container.id).is_some());
    assert!(other.containers().get(container.id).is_some());
}

#[test]
fn what_programs_cost_is_told() {
    let stage = Stage::new();
    let stats = stage.probes.stats();
    assert!(stats.iter().any(|program| program.name == "tcp_read"), "{stats:?}");
    assert!(stats.iter().all(|program| program.recursion_misses == 0), "{stats:?}");
}
