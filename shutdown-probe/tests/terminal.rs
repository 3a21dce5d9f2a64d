//! The real binary on a terminal and beside it: colours, pipes that close, Ctrl-C, and what shells are given.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

const BINARY: &str = env!("CARGO_BIN_EXE_shutdown-probe");

/// The program, with an environment that says nothing of colours.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).stdin(Stdio::null()).env("TERM", "xterm-256color");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "SHUTDOWN_PROBE_SERVER"] {
        command.env_remove(name);
    }
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A termination as a daemon tells it, from the recording that the tests have.
fn termination() -> Value {
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/two_unanswered.jsonl");
    let replayed = program(&["replay", recording, "--json"]).output().expect("it starts");
    let answer: Value = serde_json::from_slice(&replayed.stdout).expect("JSON");
    answer["terminations"][0].clone()
}

/// A daemon that has one termination, and what follows it from the second question on.
fn daemon(first: Value, later: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            let body = if number == 0 { &first } else { &later }.to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            // Whoever watched may be gone.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    url
}

fn terminations(all: &[&Value]) -> Value {
    json!({ "terminations": all })
}

/// Runs it with standard output on a terminal of its own, and gives what that showed.
fn on_a_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let words: Vec<_> = [BINARY].iter().chain(arguments).map(|word| format!("'{word}'")).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    script.stdin(Stdio::null()).env("TERM", "xterm-256color");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        script.env_remove(name);
    }
    let shown = script.envs(environment.iter().copied()).output().expect("script(1) of util-linux");
    assert!(shown.status.success(), "{shown:?}");
    text(&shown)
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let url = daemon(terminations(&[&termination()]), terminations(&[&termination()]));
    let report = ["report", "--server", &url];
    let coloured = |text: &str| text.contains("\x1b[1;31m");
    assert!(coloured(&on_a_terminal(&report, &[])));
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let shown = on_a_terminal(&report, &[environment]);
        assert!(!shown.contains('\x1b') && shown.contains("SEVERED"), "{environment:?}: {shown:?}");
    }
    assert!(!on_a_terminal(&[&report[..], &["--color", "never"]].concat(), &[]).contains('\x1b'));
    let piped = text(&program(&report).output().expect("it starts"));
    assert!(!piped.contains('\x1b') && piped.contains("SEVERED"), "{piped:?}");
    let forced = program(&report).args(["--color", "always"]).output().expect("it starts");
    assert!(coloured(&text(&forced)));
    let json = program(&report).args(["--color", "always", "--json"]).output().expect("it starts");
    assert!(serde_json::from_slice::<Value>(&json.stdout).is_ok(), "{json:?}");
}

/// A watch whose standard output is a pipe.
fn watch(url: &str) -> Child {
    let mut watch = program(&["watch", "--server", url]);
    watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn a_watch_tells_what_is_new_and_ends_with_0_at_ctrl_c() {
    let (old, mut new) = (termination(), termination());
    new["id"] = json!("another");
    new["container"]["name"] = json!("later");
    let url = daemon(terminations(&[&old]), terminations(&[&new, &old]));
    let mut watch = watch(&url);
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("UTF-8");
    assert!(first.contains(" later: SIGTERM "), "what was over before is not told: {first}");
    let pid = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let ended = watch.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn a_watch_that_nobody_reads_ends_by_itself_and_complains_of_nothing() {
    let url = daemon(terminations(&[]), terminations(&[]));
    let mut watch = watch(&url);
    drop(watch.stdout.take());
    let ended = watch.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "watching; Ctrl-C ends it\n");
}

#[test]
fn bash_completes_commands_and_options() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("completions");
    let generated = program(&["generate", "completions", "bash"]).output().expect("it starts");
    fs::write(&file, generated.stdout).expect("writable");
    let complete = |words: &str, current: &str| {
        let ask = format!(
            "source '{}'; COMP_WORDS=(shutdown-probe {words} {current}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $(complete -p shutdown-probe | sed 's/.*-F \\([^ ]*\\).*/\\1/') shutdown-probe '{current}' ''; \
             echo \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let asked = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash");
        assert!(asked.status.success() && asked.stderr.is_empty(), "{asked:?}");
        text(&asked).trim().to_owned()
    };
    assert_eq!(complete("", "repl"), "replay");
    assert_eq!(complete("report", "--work"), "--workload");
    assert_eq!(complete("generate completions", "zs"), "zsh");
}

#[test]
fn each_command_has_its_manual_page() {
    for command in ["report", "watch", "check", "run"] {
        let page = text(&program(&["generate", "man", command]).output().expect("it starts"));
        assert!(page.contains(&format!(".TH shutdown-probe-{command} 1 ")), "{page}");
        assert!(page.contains(".SH OPTIONS") && page.contains("Examples:"), "{page}");
    }
    let help = text(&program(&["--help"]).output().expect("it starts"));
    assert!(help.contains("generate completions bash"), "who looks for completions finds them: {help}");
}
