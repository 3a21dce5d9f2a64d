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
    let patience = ["--quiet", "--ready-timeout", "3s"];
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
    let key = directory.path().join("key.pem");
    let certificate = directory.path().join("cert.pem");
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x".split(' '));
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().expect("openssl");
    assert!(made.status.success());
    let tls = servers::node("none")
        .with("CERTIFICATE", certificate.to_str().expect("UTF-8"))
        .with("KEY", key.to_str().expect("UTF-8"));
    let other_port = ["--quiet", "--ready-timeout", "2s", "--port", "9"];
    let cases: [(&[&str], Service, &str); 11] = [
        (&patience, Service::new(["true"]), "the service ended after"),
        (&patience, Service::line("echo no database >&2; exit 3"), "no database"),
        (&patience, Service::new(["no-such-program"]), "there is no such program"),
        (&patience, Service::new(["sleep", "99"]), "the service listens on no TCP port"),
        (&patience, script(&udp), "only on UDP port"),
        (&patience, script(&unix), "only on a Unix socket"),
        (&patience, script(&banner), "does not answer HTTP: something else than HTTP"),
        (&patience, script(&background), "it goes into the background"),
        (&patience, tls, "speaks only TLS"),
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

#[test]
fn errors_of_the_service_are_answers() {
    let broken = "import os\nfrom http.server import *\n\
        class H(BaseHTTPRequestHandler):\n protocol_version = 'HTTP/1.1'\n log_message = lambda *a: None\n \
        def do_GET(self): self.send_error(500)\n\
        a = ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H)\n\
        b = ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT']) + 1000), H)\n\
        a.serve_forever()";
    let service = script(broken);
    let ended =
        end(check(&["--runs", "1", "--quiet", "--no-pid-namespace"], &service).spawn().expect("it starts"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("answers with status 500"), "{}", ended.out);
    assert!(ended.out.contains(&format!("checked was port {}", service.port)), "{}", ended.out);
}

#[test]
fn in_a_container_it_says_what_the_container_lacks() {
    let mount = shutdown_probe::probe::Hierarchy::find().expect("cgroup v2").mount().to_owned();
    let node = servers::node("drain");
    let check = check(&["--runs", "1", "--quiet", "--path", "/?ms=200", "--pre-stop", "600ms"], &node);
    let inside = |script: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount", "--mount-proc", "sh", "-ec", script]).arg(&mount);
        unshare
            .arg(check.get_program())
            .args(check.get_args())
            .envs(node.environment())
            .output()
            .expect("unshare(1)")
    };
    let output = inside("exec \"$@\"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = inside("mount -o remount,bind,ro \"$0\"; exec \"$@\"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("in a container it must be writable: docker run"), "{said}");
}
