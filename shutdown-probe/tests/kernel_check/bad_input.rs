//! What cannot be measured: one clear sentence, exit code 2, and nothing left running.

use crate::gate::{Service, check, end};
use crate::servers;
use std::process::Command;

/// A server of a few lines, in Python.
fn script(text: &str) -> Service {
    Service::new(["python3", "-c", text])
}

#[test]
fn each_gets_a_clear_sentence() {
    let patience = ["--quiet", "--ready-timeout", "7s"];
    let endless = "import os, socket, time\nport = int(os.environ['PORT'])\n";
    let udp = format!(
        "{endless}s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', port)); time.sleep(99)"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.sock");
    let unix =
        format!("{endless}s = socket.socket(socket.AF_UNIX); s.bind({path:?}); s.listen(); time.sleep(99)");
    let banner = format!(
        "{endless}s = socket.create_server(('127.0.0.1', port))\n\
         while True:\n c = s.accept()[0]; c.recv(99); c.send(b'220 smtp\\r\\n'); c.close()"
    );
    let background = format!(
        "{endless}s = socket.create_server(('127.0.0.1', port))\n\
         if os.fork() == 0: time.sleep(99)\n\
         time.sleep(0.3)"
    );
    let tls = servers::node_tls("none", directory.path());
    let other_port = ["--quiet", "--ready-timeout", "2s", "--port", "9"];
    let cases: [(&[&str], Service, &str); 14] = [
        (&patience, Service::new(["true"]), "the service ended after"),
        (&patience, Service::line("echo no database >&2; exit 3"), "no database"),
        (&patience, Service::new(["no-such-program"]), "there is no such program"),
        (&patience, Service::new(["sleep", "99"]), "the service listens on no TCP port"),
        (&patience, script(&udp), "only on UDP port"),
        (&patience, script(&unix), "only on a Unix socket"),
        (&patience, script(&banner), "does not answer HTTP: something else than HTTP"),
        (&patience, script(&background), "it goes into the background"),
        (&patience, tls, "speaks only TLS"),
        (&["--quiet"], servers::node_http2(), "speaks only HTTP/2"),
        (&["--quiet"], two_ports(500, 503), "answers only with errors of its own"),
        (&["--quiet", "--load-command", "sleep 99"], servers::node("none"), "made no connection to"),
        (&other_port, servers::node("none"), "nothing listens on port 9"),
        (&["--grace", "1s", "--pre-stop", "2s"], Service::new(["true"]), "--pre-stop 2s must be shorter"),
    ];
    let start = |(arguments, service, _): &(&[&str], Service, &str)| check(arguments, service).spawn();
    let started: Vec<_> = cases.iter().map(|case| start(case).expect("it starts")).collect();
    for (child, (_, _, said)) in started.into_iter().zip(&cases) {
        end(child).assert_not_measured(said);
    }
}

#[test]
fn what_is_typed_wrong_is_no_measurement() {
    for arguments in [&["--frobnicate"][..], &["--signal", "KILL"], &["--requests-in-flight", "0"]] {
        let ended = end(check(arguments, &Service::new(["true"])).spawn().expect("it starts"));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.starts_with("error: "), "{ended:?}");
    }
}

#[test]
fn without_privileges_the_missing_ones_are_named() {
    let mut unprivileged = Command::new("setpriv");
    let check = check(&[], &Service::new(["true"]));
    unprivileged
        .args(["--reuid", "65534", "--clear-groups", "--inh-caps=-all", "--"])
        .arg(check.get_program());
    let output = unprivileged.args(check.get_args()).output().expect("setpriv(1)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("CAP_SYS_ADMIN") && said.contains("--cap-add BPF"), "{said}");
}

/// `check` of a service of Python's, two ports in one process, each with its status.
fn two_ports(first: u16, second: u16) -> Service {
    script(&format!(
        "import os, threading\nfrom http.server import *\n\
         def serve(port, status):\n \
          class H(BaseHTTPRequestHandler):\n  protocol_version = 'HTTP/1.1'\n  log_message = lambda *a: None\n  \
           def do_GET(self): self.send_response(status); self.send_header('Content-Length', '0'); self.end_headers()\n \
          server = ThreadingHTTPServer(('127.0.0.1', port), H)\n \
          threading.Thread(target=server.serve_forever).start()\n\
         port = int(os.environ['PORT'])\n\
         serve(port, {first})\nserve(port + 1000, {second})"
    ))
}

#[test]
fn which_port_is_meant_is_asked_where_it_cannot_be_told() {
    let (alike, broken) = (two_ports(200, 200), two_ports(404, 500));
    let once = ["--runs", "1", "--quiet", "--no-pid-namespace"];
    let port = alike.port.to_string();
    let asked = check(&once, &alike).spawn().expect("it starts");
    let only_one = check(&once, &broken).spawn().expect("it starts");
    end(asked).assert_not_measured(&format!("say which one serves clients, as in --port {port}"));
    let ended = end(only_one);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("answers with status 404"), "{}", ended.out);
    assert!(ended.out.contains(&format!("checked was port {}", broken.port)), "{}", ended.out);
    let told = end(check(&[&once[..], &["--port", &port]].concat(), &alike).spawn().expect("it starts"));
    assert_eq!(told.code, Some(1), "{told:?}");
}
