//! Nothing stays, however a check ends.

use crate::gate::{Service, cgroup_of, check, end};
use crate::servers;
use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn listens(service: &Service) -> bool {
    TcpStream::connect(("127.0.0.1", service.port)).is_ok()
}

/// A check whose service serves, and goes on to for a while.
fn serving() -> (Child, Service) {
    // A grandchild that ignores the signal: the worst to be rid of.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers/server.py");
    let service = Service::line(&format!("sh -c 'python3 {script} ignore; true'; true"));
    let arguments = ["--pre-stop", "20s", "--no-pid-namespace", "--quiet"];
    let child = check(&arguments, &service).spawn().expect("it starts");
    wait_for("it never served", || listens(&service));
    (child, service)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill(1)").success());
}

#[test]
fn an_interrupted_check_cleans_up_and_says_so() {
    for name in ["INT", "TERM"] {
        let (child, service) = serving();
        signal(&child, name);
        end(child).assert_not_measured("interrupted");
        assert!(!listens(&service), "the service lives on after SIG{name}");
    }
}

#[test]
fn a_killed_check_is_cleaned_up_after() {
    let (mut child, service) = serving();
    let cgroup = cgroup_of(child.id());
    assert!(cgroup.exists());
    signal(&child, "KILL");
    child.wait().expect("a child");
    wait_for("the cgroup stays", || !cgroup.exists());
    assert!(!listens(&service), "the service lives on");
}

#[test]
fn what_even_the_guard_left_is_removed_by_the_next_check() {
    let left = cgroup_of(u32::MAX);
    std::fs::create_dir_all(left.join("run-1")).expect("a cgroup");
    end(check(&["--quiet"], &servers::node("no-such-style")).spawn().expect("it starts"))
        .assert_not_measured("unknown style no-such-style");
    assert!(!left.exists());
}
