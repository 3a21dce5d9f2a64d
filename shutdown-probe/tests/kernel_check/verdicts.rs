//! What a verdict takes: its time, other loads, and that it can be read.

use crate::gate::{check, end, run};
use crate::servers;
use serde_json::Value;

/// A request that takes long enough to be met in the server's hands, on a machine that does other things too.
const SLOW: &str = "/?ms=200";
const COMMON: [&str; 4] = ["--runs", "1", "--json", "--quiet"];
/// Clients have stopped coming when the stop signal is sent: what is lost is lost in the server's hands.
const SLEEP: [&str; 4] = ["--propagation-delay", "200ms", "--pre-stop", "300ms"];

#[test]
fn a_drain_of_two_seconds_is_passed_after_two_runs() {
    let ended = run(&["--json", "--path", "/?ms=2000", "--pre-stop", "600ms"], &servers::node("drain"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
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
fn what_speaks_only_tls_is_asked_by_a_load_that_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let asking = "while :; do curl -sk \"$URL/?ms=200\"; done";
    let arguments = [&COMMON[..], &SLEEP, &["--load-command", asking]].concat();
    let ended = run(&arguments, &servers::node_tls("exit", directory.path()));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.json()["cause"], "exited_without_drain", "{ended:?}");
    ended.assert_no_trace();
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
    assert!(ended.err.contains("::error title=shutdown loses requests::clients lost "), "{}", ended.err);
    let xml = std::fs::read_to_string(junit).expect("a report");
    assert!(
        xml.contains("tests=\"1\" failures=\"1\"") && xml.contains("type=\"exited_without_drain\""),
        "{xml}"
    );
}
