//! The HTTP server against real sockets: what it answers, and that no client can keep it from answering others.

use serde_json::Value;
use shutdown_probe::admin::{self, Limits, ProbeStatus, Readiness, Shared, Stage};
use shutdown_probe::exit::Exit;
use shutdown_probe::output::metrics::Metrics;
use shutdown_probe::output::store::Store;
use shutdown_probe_core::report::Termination;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    address: SocketAddr,
    shared: Shared,
    stop: CancellationToken,
    task: JoinHandle<()>,
    runtime: Runtime,
}

/// Small, so that tests reach them soon.
fn limits() -> Limits {
    Limits {
        connections: 4,
        head_bytes: 8 << 10,
        head_time: Duration::from_millis(400),
        write_time: Duration::from_millis(400),
        stop_time: Duration::from_millis(800),
    }
}

impl Server {
    fn start() -> Self {
        let shared = Shared {
            store: Arc::new(Store::new(100)),
            metrics: Arc::new(Metrics::new(&[15], Duration::from_secs(60)).expect("a sound table")),
            readiness: Arc::new(Readiness::default()),
        };
        let listener = admin::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let stop = CancellationToken::new();
        let serving = admin::serve(listener, admin::router(shared.clone()), limits(), stop.clone());
        let task = runtime.spawn(async { serving.await.expect("it serves") });
        Self { address, shared, stop, task, runtime }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends bytes, and reads until the server closes.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        read_to_end(&mut stream)
    }

    /// Status and body of a GET.
    fn get(&self, path: &str) -> (u16, String) {
        let text = self.say(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    fn json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    fn assert_answers(&self) {
        assert_eq!(self.get("/livez"), (200, "alive\n".into()));
    }
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => bytes.extend(&buffer[..length]),
            // It closed while we were still sending.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server holds the connection: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn termination(id: &str, began_at: f64, cgroup: &str) -> Termination {
    let json = serde_json::json!({
        "id": id, "state": "complete", "began_at": began_at, "trigger": "container_stopped", "cause": "clean",
        "container": {"cgroup": cgroup, "id": "", "name": "<script>alert(1)</script>\u{1b}[2J", "image": "",
            "pod": {"namespace": "shop", "name": "web-1", "uid": "u"},
            "workload": {"kind": "Deployment", "name": "web"}},
        "other_causes": [], "summary": "", "advice": [], "stop_signal": null, "kill_signal": null, "exit": null,
        "grace": {"allowed_seconds": null, "used_seconds": null, "exceeded": false},
        "severed_total": 0, "severed_by_evidence": {}, "retry_unsafe_total": 0, "severed": [], "drained_total": 0,
        "connections_by_fate": {}, "outbound_unanswered_total": 0, "late_connections_total": 0,
        "last_late_connection_after_seconds": null, "timeline": [], "recommendation": null,
        "measured": {"complete": true, "lost_records": 0, "not_measured_connections": 0, "reasons": []}
    });
    serde_json::from_value(json).expect("a termination")
}

fn ids(answer: &Value) -> Vec<&str> {
    let list = answer["terminations"].as_array().expect("a list");
    list.iter().map(|termination| termination["id"].as_str().expect("an id")).collect()
}

#[test]
fn it_is_ready_once_it_observes_and_says_why_not() {
    let server = Server::start();
    assert_eq!(server.get("/readyz"), (503, "not ready: the probes are being attached\n".into()));
    assert_eq!(server.json("/probes").1["stage"], "attaching");
    let probe = ProbeStatus {
        probe: "reset_sent".into(),
        verdict: "unsupported".into(),
        reason: Some("this kernel has no tracepoint tcp_send_reset".into()),
        fates_lost: vec!["refused".into()],
    };
    server.shared.readiness.enter(Stage::Observing([probe].into()));
    assert_eq!(server.get("/readyz"), (200, "ready\n".into()));
    let (status, probes) = server.json("/probes");
    assert_eq!((status, &probes["stage"]), (200, &Value::from("observing")));
    assert_eq!(probes["probes"][0]["verdict"], "unsupported");
    assert_eq!(probes["probes"][0]["fates_lost"][0], "refused");
    server.shared.readiness.enter(Stage::Stopping);
    assert_eq!(server.get("/readyz").0, 503);
    server.assert_answers();
}

#[test]
fn terminations_come_newest_first_and_filtered() {
    let server = Server::start();
    assert_eq!(server.json("/api/v1/terminations"), (200, serde_json::json!({"terminations": []})));
    let now = jiff::Timestamp::now().as_second() as f64;
    server.shared.store.put(termination("old", now - 7200.0, "/a/one"));
    server.shared.store.put(termination("new", now - 60.0, "/a/two"));
    server.shared.store.put(termination("mid", now - 600.0, "/b/one"));
    for (query, expected) in [
        ("", vec!["new", "mid", "old"]),
        ("?limit=1", vec!["new"]),
        ("?cgroup=/a", vec!["new", "old"]),
        ("?cgroup=/a/one", vec!["old"]),
        ("?since=15m", vec!["new", "mid"]),
        ("?namespace=shop&pod=web-1&workload=web", vec!["new", "mid", "old"]),
        ("?namespace=other", vec![]),
        ("?since=2000-01-01T00%3A00%3A00Z&limit=1000", vec!["new", "mid", "old"]),
    ] {
        let (status, answer) = server.json(&format!("/api/v1/terminations{query}"));
        assert_eq!((status, ids(&answer)), (200, expected), "{query}");
    }
    let (status, one) = server.json("/api/v1/terminations/mid");
    assert_eq!((status, &one["container"]["cgroup"]), (200, &Value::from("/b/one")));
}

#[test]
fn bad_questions_are_told_what_is_wrong() {
    let server = Server::start();
    for (path, status, said) in [
        ("/api/v1/terminations?limit=0", 400, "limit 0 is not between 1 and 1000"),
        ("/api/v1/terminations?limit=many", 400, "invalid digit"),
        ("/api/v1/terminations?limit=-1", 400, "invalid digit"),
        ("/api/v1/terminations?since=yesterday", 400, "neither a date"),
        ("/api/v1/terminations?colour=red", 400, "unknown field `colour`"),
        ("/api/v1/terminations?limit=1&limit=2", 400, "duplicate field"),
        ("/api/v1/terminations/none", 404, "there is no termination"),
        ("/api/v1/terminations/%1b%5b2J", 404, "\\u{1b}[2J"),
        ("/api/v1/terminations/..%2f..%2fetc%2fpasswd", 404, "there is no termination"),
        ("/nothing", 404, "there is nothing at"),
    ] {
        let (found, answer) = server.json(path);
        assert_eq!(found, status, "{path}");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains(said), "{path} says {error:?}");
    }
    let posted =
        server.say(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD"), "{posted}");
    server.assert_answers();
}

#[test]
fn untrusted_text_cannot_leave_its_place() {
    let server = Server::start();
    server.shared.store.put(termination("x", 1.0, "/a"));
    let (_, body) = server.get("/api/v1/terminations");
    assert!(body.contains("\\u001b[2J") && !body.contains('\u{1b}'), "JSON escapes control characters");
    let head = server.say(b"GET /api/v1/terminations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains("content-type: application/json"), "{head}");
    let page = server.say(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(page.contains("default-src 'none'") && page.contains("nosniff") && !page.contains("<script"));
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let server = Server::start();
    server.shared.store.put(termination("x", 1.0, "/a"));
    let text = server.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{text}");
    assert!(text.contains("\nshutdown_probe_terminations_kept 1\n"), "{text}");
}

#[test]
fn rubbish_is_refused_and_others_are_answered() {
    let server = Server::start();
    let long_line = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    let long_head = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let many_heads = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5_000));
    let requests: [&[u8]; 12] = [
        b"\0\x01\x02\xff\xfe\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x1b[2J HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked, x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon here\r\n\r\n",
        long_line.as_bytes(),
        long_head.as_bytes(),
        many_heads.as_bytes(),
    ];
    for request in requests {
        let answer = server.say(request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown:?} got {answer:?}");
        server.assert_answers();
    }
}

#[test]
fn a_body_that_nobody_asked_for_is_not_awaited() {
    let server = Server::start();
    let mut stream = server.connect();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nfirst bytes")
        .expect("sent");
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    server.assert_answers();
}

#[test]
fn slow_clients_lose_their_place() {
    let server = Server::start();
    // As many as there is room for: each sends a byte now and then, and never a whole request.
    let slow: Vec<_> = (0..limits().connections)
        .map(|_| {
            let mut stream = server.connect();
            thread::spawn(move || {
                let begun = Instant::now();
                while stream.write_all(b"G").is_ok() {
                    assert!(begun.elapsed() < PATIENCE, "the server never gave up on a slow client");
                    thread::sleep(Duration::from_millis(50));
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    // This one waits in the kernel's queue until they are gone.
    server.assert_answers();
    for client in slow {
        client.join().expect("the server closed it");
    }
}

#[test]
fn a_client_that_does_not_read_loses_its_place() {
    let server = Server::start();
    // Far more than the buffers between us hold.
    for n in 0..100 {
        let mut large = termination(&n.to_string(), 1.0, "/a");
        large.summary = "x".repeat(500_000);
        server.shared.store.put(large);
    }
    let deaf: Vec<_> = (0..limits().connections)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /api/v1/terminations HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    server.assert_answers();
    drop(deaf);
}

#[test]
fn stopping_finishes_answers_and_waits_for_nobody_else() {
    let server = Server::start();
    let mut idle = server.connect();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut buffer = [0; 512];
    assert!(idle.read(&mut buffer).expect("an answer") > 0);
    let mut half = server.connect();
    half.write_all(b"GET /livez HTT").expect("sent");
    thread::sleep(Duration::from_millis(50));

    let begun = Instant::now();
    server.stop.cancel();
    server.runtime.block_on(server.task).expect("it ends well");
    assert!(begun.elapsed() < limits().stop_time * 2, "it took {:?}", begun.elapsed());
    assert_eq!(read_to_end(&mut idle), "");
    let refused = TcpStream::connect(server.address).expect_err("it listens no more");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_that_cannot_be_had_is_said() {
    let taken = Server::start();
    let failure = admin::bind(taken.address).expect_err("it is taken");
    assert_eq!(failure.exit, Exit::PortBusy);
    assert!(failure.to_string().contains("another process listens there"), "{failure}");
    let foreign = "192.0.2.1:9464".parse().expect("an address");
    let failure = admin::bind(foreign).expect_err("it is a documentation address");
    assert_eq!(failure.exit, Exit::PortBusy);
    assert!(failure.to_string().contains("no interface of this machine"), "{failure}");
}
