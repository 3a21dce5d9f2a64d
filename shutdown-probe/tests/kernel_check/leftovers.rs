//! Nothing stays, however a check ends.

use crate::gate::{Service, cgroup_of, check, end};
use crate::servers;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
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
    for name in ["KILL", "HUP"] {
        let (mut child, service) = serving();
        let cgroup = cgroup_of(child.id());
        assert!(cgroup.exists());
        signal(&child, name);
        child.wait().expect("a child");
        wait_for("the cgroup stays", || !cgroup.exists());
        assert!(!listens(&service), "the service lives on after SIG{name}");
    }
}

#[test]
fn a_terminal_that_is_closed_takes_all_with_it() {
    let service = servers::node("drain");
    let check = check(&["--pre-stop", "20s"], &service);
    let words = [check.get_program()].into_iter().chain(check.get_args());
    let line: Vec<_> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
    // Whoever runs the tests by nohup(1) has them ignore it.
    let line = format!("env --default-signal=HUP {}", line.join(" "));
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &line, "/dev/null"]).envs(service.environment());
    let mut terminal = terminal.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("script(1)");
    wait_for("it never served", || listens(&service));
    terminal.kill().expect("it runs");
    terminal.wait().expect("a child");
    wait_for("the service lives on", || !listens(&service));
}

/// Whether a process has this word in its command line.
fn lives(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes()))
}

#[test]
fn daemons_that_the_service_made_are_found() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers/server.js");
    let word = format!("daemon-{}", std::process::id());
    // Forked twice, in a session of its own, deaf to all that can be ignored.
    let daemon = format!(
        "import os, signal, time\nif os.fork() or os.setsid() or os.fork(): os._exit(0)\n\
         [signal.signal(it, signal.SIG_IGN) for it in (1, 2, 3, 15)]\n\
         os.execlp('python3', 'python3', '-c', 'import time; time.sleep(600)', '{word}')"
    );
    let line = format!("python3 -c \"{daemon}\"; exec node {script} drain");
    for namespace in [&[][..], &["--no-pid-namespace"]] {
        let arguments = [&["--runs", "1", "--quiet", "--pre-stop", "2s"], namespace].concat();
        let service = Service::line(&line);
        let child = check(&arguments, &service).spawn().expect("it starts");
        wait_for("there is no daemon", || lives(&word));
        let ended = end(child);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.assert_no_trace();
        assert!(!lives(&word), "the daemon lives on");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_said() {
    let on_full_disk =
        ["--runs", "1", "--quiet", "--pre-stop", "600ms", "--path", "/?ms=200", "--junit", "/dev/full"];
    let ended = end(check(&on_full_disk, &servers::node("exit")).spawn().expect("it starts"));
    assert_eq!(ended.code, Some(1), "the verdict stands: {ended:?}");
    assert!(
        ended.out.contains("FAIL") && ended.err.contains("cannot write the JUnit report /dev/full"),
        "{ended:?}"
    );
    ended.assert_no_trace();
    let passing = end(check(&on_full_disk, &servers::node("drain")).spawn().expect("it starts"));
    passing.assert_not_measured("cannot write the JUnit report /dev/full");
    assert!(passing.out.contains("PASS"), "{passing:?}");
    let nowhere = ["--junit", "/no/such/directory/shutdown.xml"];
    let ended = end(check(&nowhere, &Service::new(["no-such-program"])).spawn().expect("it starts"));
    ended.assert_not_measured("cannot write the JUnit report /no/such/directory");
}

#[test]
fn what_even_the_guard_left_is_removed_by_the_next_check() {
    let left = cgroup_of(u32::MAX);
    std::fs::create_dir_all(left.join("run-1")).expect("a cgroup");
    end(check(&["--quiet"], &servers::node("no-such-style")).spawn().expect("it starts"))
        .assert_not_measured("unknown style no-such-style");
    assert!(!left.exists());
}
