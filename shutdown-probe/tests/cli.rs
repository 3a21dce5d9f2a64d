//! The real binary, without privileges: what it says, and with which code it ends.

use serde_json::{Value, json};
use shutdown_probe::privileges;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_shutdown-probe");

/// The program with a clean environment.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHUTDOWN_PROBE_")) {
        command.env_remove(name);
    }
    command.env_remove("KUBERNETES_SERVICE_HOST");
    command
}

fn run(arguments: &[&str]) -> Ended {
    Ended::from(program(arguments).output().expect("the program starts"))
}

/// What a run came to.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or_else(|| panic!("ended by {}", output.status));
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ended {
    fn assert(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(said), "{said:?} is not in {self:?}");
    }
}

/// An address that somebody else has.
fn taken() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

fn file(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, content).expect("writable");
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn help_and_version_are_no_errors() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes:\n") && help.out.contains("\n  77  "));
    assert!(run(&["run", "--help"]).out.contains("Examples:"));
    assert_eq!(run(&["--version"]).out, concat!("shutdown-probe ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for (arguments, said) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&[], "Usage:"),
        (&["run", "--standalone", "--linger", "10"], "\"10\" is no duration"),
        (&["run", "--standalone", "--linger", "1h"], "--linger"),
        (&["run", "--standalone", "--stop-signals", "SIGTERM,SIGKILL"], "no stop signal"),
        (&["run", "--standalone", "--ring-bytes", "5000"], "no power of two"),
        (&["run", "--standalone", "--keep", "0"], "--keep 0"),
        (&["run", "--standalone", "--listen", "9464"], "invalid socket address"),
        (&["report", "--since", "yesterday"], "neither a date"),
        (&["report", "--server", "https://localhost"], "plain HTTP"),
        (&["report", "--server", "localhost:9464"], "it begins with http://"),
        (&["report", "--server", "http://"], "is no URL of a daemon"),
        (&["watch", "--server", "http://[::1"], "is no URL of a daemon"),
        (&["report", "--server", "http://localhost:99999"], "no such host or port"),
        (&["report", "--color", "blue"], "[possible values: auto, always, never]"),
        (&["report", "1-2", "--pod", "web"], "cannot be used with"),
        (&["generate", "completions", "tcsh"], "[possible values: bash, fish, zsh]"),
        (&["generate", "man", "nope"], "there is no command \"nope\""),
        (&["report", "--limit", "0"], "1..=1000"),
        (&["replay"], "<FILE>"),
        (&["run"], "or `run --standalone`"),
        (&["run", "--standalone=false"], "or `run --standalone`"),
    ] {
        run(arguments).assert(64, said);
    }
    let in_a_pod =
        program(&["run", "--node-name", "a b"]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").output();
    Ended::from(in_a_pod.expect("it starts")).assert(64, "is no name of a node");
}

#[test]
fn a_flag_that_is_not_known_ends_with_64_whatever_the_command() {
    for command in ["run", "watch", "report", "doctor", "record", "replay", "kubectl", "generate"] {
        run(&[command, "--frobnicate"]).assert(64, "unexpected argument '--frobnicate'");
    }
}

#[test]
fn a_wrong_configuration_file_ends_with_64_and_names_the_place() {
    let directory = tempfile::tempdir().expect("a directory");
    for (content, said) in [
        ("standalnoe = true", "unknown field `standalnoe`"),
        ("standalone = true\n[serve]\nlisten = 'here'", "line 3"),
        ("standalone = true\n[observe]\nlinger = '1h'", "--linger"),
        ("\u{0}", "line 1"),
    ] {
        let config = file(&directory, "config.toml", content);
        run(&["run", "--config", path(&config)]).assert(64, said);
    }
    run(&["run", "--config", "/nonexistent.toml"]).assert(64, "/nonexistent.toml: No such file");
}

/// Each source names a taken address of its own: the one that is complained about is the one that counted.
#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let ((_a, flag), (_b, environment), (_c, in_file)) = (taken(), taken(), taken());
    let config = file(&directory, "c.toml", format!("standalone = true\n[serve]\nlisten = '{in_file}'\n"));
    let (config, flag_text) = (path(&config), flag.to_string());
    let complaint =
        |address: SocketAddr| format!("cannot listen on {address}: another process listens there");

    run(&["run", "--config", config]).assert(74, &complaint(in_file));
    let mut command = program(&["run", "--config", config]);
    let ended = command.env("SHUTDOWN_PROBE_LISTEN", environment.to_string()).output();
    Ended::from(ended.expect("it starts")).assert(74, &complaint(environment));
    let mut command = program(&["run", "--config", config, "--listen", &flag_text]);
    let ended = command.env("SHUTDOWN_PROBE_LISTEN", environment.to_string()).output();
    Ended::from(ended.expect("it starts")).assert(74, &complaint(flag));
    // The file too can be named by the environment, and a flag in it be taken back.
    let ended = program(&["run", "--standalone=false"]).env("SHUTDOWN_PROBE_CONFIG", config).output();
    Ended::from(ended.expect("it starts")).assert(64, "--standalone");
}

#[test]
fn what_does_not_exist_ends_with_66() {
    let cgroup = ["run", "--standalone", "--watch-cgroup", "/no/such\x1b[2J/cgroup"];
    run(&cgroup).assert(66, "no such cgroup: /no/such\\x1b[2J/cgroup; cgroup v2 is mounted at ");
    run(&["watch", "--watch-cgroup", "/none"]).assert(66, "no such cgroup: /none");
    let directory = tempfile::tempdir().expect("a directory");
    let kept = file(&directory, "kept", "precious");
    run(&["record", path(&kept), "--watch-cgroup", "/none"]).assert(66, "no such cgroup: /none");
    assert_eq!(fs::read_to_string(&kept).expect("readable"), "precious");
    run(&["replay", "/none.jsonl"]).assert(66, "cannot read /none.jsonl: No such file");
}

#[test]
fn a_daemon_that_is_not_there_ends_with_69() {
    let (listener, address) = taken();
    drop(listener);
    let url = format!("http://{address}");
    for arguments in [&["report", "--server", &url][..], &["watch", "--server", &url]] {
        run(arguments)
            .assert(69, "cannot be reached: Connection refused (os error 111); is `shutdown-probe run`");
    }
}

/// Answers each request with these bytes.
fn stranger(answer: &'static str) -> String {
    let (listener, address) = taken();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn an_answer_is_not_taken_for_more_than_it_is() {
    for (answer, code, said) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 69, "is no shutdown-probe of this version"),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 37\r\n\r\n<!doctype html><title>Grafana</title>\n",
            69,
            "is no shutdown-probe of this version",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 69, "is no shutdown-probe of this version"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", 69, "cannot be reached"),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 69, "answers 500"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            69,
            "answers 302",
        ),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n", 69, "is it a shutdown-probe?"),
        ("SSH-2.0-OpenSSH_9.2\r\n", 69, "cannot be reached"),
        ("HTTP/1.1 404 N\r\nContent-Length: 22\r\n\r\n{\"error\":\"gone\\u001b\"}", 66, "gone"),
    ] {
        for arguments in [&["report", "x"][..], &["report"], &["watch"]] {
            let ended = run(&[arguments, &["--server", &stranger(answer)]].concat());
            ended.assert(code, said);
            assert!(!ended.err.contains('\u{1b}') && ended.out.is_empty(), "{ended:?}");
        }
    }
}

#[test]
fn a_full_disk_ends_with_73() {
    run(&["record", "/dev/full"]).assert(73, "cannot write the recording /dev/full: No space left on device");
    run(&["run", "--standalone", "--listen", "127.0.0.1:0", "--record", "/dev/full"]).assert(73, "/dev/full");
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let ended = program(&["generate", "cli-doc"]).stdout(full).output();
    Ended::from(ended.expect("it starts")).assert(73, "cannot write the output: No space left on device");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Ended::from(program(&["generate", "cli-doc"]).stdout(writer).output().expect("it starts"));
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

/// Runs the program with no capabilities, whoever runs the test.
fn run_without_capabilities(arguments: &[&str]) -> Ended {
    // A thread's children have what it has: nothing, and no way to get it.
    thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            privileges::give_up(&[]).expect("giving up is always allowed");
            run(arguments)
        });
        unprivileged.join().expect("the thread ends well")
    })
}

#[test]
fn missing_privileges_end_with_77_and_doctor_says_which() {
    for arguments in [&["run", "--standalone", "--listen", "127.0.0.1:0"][..], &["watch"]] {
        run_without_capabilities(arguments).assert(77, "`shutdown-probe doctor` says what is missing");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let kept = file(&directory, "kept", "precious");
    run_without_capabilities(&["record", path(&kept)]).assert(77, "`shutdown-probe doctor`");
    assert_eq!(fs::read_to_string(&kept).expect("readable"), "precious");
    let doctor = run_without_capabilities(&["doctor", "--json"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    let diagnosis: Value = serde_json::from_str(&doctor.out).expect("JSON");
    assert_eq!(diagnosis["would_work"], false);
    let checks = diagnosis["checks"].as_array().expect("checks");
    let check =
        |name: &str| checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"));
    for capability in ["CAP_BPF", "CAP_PERFMON"] {
        assert_eq!(
            (&check(capability)["answer"], &check(capability)["required"]),
            (&json!("no"), &json!(true))
        );
        assert!(check(capability)["remedy"].as_str().expect("a remedy").contains("root"));
    }
    assert_eq!(check("attachment")["answer"], "could_not_tell");
    let text = run_without_capabilities(&["doctor"]).out;
    assert!(text.contains("\nno   CAP_BPF") && text.contains("would not work here"), "{text}");
}

#[test]
fn replay_uses_what_it_can_and_says_what_it_cannot() {
    let directory = tempfile::tempdir().expect("a directory");
    let head = "{\"shutdown_probe_recording\":1}\n";
    let clock = "{\"input\":\"clock\",\"boot_to_unix_ns\":1}\n";
    let early = "{\"input\":\"container_removed\",\"at\":1000000000,\"container\":7}\n";
    let late = "{\"input\":\"container_removed\",\"at\":9000000000,\"container\":7}\n";
    let hostile = "{\"input\":\"\\u001b[2J\",\"at\":3}\n";
    let long = format!("{}\n", "x".repeat(100_000));
    let damaged = [head, clock, "rubbish\n", hostile, &long, late, early, &clock[..15]].concat();
    let ended = run(&["replay", path(&file(&directory, "damaged", damaged))]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "3 inputs, 0 terminations\n"), "{ended:?}");
    for said in [
        "line 3: not JSON: ",
        "line 4: this version knows no input \"\\u{1b}[2J\"\n",
        "line 5: longer than 65536 bytes\n",
        "line 7: 8s earlier than what stands before it\n",
        "line 8: cut off",
        "skipped: 1 cut off\n",
        "skipped: 1 too long\n",
        "used though out of order: 1\n",
    ] {
        assert!(ended.err.contains(said), "{said:?} is not in {}", ended.err);
    }
    for (content, said) in [
        (String::new(), "the file is empty"),
        ("hello\n".into(), "line 1: this is no recording"),
        (
            "{\"shutdown_probe_recording\":99,\"version\":\"9.9\"}\n".into(),
            "format 99, written by version \"9.9\"",
        ),
        (format!("{head}rubbish\nmore rubbish\n"), "no line of the recording can be used"),
    ] {
        run(&["replay", path(&file(&directory, "useless", content))]).assert(65, said);
    }
    let many = format!("{head}{clock}{}", "rubbish\n".repeat(100));
    let ended = run(&["replay", path(&file(&directory, "many", many))]);
    assert!(ended.err.contains("and 80 more of such lines") && ended.err.lines().count() < 30, "{ended:?}");
    run(&["replay", path(directory.path())]).assert(65, "Is a directory");
}

#[test]
fn a_recording_replays_to_the_termination_it_holds() {
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/two_unanswered.jsonl");
    let ended = run(&["replay", recording, "--json"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).expect("JSON");
    let termination = &answer["terminations"][0];
    assert_eq!(termination["state"], "complete");
    assert_eq!(termination["cause"], "stop_signal_killed_process");
    assert_eq!(termination["severed_by_evidence"], json!({"unanswered_request": 2, "refused": 1}));
    assert_eq!(answer["terminations"].as_array().map(Vec::len), Some(1));
    let text = run(&["replay", recording]).out;
    assert!(
        text.starts_with("web: severed 3 connections") && text.ends_with(" inputs, 1 terminations\n"),
        "{text}"
    );
}
