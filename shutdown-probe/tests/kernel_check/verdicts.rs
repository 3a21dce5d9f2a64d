//! Each kind of server: failed for the right reason, passed once the advice is taken.

use crate::gate::{Ended, Service, check, end, fresh_port, run};
use crate::servers::{self, Workshop};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A request that takes long enough to be met in the server's hands, on a machine that does other things too.
const SLOW: &str = "/?ms=200";
const COMMON: [&str; 4] = ["--runs", "1", "--json", "--quiet"];
/// Clients have stopped coming when the stop signal is sent: what is lost is lost in the server's hands.
const SLEEP: [&str; 4] = ["--propagation-delay", "200ms", "--pre-stop", "300ms"];

/// What a check is to find.
struct Case<'a> {
    name: &'static str,
    service: Service,
    sleep: &'a [&'a str],
    arguments: Vec<&'a str>,
    path: &'a str,
    /// The cause, or `clean`.
    cause: &'static str,
    runtime: &'static str,
}

impl<'a> Case<'a> {
    fn new(name: &'static str, runtime: &'static str, service: Service, cause: &'static str) -> Self {
        Self { name, service, sleep: &SLEEP, arguments: Vec::new(), path: SLOW, cause, runtime }
    }

    fn given(mut self, arguments: &[&'a str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    fn start(&self) -> Child {
        let arguments = [&COMMON[..], self.sleep, &["--path", self.path], &self.arguments].concat();
        check(&arguments, &self.service).spawn().expect("it starts")
    }

    /// Clients and probe say the same, and it is what was expected.
    fn assert(&self, ended: &Ended) {
        let name = self.name;
        let clean = self.cause == "clean";
        assert_eq!(ended.code, Some(if clean { 0 } else { 1 }), "{name}: {ended:?}");
        let said = ended.json();
        assert_eq!(said["cause"], self.cause, "{name}: {said:#}");
        assert_eq!(said["service"]["runtime"], self.runtime, "{name}: {said:#}");
        let run = &said["runs"][0];
        assert_eq!(run["disagreements"], Value::Array(Vec::new()), "{name}: {said:#}");
        assert_ne!(run["in_flight_at_stop"], 0, "{name}: nothing was in flight: {said:#}");
        assert_eq!(said["fixes"].as_array().map(Vec::is_empty), Some(clean), "{name}: {said:#}");
        ended.assert_no_trace();
    }
}

/// Plays them all at the same time.
fn play(cases: &[Case<'_>]) {
    let playing: Vec<Child> = cases.iter().map(Case::start).collect();
    let ended: Vec<Ended> = playing.into_iter().map(end).collect();
    cases.iter().zip(&ended).for_each(|(case, ended)| case.assert(ended));
}

#[test]
fn node() {
    let workshop = Workshop::new();
    let none = || servers::node("none");
    play(&[
        Case::new("PID 1 without a handler", "node", none(), "ignored_stop_signal"),
        Case::new("no handler", "node", none(), "stop_signal_killed_process").given(&["--no-pid-namespace"]),
        Case::new("exit(0)", "node", servers::node("exit"), "exited_without_drain"),
        Case::new("server.close()", "node", servers::node("close"), "grace_exceeded")
            .given(&["--grace", "3s"]),
        Case::new("the advice", "node", workshop.node(), "clean"),
    ]);
}

#[test]
fn python() {
    let workshop = Workshop::new();
    play(&[
        Case::new("PID 1 without a handler", "python", servers::python("none"), "ignored_stop_signal"),
        Case::new("os._exit(0)", "python", servers::python("exit"), "exited_without_drain"),
        Case::new("the advice", "python", workshop.python(), "clean"),
    ]);
}

#[test]
fn gunicorn_and_uvicorn() {
    let behind_shell = |line: &str| Service::line(&format!("{line}; true"));
    let exec = |line: &str| Service::line(&format!("exec {line}"));
    let (gunicorn, uvicorn) = (servers::gunicorn(""), servers::uvicorn());
    let hasty = servers::gunicorn("--graceful-timeout 0");
    play(&[
        Case::new("behind a shell", "uvicorn", behind_shell(&uvicorn), "stop_signal_not_forwarded"),
        Case::new("exec", "uvicorn", exec(&uvicorn), "clean"),
        Case::new("no time to finish", "gunicorn", exec(&hasty), "exited_without_drain"),
        Case::new("time to finish", "gunicorn", exec(&gunicorn), "clean"),
    ]);
}

#[test]
fn go_and_java() {
    let workshop = Workshop::new();
    play(&[
        Case::new("no handler", "go", servers::go("none"), "stop_signal_killed_process"),
        Case::new("the advice", "go", workshop.go(), "clean"),
        Case::new("no hook", "java", servers::java_of_the_zoo("none"), "exited_without_drain"),
        Case::new("the advice", "java", workshop.java(), "clean"),
    ]);
}

/// What a proxy stands in front of; killed when dropped.
struct Upstream(Child, u16);

impl Upstream {
    fn start() -> Self {
        let port = fresh_port();
        let mut command = Command::new("node");
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers/server.js"), "none"]);
        command.env("PORT", port.to_string()).env("ADDRESS", "127.0.0.1").env("GATES", "/");
        Self(command.stdout(Stdio::null()).spawn().expect("node"), port)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_and_haproxy() {
    let upstream = Upstream::start();
    let shops = [Workshop::new(), Workshop::new(), Workshop::new(), Workshop::new()];
    let through = |case: Case<'static>| Case { path: "/through?ms=200", ..case };
    play(&[
        through(Case::new("SIGTERM", "nginx", shops[0].nginx(upstream.1), "exited_without_drain")),
        through(
            Case::new("SIGQUIT", "nginx", shops[1].nginx(upstream.1), "clean").given(&["--signal", "QUIT"]),
        ),
        through(Case::new("SIGTERM", "haproxy", shops[2].haproxy(upstream.1), "ignored_stop_signal")),
        through(
            Case::new("USR1", "haproxy", shops[3].haproxy(upstream.1), "clean").given(&["--signal", "USR1"]),
        ),
    ]);
}

#[test]
fn wrappers_and_late_arrivals() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers/server.js");
    let under = |words: &[&str], style| Service::new(words.iter().chain(&["node", script, style]).copied());
    play(&[
        Case::new("tini, no handler", "node", under(&["tini", "--"], "none"), "stop_signal_killed_process"),
        Case::new("dumb-init, a drain", "node", under(&["dumb-init"], "drain"), "clean"),
        Case::new(
            "a shell",
            "node",
            Service::line(&format!("node {script} drain; true")),
            "stop_signal_not_forwarded",
        ),
        Case {
            sleep: &[],
            ..Case::new("no preStop", "node", servers::node("drain"), "listener_closed_while_routed")
        },
        Case::new("a preStop", "node", servers::node("drain"), "clean"),
    ]);
}

#[test]
fn a_drain_of_two_seconds_has_its_verdict_within_thirty() {
    let began = Instant::now();
    let ended = run(&["--json", "--path", "/?ms=2000", "--pre-stop", "600ms"], &servers::node("drain"));
    let taken = began.elapsed();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(taken < Duration::from_secs(30), "{taken:?}");
    let said = ended.json();
    assert_eq!(said["runs"].as_array().map(Vec::len), Some(2), "{said:#}");
    assert!(ended.err.contains("run-2"), "progress: {}", ended.err);
}

#[test]
fn streams_and_other_loads_and_networks() {
    let streams = ["--streams", "2", "--stream-path", "/stream?ms=60000"];
    let arguments = [&COMMON[..], &SLEEP, &["--path", SLOW], &streams].concat();
    let cut = check(&arguments, &servers::node("exit")).spawn().expect("it starts");
    let load = "exec node -e 'const ask = () => fetch(process.env.URL + \"/?ms=200\").then((it) => it.text())\
                .catch(() => new Promise((later) => setTimeout(later, 50))).then(ask); ask()'";
    let arguments = [&COMMON[..], &SLEEP, &["--load-command", load]].concat();
    let loaded = check(&arguments, &servers::node("exit")).spawn().expect("it starts");
    let arguments = [&COMMON[..], &SLEEP, &["--path", SLOW, "--network", "own"]].concat();
    let apart = check(&arguments, &servers::node("drain")).spawn().expect("it starts");

    let cut = end(cut).json();
    let streams: Vec<_> = cut["runs"][0]["losses"].as_array().expect("losses").clone();
    let truncated = streams.iter().filter(|loss| loss["client"] == "stream" && loss["saw"] == "truncated");
    assert_eq!(truncated.count(), 2, "{cut:#}");
    assert_eq!(cut["runs"][0]["disagreements"], Value::Array(Vec::new()), "the probe sees them too: {cut:#}");
    let loaded = end(loaded);
    assert_eq!(loaded.code, Some(1), "{loaded:?}");
    assert_eq!(loaded.json()["cause"], "exited_without_drain", "{loaded:?}");
    loaded.assert_no_trace();
    let apart = end(apart);
    assert_eq!(apart.code, Some(0), "{apart:?}");
}

#[test]
fn the_report_is_read_by_people_and_pipelines() {
    let directory = tempfile::tempdir().expect("a directory");
    let junit = directory.path().join("junit.xml");
    let arguments = ["--runs", "1", "--path", SLOW, "--pre-stop", "600ms", "--junit"];
    let arguments = [&arguments[..], &[junit.to_str().expect("UTF-8")]].concat();
    let mut command = check(&arguments, &servers::node("exit"));
    let ended = end(command.env("GITHUB_ACTIONS", "true").spawn().expect("it starts"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for said in [
        "FAIL",
        "cause: exited_without_drain",
        "process.on('SIGTERM'",
        "5 x keep-alive client",
        "sends SIGTERM",
    ] {
        assert!(ended.out.contains(said), "{said:?} is not in {}", ended.out);
    }
    let is_code = |line: &&str| !line.starts_with("    ");
    for line in ended.out.lines().filter(is_code) {
        assert!(line.chars().count() <= 80, "wider than a terminal: {line}");
    }
    assert!(!ended.out.contains('\x1b'), "no colours in a pipe");
    assert!(
        ended.err.contains("::error title=shutdown loses requests::clients lost 5 requests"),
        "{}",
        ended.err
    );
    let xml = std::fs::read_to_string(junit).expect("a report");
    assert!(
        xml.contains("tests=\"1\" failures=\"1\"") && xml.contains("type=\"exited_without_drain\""),
        "{xml}"
    );
}
