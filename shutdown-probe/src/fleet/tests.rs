//! The command against a server that answers as Prometheus did (`recorded.json`, of a run of `cargo xtask dashboards`),
//! or as it should not.

use super::*;
use crate::cli::{Cli, Command};
use clap::Parser;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

const RECORDED: &str = include_str!("recorded.json");
/// What the questions for the recorded answers have in them, those that others contain last.
const QUESTIONS: [(&str, &str); 9] = [
    ("severed_connections_total", "severed"),
    ("not_measured_connections_total", "not_measured"),
    ("terminations_total", "terminations"),
    ("lost_records_total", "lost_records"),
    ("probe_status", "probes"),
    ("recommended_pre_stop", "pre_stop"),
    ("up == 0", "down"),
    ("count by (instance)", "twice"),
    ("count(shutdown_probe_build_info)", "daemons"),
];

/// A server for as long as it is kept, and the heads of what it was asked.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer`: from the request's first line, the status line with headers, and the body.
    fn start(answer: impl Fn(&str) -> (String, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let head = head(&stream);
                let (status, body) = answer(&head);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(head);
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                // Whoever asks may have gone.
                let _gone = (&stream).write_all(text.as_bytes());
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What Prometheus said to the question in this line.
fn recorded(line: &str) -> Value {
    let all: Value = serde_json::from_str(RECORDED).expect("JSON");
    let query = percent_encoding::percent_decode_str(line).decode_utf8_lossy().replace('+', " ");
    let name = QUESTIONS.iter().find(|(part, _)| query.contains(part)).map_or("time", |(_, name)| name);
    all[name].clone()
}

fn ok(body: impl ToString) -> (String, String) {
    ("200 OK".into(), body.to_string())
}

fn report_of(arguments: &[&str]) -> Result<String, Failure> {
    let cli =
        Cli::try_parse_from([&["shutdown-probe", "report"], arguments].concat()).expect("a command line");
    let Command::Report(args) = cli.command else { panic!("another command") };
    let mut out = Vec::new();
    report(&args, &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn failure(server: &Server, arguments: &[&str]) -> Failure {
    report_of(&[&["--prometheus", &server.url][..], arguments].concat()).expect_err("a failure")
}

#[test]
fn recorded_answers_come_to_what_the_clients_had_seen() {
    let server = Server::start(|line| ok(recorded(line)));
    let table = report_of(&["--prometheus", &server.url, "--since", "1h"]).expect("a table");
    let row = "exit                                       11      -         -     82%       -\n  \
               exited_without_drain: Wait for the requests in flight before exiting. For\n";
    assert!(table.contains(row), "{table}");
    assert!(
        table.contains("node-drain-late                             3      -         -      0%       -\n")
    );
    assert!(table.contains("\n? No daemon is scraped now"), "{table}");
    assert!(table.lines().all(|line| line.width() <= 80), "{table}");
    let json = report_of(&["--prometheus", &server.url, "--since", "1h", "--json"]).expect("JSON");
    let card: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(card["total"]["severed"], 25);
    assert_eq!(card["workloads"][0]["evidence"], serde_json::json!({"refused": 2, "unanswered_request": 9}));
    let markdown = report_of(&["--prometheus", &server.url, "--output", "markdown"]).expect("Markdown");
    assert!(
        markdown.contains("| sigkill | 4 | - | - | 75% | - | `killed_without_stop_signal` | Stop it with")
    );
}

#[test]
fn path_headers_and_token_are_kept() {
    let server = Server::start(|line| ok(recorded(line)));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "s3cret\n").expect("writable");
    let url = format!("{}/prometheus/", server.url);
    let token = file.to_str().expect("UTF-8");
    let arguments = [
        "--prometheus",
        &url,
        "--prometheus-header",
        "X-Scope-OrgID: team",
        "--prometheus-token-file",
        token,
    ];
    report_of(&arguments).expect("a table");
    let heads = server.heads();
    assert_eq!(heads.len(), 12);
    for head in heads {
        let lower = head.to_lowercase();
        assert!(head.starts_with("GET /prometheus/api/v1/query"), "{head}");
        assert!(lower.contains("x-scope-orgid: team") && head.contains("Bearer s3cret"), "{head}");
    }
}

#[test]
fn whoever_refuses_is_told_of_without_the_secret() {
    let server = Server::start(|_| ("401 Unauthorized".into(), "Bearer s3cret is wrong".into()));
    let failure = failure(&server, &["--prometheus-header", "Authorization: Bearer s3cret"]);
    assert_eq!(failure.exit, Exit::Unavailable);
    let message = failure.to_string();
    assert!(message.contains("refuses (401 Unauthorized)") && !message.contains("s3cret"), "{message}");
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    let server = Server::start(|_| {
        ("302 Found\r\nLocation: https://login.example/x?state=s3cret".into(), String::new())
    });
    let message = failure(&server, &[]).to_string();
    assert!(message.contains("sends to https://login.example/x, where"), "{message}");
    assert!(!message.contains("s3cret") && server.heads().len() == 1);
}

#[test]
fn what_is_no_prometheus_is_said_to_be_none() {
    for body in ["<html>hello</html>", "{}", r#"{"status": "success", "data": {"result": "?"}}"#] {
        let server = Server::start(move |_| ok(body));
        let failure = failure(&server, &[]);
        assert_eq!(failure.exit, Exit::Unavailable);
        assert!(failure.to_string().contains("is no Prometheus"), "{failure}");
    }
}

#[test]
fn its_own_complaints_are_passed_on() {
    let body = r#"{"status": "error", "errorType": "execution", "error": "too many samples"}"#;
    let server = Server::start(move |_| ("422 Unprocessable Entity".into(), body.into()));
    let message = failure(&server, &[]).to_string();
    assert!(
        message.ends_with("cannot answer: too many samples; ask for less: --since, --namespace, --workload")
    );
}

#[test]
fn warnings_of_half_an_answer_are_shown() {
    let server = Server::start(|line| {
        let mut answer = recorded(line);
        answer["warnings"] = serde_json::json!(["store \u{1b}[31m is away"]);
        ok(answer)
    });
    let table = report_of(&["--prometheus", &server.url]).expect("a table");
    assert_eq!(table.matches("? Prometheus warns: store \\x1b[31m is away").count(), 1, "{table}");
}

#[test]
fn a_prometheus_without_our_series_says_what_to_look_at() {
    let empty = r#"{"status": "success", "data": {"resultType": "vector", "result": []}}"#;
    let server =
        Server::start(move |line| if line.contains("query=time") { ok(recorded(line)) } else { ok(empty) });
    let failure = failure(&server, &[]);
    assert_eq!(failure.exit, Exit::NoInput);
    assert!(failure.to_string().contains("PodMonitor"), "{failure}");
}

#[test]
fn silence_has_an_end() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let client = Client::new(&url, Vec::new(), Duration::from_millis(300)).expect("a URL");
    let failure = client.now().expect_err("nobody answers");
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.to_string().contains("has not answered within 0.3 s"), "{failure}");
    drop(silent);
    let failure = client.now().expect_err("nobody is there");
    assert!(failure.to_string().contains("cannot be reached"), "{failure}");
}

#[test]
fn a_url_is_a_place_and_no_secret() {
    for (url, said) in [
        ("prometheus:9090", "is no http:// or https:// URL"),
        ("http://", "is no http:// or https:// URL"),
        ("http://user:s3cret@prometheus", "has a user and a password in it"),
        ("http://prometheus/?query=up", "has a query"),
    ] {
        let Err(failure) = Client::new(url, Vec::new(), PATIENCE) else { panic!("{url}") };
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains(said) && !failure.to_string().contains("s3cret"), "{failure}");
    }
    let client = Client::new("https://mimir/prometheus/api/v1/", Vec::new(), PATIENCE).expect("a URL");
    assert_eq!(client.base(), "https://mimir/prometheus");
}

#[test]
fn the_window_ends_by_the_clock_of_prometheus() {
    assert_eq!(window(None, 1000).expect("a week"), WEEK);
    assert_eq!(window(Some("1970-01-01T00:10:00Z"), 1000).expect("since"), 400);
    for wrong in ["1970-01-01T01:00:00Z", "0s", "yesterday"] {
        assert_eq!(window(Some(wrong), 1000).expect_err(wrong).exit, Exit::Usage);
    }
}
