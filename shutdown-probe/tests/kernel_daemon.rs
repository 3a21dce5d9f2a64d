//! The real binary on the running kernel, as root: `cargo test --features kernel-tests`.

use serde_json::Value;
use shutdown_probe::probe::Hierarchy;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_shutdown-probe");
/// Longer than any machine needs; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// A name that clears a terminal that obeys it, and forges a line of its own.
const HOSTILE: &str = "\u{1b}[2J\nroot";

/// Waits for it.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "{what} never came");
        sleep(Duration::from_millis(20));
    }
}

/// A cgroup of this test's own.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let mount = Hierarchy::find().expect("cgroup v2").mount().to_owned();
        Self::at(mount.join(format!("shutdown-probe-{name}-{}", std::process::id())))
    }

    fn at(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("the test runs as root");
        Self(path)
    }

    fn child(&self, name: &str) -> Self {
        Self::at(self.0.join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let until = Instant::now() + PATIENCE;
        // Its last process may still be on its way out.
        while fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            sleep(Duration::from_millis(10));
        }
    }
}

/// The program, running.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    let _ = sender.send(String::from_utf8_lossy(&line).into_owned() + "\n");
                }
            });
        }
        Self { child, lines, said: String::new() }
    }

    /// All that it has said so far, on either stream.
    fn said(&mut self) -> &str {
        self.said.extend(self.lines.try_iter());
        &self.said
    }

    fn wait_until_it_says(&mut self, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while !self.said().contains(what) {
            assert!(
                Instant::now() < until && self.is_running(),
                "{what:?} was never said in\n{}",
                self.said()
            );
            sleep(Duration::from_millis(20));
        }
        self.said.clone()
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Its exit code, and all that it said.
    fn end(mut self) -> (i32, String) {
        let status = wait_for("the end", || self.child.try_wait().expect("a child"));
        // Both streams are at their end once their threads are gone.
        self.said.extend(self.lines.iter());
        (code(status), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("ended by {status}"))
}

/// A daemon that observes.
struct Daemon {
    running: Running,
    address: String,
}

impl Daemon {
    fn start(watched: &Cgroup, more: &[&str]) -> Self {
        let mut arguments = vec!["run", "--standalone", "--watch-cgroup", watched.path()];
        arguments.extend(["--listen", "127.0.0.1:0", "--linger", "500ms", "--log-format", "json"]);
        arguments.extend(more);
        let mut running = Running::start(&arguments);
        let said = running.wait_until_it_says("\"observing\"");
        let started = said.lines().find(|line| line.contains("\"starting\"")).expect("the first line");
        let started: Value = serde_json::from_str(started).expect("JSON");
        let address = started["listen"].as_str().expect("an address").to_owned();
        Self { running, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn terminations(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/terminations");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        answer["terminations"].as_array().expect("a list").clone()
    }

    fn complete(&self) -> Value {
        wait_for("a complete termination", || {
            self.terminations().into_iter().find(|termination| termination["state"] == "complete")
        })
    }

    /// The value of the only series of which the line contains all this.
    fn metric(&self, parts: &[&str]) -> Option<f64> {
        let text = self.get("/metrics");
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let mut found = series.filter(|line| parts.iter().all(|part| line.contains(part)));
        found.next().and_then(|line| line.rsplit(' ').next()?.parse().ok())
    }
}

/// Runs a command of the program to its end.
fn run(arguments: &[&str]) -> (i32, String) {
    Running::start(arguments).end()
}

/// A process in the container that has read a request and will never answer it: cat(1) under a hostile name.
fn unanswering(container: &Cgroup, directory: &TempDir) -> (Child, TcpStream) {
    unanswering_after("true", container, directory)
}

/// The same, where this line of a shell was run before.
fn unanswering_after(line: &str, container: &Cgroup, directory: &TempDir) -> (Child, TcpStream) {
    let name = directory.path().join(HOSTILE);
    let _ = symlink("/bin/cat", &name);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (server, _) = listener.accept().expect("a client");
    let mut child = Command::new("sh")
        .args(["-c", &format!("{line}; echo $$ > \"$0/cgroup.procs\" && exec \"$1\""), container.path()])
        .arg(&name)
        .stdin(OwnedFd::from(server))
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh(1)");
    let comm = format!("/proc/{}/comm", child.id());
    wait_for("the server", || fs::read_to_string(&comm).ok()?.starts_with(HOSTILE).then_some(()));
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(request).expect("sent");
    // What it repeats, it has read.
    let mut repeated = vec![0; request.len()];
    child.stdout.as_mut().expect("piped").read_exact(&mut repeated).expect("the read");
    (child, client)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill(1)").success());
}

fn stop(mut child: Child) {
    signal(&child, "TERM");
    child.wait().expect("a child");
}

fn assert_harmless(text: &str) {
    assert!(!text.contains('\u{1b}'), "a terminal would obey this:\n{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("root")), "a forged line:\n{text}");
}

#[test]
fn a_termination_is_told_everywhere_and_hostile_names_harm_nowhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("recording.jsonl");
    let recording = recording.to_str().expect("UTF-8");
    let watched = Cgroup::new("told");
    let mut daemon = Daemon::start(&watched, &[]);
    let common = ["--watch-cgroup", watched.path(), "--linger", "500ms"];
    let mut watch = Running::start(&[&["watch"][..], &common].concat());
    let record = Running::start(&[&["record", recording][..], &common].concat());
    let mut asking = Running::start(&["watch", "--server", &daemon.url()]);
    watch.wait_until_it_says("watching");
    // Neither says when its probes are attached: the recording has its first inputs then.
    wait_for("the recording", || fs::read_to_string(recording).ok()?.contains("\"clock\"").then_some(()));
    sleep(Duration::from_secs(1));

    let container = watched.child("web");
    let (server, client) = unanswering(&container, &directory);
    stop(server);
    let termination = daemon.complete();
    assert_eq!(
        termination["severed_by_evidence"],
        serde_json::json!({"unanswered_request": 1}),
        "{termination}"
    );
    assert_eq!(termination["cause"], "stop_signal_killed_process");
    assert_eq!(termination["measured"]["complete"], true, "{termination}");
    let of_web = ["severed_connections_total{", "container=\"web\"", "unanswered_request\""];
    let of_cause = [&of_web[..], &["stop_signal_killed_process"]].concat();
    assert_eq!(daemon.metric(&of_cause), Some(1.0));
    assert_eq!(daemon.metric(&["probe_status{probe=\"read\",verdict=\"attached\"}"]), Some(1.0));

    let id = termination["id"].as_str().expect("an id");
    let (status, table) = run(&["report", "--server", &daemon.url()]);
    assert!(status == 0 && table.contains("stop_signal_killed_process"), "{table}");
    let (status, story) = run(&["report", id, "--server", &daemon.url()]);
    assert!(status == 0 && story.contains("unanswered_request") && story.contains("[2J"), "{story}");
    assert_eq!(run(&["report", "no-such-id", "--server", &daemon.url()]).0, 66);

    for running in [&mut watch, &mut asking] {
        running.wait_until_it_says("over (stop_signal_killed_process)");
    }
    let mut told = vec![table, story, daemon.running.said().to_owned()];
    for running in [watch, record] {
        running.signal("INT");
        let (status, said) = running.end();
        assert_eq!(status, 0, "{said}");
        told.push(said);
    }
    assert!(told[4].contains("inputs recorded in"), "{}", told[4]);
    daemon.running.signal("TERM");
    let (status, said) = daemon.running.end();
    assert_eq!(status, 0, "{said}");
    told.push(said);
    let (status, said) = asking.end();
    assert_eq!(status, 69, "it loses its daemon: {said}");
    told.push(said);
    let (status, replayed) = run(&["replay", recording]);
    assert!(status == 0 && replayed.contains("severed 1 connection"), "{replayed}");
    told.push(replayed);
    told.iter().for_each(|text| assert_harmless(text));
    drop(client);
}

#[test]
fn what_the_ring_had_no_room_for_is_counted_and_said() {
    const SERVERS: u64 = 100;
    let directory = tempfile::tempdir().expect("a directory");
    let watched = Cgroup::new("lost");
    let daemon = Daemon::start(&watched, &["--ring-bytes", "4KiB"]);
    let container = watched.child("web");
    let servers: Vec<_> = (0..SERVERS).map(|_| unanswering(&container, &directory)).collect();
    fs::write(container.0.join("cgroup.kill"), "1").expect("a cgroup that can be killed");
    let termination = daemon.complete();
    assert_eq!(termination["severed_by_evidence"]["unanswered_request"], SERVERS, "{termination}");
    assert_eq!(termination["measured"]["complete"], false, "{}", termination["measured"]);
    assert!(termination["measured"]["lost_records"].as_u64() > Some(0), "{}", termination["measured"]);
    let severed = ["severed_connections_total{", "container=\"web\"", "unanswered_request", "killed_without"];
    assert_eq!(daemon.metric(&severed), Some(SERVERS as f64));
    wait_for("the count of losses", || {
        daemon.metric(&["lost_records_total{where=\"ring\"}"]).filter(|lost| *lost > 0.0)
    });
    for (mut server, _) in servers {
        server.wait().expect("a child");
    }
}

#[test]
fn no_thread_keeps_privileges() {
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("recording.jsonl");
    let watched = Cgroup::new("privileges");
    let daemon = Daemon::start(&watched, &["--record", recording.to_str().expect("UTF-8")]);
    assert!(daemon.get("/readyz").starts_with("HTTP/1.0 200 "));
    let tasks = format!("/proc/{}/task", daemon.running.child.id());
    let mut threads = Vec::new();
    for task in fs::read_dir(tasks).expect("it runs").flatten() {
        let status = fs::read_to_string(task.path().join("status")).expect("it runs");
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("no {key} in {status}")).trim().to_owned()
        };
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(value(set), "0000000000000000", "{set} of thread {}", value("Name"));
        }
        assert_eq!(value("NoNewPrivs"), "1", "of thread {}", value("Name"));
        threads.push(value("Name"));
    }
    assert!(threads.len() >= 3 && threads.contains(&"recording".to_owned()), "{threads:?}");
    // And without them it still reads its maps and narrates as it is told.
    let container = watched.child("web");
    let (server, _client) = unanswering(&container, &directory);
    stop(server);
    assert_eq!(daemon.complete()["severed_total"], 1);
}

/// A disk of a few pages.
struct TinyDisk(TempDir);

impl TinyDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(directory.path());
        assert!(mount.status().expect("mount(8)").success());
        Self(directory)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("recording.jsonl")
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Makes and removes containers until it is enough: each is an input or two.
fn make_noise(watched: &Cgroup, mut is_enough: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_enough() {
        assert!(Instant::now() < until, "the disk never was full");
        for n in 0..50 {
            drop(watched.child(&format!("noise-{n}")));
        }
    }
}

fn usable_lines(file: &Path) -> usize {
    let text = fs::read_to_string(file).expect("readable");
    text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count()
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_daemon() {
    let disk = TinyDisk::new();
    let file = disk.file();
    let watched = Cgroup::new("full");
    let mut daemon = Daemon::start(&watched, &["--record", file.to_str().expect("UTF-8")]);
    assert_eq!(daemon.metric(&["recording_errors_total "]), Some(0.0));
    make_noise(&watched, || daemon.metric(&["recording_errors_total "]) == Some(1.0));
    let said = daemon.running.wait_until_it_says("No space left on device");
    assert!(said.contains("ends after"), "{said}");
    assert!(daemon.get("/readyz").starts_with("HTTP/1.0 200 "));
    assert!(daemon.metric(&["lost_records_total{where=\"recording\"}"]).is_some());
    assert_eq!(daemon.metric(&["lost_records_total{where=\"ring\"}"]), Some(0.0));
    daemon.running.signal("TERM");
    assert_eq!(daemon.running.end().0, 0);
    assert!(usable_lines(&file) > 10);
}

#[test]
fn a_full_disk_ends_record_with_73_and_the_count() {
    let disk = TinyDisk::new();
    let file = disk.file();
    let watched = Cgroup::new("record");
    let mut record =
        Running::start(&["record", file.to_str().expect("UTF-8"), "--watch-cgroup", watched.path()]);
    make_noise(&watched, || !record.is_running());
    let (status, said) = record.end();
    assert_eq!(status, 73, "{said}");
    assert!(said.contains("ends after") && said.contains("No space left on device"), "{said}");
    // What did fit can be replayed; the line that was cut off is named.
    let (status, replayed) = run(&["replay", file.to_str().expect("UTF-8")]);
    assert_eq!(status, 0, "{replayed}");
}

#[test]
fn record_ends_after_its_duration() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("recording.jsonl");
    let watched = Cgroup::new("duration");
    let arguments = ["record", file.to_str().expect("UTF-8"), "--duration", "500ms"];
    let (status, said) = run(&[&arguments[..], &["--watch-cgroup", watched.path()]].concat());
    assert!(status == 0 && said.contains("inputs recorded in"), "{status}: {said}");
    assert!(usable_lines(&file) >= 2);
}

/// Runs the program where an empty directory hides a path of the host.
fn run_without(path: &str, arguments: &[&str]) -> (i32, String) {
    let mut hidden = Command::new("unshare");
    hidden
        .args(["--mount", "sh", "-c", "mount -t tmpfs none \"$0\" && exec \"$@\"", path, BINARY])
        .args(arguments);
    let output = hidden.output().expect("unshare(1)");
    let said = [output.stdout, output.stderr].concat();
    (code(output.status), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_kernel_that_does_not_describe_itself_ends_with_71() {
    let run = ["run", "--standalone", "--listen", "127.0.0.1:0"];
    let (status, said) = run_without("/sys/kernel/btf", &run);
    assert_eq!(status, 71, "{said}");
    assert!(said.contains("no /sys/kernel/btf/vmlinux") && said.contains("doctor"), "{said}");
    let (status, said) = run_without("/sys/kernel/btf", &["doctor"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("no   BTF ") && said.contains("CONFIG_DEBUG_INFO_BTF"), "{said}");
}

#[test]
fn doctor_says_yes_where_the_probes_attach() {
    let (status, said) = run(&["doctor", "--json"]);
    assert_eq!(status, 0, "{said}");
    let diagnosis: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(diagnosis["would_work"], true);
    let checks = diagnosis["checks"].as_array().expect("checks");
    let attachment = checks.iter().find(|check| check["name"] == "attachment").expect("the last check");
    assert_ne!(attachment["answer"], "could_not_tell", "{attachment}");
}

#[test]
fn a_stop_during_the_attachment_is_obeyed() {
    let watched = Cgroup::new("early");
    let arguments = ["run", "--standalone", "--listen", "127.0.0.1:0", "--watch-cgroup", watched.path()];
    let mut daemon = Running::start(&arguments);
    daemon.wait_until_it_says("starting");
    daemon.signal("TERM");
    let status = wait_for("the end", || daemon.child.try_wait().expect("a child"));
    // Either it was caught already, or it came before anything was attached.
    assert!(status.success() || status.code().is_none(), "{status}");
}

#[test]
fn a_container_that_ends_together_with_the_daemon_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let watched = Cgroup::new("farewell");
    let mut daemon = Daemon::start(&watched, &["--journal=true"]);
    let container = watched.child("web");
    let (mut server, _client) = unanswering_after("trap '' TERM", &container, &directory);
    signal(&server, "TERM");
    wait_for("the termination", || daemon.terminations().pop());
    daemon.running.signal("TERM");
    daemon.running.wait_until_it_says("\"stopping\"");
    server.kill().expect("a child");
    server.wait().expect("a child");
    let (status, said) = daemon.running.end();
    let journal = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told: Vec<_> = journal.filter(|line| line["state"] == "complete").collect();
    let [told] = told.as_slice() else { panic!("one line of the journal, found in\n{said}") };
    let kill = &told["kill_signal"]["signal"];
    assert_eq!((status, kill, &told["severed_total"]), (0, &"SIGKILL".into(), &1.into()), "{told}");
    let reasons = told["measured"]["reasons"].to_string();
    assert!(reasons.contains("the daemon was stopped while late connections could still come"), "{told}");
}
