//! The command, run to its end.

use serde_json::Value;
use shutdown_probe::probe::Hierarchy;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const BINARY: &str = env!("CARGO_BIN_EXE_shutdown-probe");

/// How a check ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    id: u32,
}

impl Ended {
    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Nothing of it is left.
    pub fn assert_no_trace(&self) {
        let cgroup = cgroup_of(self.id);
        assert!(!cgroup.exists(), "{} was left behind by {self:?}", cgroup.display());
    }

    /// It could not measure, and says so in these words.
    pub fn assert_not_measured(&self, said: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains(said), "{said:?} is not in {self:?}");
        self.assert_no_trace();
    }
}

/// The directory that the check with this process id makes.
pub fn cgroup_of(check: u32) -> PathBuf {
    let mount = Hierarchy::find().expect("cgroup v2").mount().to_owned();
    mount.join(format!("shutdown-probe-check-{check}"))
}

/// A check of this service, to be started.
pub fn check(arguments: &[&str], service: &Service) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("check").args(arguments).arg("--").args(&service.command).envs(service.environment());
    command.env_remove("GITHUB_ACTIONS");
    if let Some(directory) = &service.directory {
        command.current_dir(directory);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for its end.
pub fn end(child: Child) -> Ended {
    let id = child.id();
    let output = child.wait_with_output().expect("a child");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr), id }
}

/// Runs a check to its end.
pub fn run(arguments: &[&str], service: &Service) -> Ended {
    end(check(arguments, service).spawn().expect("it starts"))
}

/// A service to check.
#[derive(Clone, Debug)]
pub struct Service {
    command: Vec<OsString>,
    environment: Vec<(String, String)>,
    directory: Option<PathBuf>,
    pub port: u16,
}

impl Service {
    /// This command, on a port of its own.
    pub fn new<S: Into<OsString>>(command: impl IntoIterator<Item = S>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, environment: Vec::new(), directory: None, port: fresh_port() }
    }

    /// A line for sh(1), with `$PORT` in it.
    pub fn line(line: &str) -> Self {
        Self::new(["sh", "-c", line])
    }

    /// The same service by another command.
    pub fn started_by(self, other: Self) -> Self {
        Self { command: other.command, ..self }
    }

    /// The same service in another style: a word of its command, or the last one of a line for a shell.
    pub fn in_style(mut self, from: &str, to: &str) -> Self {
        for word in &mut self.command {
            let text = word.to_str().expect("UTF-8");
            *word = match text {
                _ if text == from => to.into(),
                _ => text.replace(&format!(".js {from}"), &format!(".js {to}")).into(),
            };
        }
        self
    }

    /// In this directory.
    pub fn inside(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// With this variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What it finds in its environment.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let own = [("PORT", self.port.to_string()), ("ADDRESS", "127.0.0.1".into()), ("GATES", "/".into())];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(self.environment.iter().cloned())
    }
}

/// Below the range from which the system takes ports for clients, and never the same twice.
pub fn fresh_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
