//! Every kind of server: failed for the right reason, passed with the advice that was printed, and left alone where it
//! is well.
//!
//! A row is a service, what it is to be taken for, and the cause that is to be found, or `clean`. One that fails is
//! checked again once its advice is taken, all of it and as printed ([`Project::take`]): then it must be `clean`. The
//! clients' truth must agree with the probe, loss by loss, each time.

use crate::axum_service;
use crate::gate::{Ended, check, end};
use crate::project::Project;
use crate::servers::{self, Upstream, behind_shell, exec, gunicorn, node_behind, uvicorn};
use serde_json::Value;

/// A request that takes long enough to be met in the server's hands, on a machine that does other things too.
const SLOW: &str = "/?ms=200";

/// One service.
struct Row {
    name: &'static str,
    project: Project,
    path: &'static str,
    /// The cause, or `clean`.
    cause: &'static str,
    runtime: &'static str,
    as_init: bool,
    has_advice: bool,
}

/// A row of the table.
fn row(name: &'static str, runtime: &'static str, project: impl Into<Project>, cause: &'static str) -> Row {
    let mut project = project.into();
    project.says("--propagation-delay", "200ms");
    Row { name, project, path: SLOW, cause, runtime, as_init: true, has_advice: true }
}

impl Row {
    /// Clients have stopped coming when the stop signal is sent.
    fn after_a_sleep(self) -> Self {
        self.with("--pre-stop", "300ms")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.project.says(name, value);
        self
    }

    fn asked(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    fn without_pid_namespace(mut self) -> Self {
        self.as_init = false;
        self
    }

    /// There is nothing to copy that could be put into it: the verdict alone counts.
    fn without_advice(mut self) -> Self {
        self.has_advice = false;
        self
    }

    fn start(&self) -> std::process::Child {
        let fixed = ["--runs", "1", "--json", "--quiet", "--path", self.path];
        let namespace: &[&str] = if self.as_init { &[] } else { &["--no-pid-namespace"] };
        let arguments = [&fixed[..], namespace, &self.project.options()].concat();
        check(&arguments, &self.project.service).spawn().expect("it starts")
    }

    fn assert(&self, ended: &Ended, cause: &str) -> Value {
        let name = self.name;
        let clean = cause == "clean";
        assert_eq!(ended.code, Some(if clean { 0 } else { 1 }), "{name}: {ended:?}");
        let said = ended.json();
        assert_eq!(said["cause"], cause, "{name}: {said:#}");
        assert_eq!(said["service"]["runtime"], self.runtime, "{name}: {said:#}");
        let run = &said["runs"][0];
        assert_eq!(run["disagreements"], Value::Array(Vec::new()), "{name}: {said:#}");
        assert_ne!(run["in_flight_at_stop"], 0, "{name}: nothing was in flight: {said:#}");
        if clean {
            assert_eq!((&said["fixes"], &said["advice"]), (&empty(), &empty()), "{name} is nagged: {said:#}");
        }
        ended.assert_no_trace();
        said
    }
}

fn empty() -> Value {
    Value::Array(Vec::new())
}

/// Plays rows, all at the same time; then those that failed, with the advice taken.
fn play(mut rows: Vec<Row>) {
    let playing: Vec<_> = rows.iter().map(Row::start).collect();
    let ended: Vec<_> = playing.into_iter().map(end).collect();
    for (row, ended) in rows.iter_mut().zip(&ended) {
        let said = row.assert(ended, row.cause);
        if row.has_advice {
            row.project.take(&said["fixes"]);
        }
    }
    rows.retain(|row| row.cause != "clean" && row.has_advice);
    let playing: Vec<_> = rows.iter().map(Row::start).collect();
    let ended: Vec<_> = playing.into_iter().map(end).collect();
    rows.iter().zip(&ended).for_each(|(row, ended)| drop(row.assert(ended, "clean")));
}

#[test]
fn node() {
    let node = |style| node_behind(&[], style);
    play(vec![
        row("PID 1 without a handler", "node", node("none"), "ignored_stop_signal"),
        row("no handler", "node", node("none"), "stop_signal_killed_process").without_pid_namespace(),
        row("exit(0)", "node", node("exit"), "exited_without_drain"),
        row("server.close()", "node", node("close"), "waited_on_idle_connections")
            .after_a_sleep()
            .with("--grace", "3s"),
        row("a drain, no preStop", "node", node("drain"), "listener_closed_while_routed"),
        row("a drain", "node", node("drain"), "clean").after_a_sleep(),
    ]);
}

#[test]
fn node_behind_others() {
    play(vec![
        row("a shell", "node", node_behind(&["sh"], "drain"), "stop_signal_not_forwarded"),
        row("npm, exit(0)", "node", servers::node_by_npm("none"), "stop_signal_not_forwarded"),
        row("node --watch", "node", node_behind(&["node", "--watch"], "none"), "stop_signal_killed_process"),
        row("a cluster", "node", servers::node_cluster(), "stop_signal_not_forwarded"),
        row("tini, no handler", "node", node_behind(&["tini", "--"], "none"), "stop_signal_killed_process"),
        row("tini", "node", node_behind(&["tini", "--"], "drain"), "clean").after_a_sleep(),
        row("dumb-init", "node", node_behind(&["dumb-init"], "drain"), "clean").after_a_sleep(),
    ]);
}

#[test]
fn python() {
    play(vec![
        row("PID 1 without a handler", "python_http", servers::python("none"), "ignored_stop_signal"),
        row("SIG_IGN", "python_http", servers::python("ignore"), "ignored_stop_signal")
            .without_pid_namespace(),
        row("os._exit(0)", "python_http", servers::python("exit"), "exited_without_drain"),
        row("a drain", "python_http", servers::python("drain"), "clean").after_a_sleep(),
        row("a slow start", "python_http", servers::python("late-handler"), "clean").after_a_sleep(),
    ]);
}

#[test]
fn gunicorn_and_uvicorn() {
    play(vec![
        row("no time to finish", "gunicorn", exec(&gunicorn("--graceful-timeout 0")), "exited_without_drain"),
        row("gunicorn behind a shell", "gunicorn", behind_shell(&gunicorn("")), "stop_signal_not_forwarded"),
        row("gunicorn", "gunicorn", exec(&gunicorn("")), "clean").after_a_sleep(),
        row("uvicorn behind a shell", "uvicorn", behind_shell(&uvicorn("")), "stop_signal_not_forwarded"),
        row("uvicorn", "uvicorn", exec(&uvicorn("")), "clean").after_a_sleep(),
        row("uvicorn with workers", "uvicorn", exec(&uvicorn("--workers 2")), "clean").after_a_sleep(),
    ]);
}

#[test]
fn go_java_and_rust() {
    play(vec![
        row("no handler", "go", servers::go("none"), "stop_signal_killed_process"),
        row("Shutdown", "go", servers::go("shutdown"), "clean").after_a_sleep(),
        row("no hook", "java", servers::java("none"), "exited_without_drain"),
        row("a hook", "java", servers::java("drain"), "clean").after_a_sleep(),
        row("no handler", "rust", axum_service::project(), "ignored_stop_signal"),
    ]);
}

#[test]
fn nginx_and_haproxy() {
    let upstream = Upstream::start();
    let (nginx, haproxy) = (|| servers::nginx(upstream.1), || servers::haproxy(upstream.1));
    let through = |row: Row| row.asked("/through?ms=200");
    play(vec![
        through(row("SIGTERM", "nginx", nginx(), "exited_without_drain")),
        through(row("SIGQUIT", "nginx", nginx(), "clean")).with("--signal", "QUIT").after_a_sleep(),
        through(row("SIGTERM", "haproxy", haproxy(), "ignored_stop_signal")),
        through(row("USR1", "haproxy", haproxy(), "clean")).with("--signal", "USR1").after_a_sleep(),
    ]);
}

#[test]
fn the_zoos_own() {
    let own = |name, options, cause| {
        row(name, "rust", servers::own(options), cause).without_advice().after_a_sleep()
    };
    play(vec![
        own("nothing installed", "--on-term default", "ignored_stop_signal"),
        own("exits", "--on-term exit", "exited_without_drain"),
        own("drains", "--on-term drain", "clean"),
        own("waits for its clients", "--on-term wait-for-idle", "waited_on_idle_connections")
            .with("--grace", "3s"),
        own("a master", "--on-term forward --workers 2", "clean"),
        own("a deaf master", "--on-term ignore --workers 2", "stop_signal_not_forwarded"),
    ]);
}
