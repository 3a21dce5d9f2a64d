//! The daemon under judgement: one real process, started for this run alone.

use crate::api::{List, Termination};
use crate::cgroup::Ground;
use crate::truth::LINGER;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long it may take to attach its probes.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end once told to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// As many as it gives.
pub const TERMINATIONS: &str = "/api/v1/terminations?limit=1000";

/// The running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    api: Api,
    log: PathBuf,
}

/// Where it answers.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub fn start(
        program: &Path,
        ground: &Ground,
        port: u16,
        log: PathBuf,
        interrupted: &AtomicBool,
    ) -> Result<Self> {
        Self::start_with(program, ground, port, log, interrupted, &[])
    }

    /// The same with more options.
    pub fn start_with(
        program: &Path,
        ground: &Ground,
        port: u16,
        log: PathBuf,
        interrupted: &AtomicBool,
        options: &[&str],
    ) -> Result<Self> {
        ensure!(program.is_file(), "there is no daemon at {}: cargo xtask build", program.display());
        let output = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let child = Command::new(program)
            .args(["run", "--standalone", "--watch-cgroup"])
            .arg(ground.path())
            .args(["--listen", &format!("127.0.0.1:{port}"), "--linger", &format!("{}s", LINGER.as_secs())])
            .args(options)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("duplicating the log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut daemon = Self { child, api: Api::new(port), log };
        daemon.wait_until_ready(interrupted)?;
        Ok(daemon)
    }

    fn wait_until_ready(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().context("waiting for the daemon")? {
                bail!("the daemon ended before it was ready ({status}):\n{}", self.last_words());
            }
            if self.api.get("/readyz").is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the daemon is not ready after {START_LIMIT:?}:\n{}", self.last_words());
            }
            ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it answers.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// An error if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("waiting for the daemon")? {
            Some(status) => bail!("the daemon ended ({status}):\n{}", self.last_words()),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let text = read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait().context("waiting for the daemon")?.is_some() {
            return Ok(());
        }
        let process = Pid::from_raw(self.child.id() as i32).context("a process without an id")?;
        kill_process(process, Signal::TERM).context("stopping the daemon")?;
        let deadline = Instant::now() + STOP_LIMIT;
        while self.child.try_wait().context("waiting for the daemon")?.is_none() {
            if Instant::now() > deadline {
                self.child.kill().context("killing the daemon")?;
                self.child.wait().context("waiting for the daemon")?;
                bail!("the daemon had to be killed {STOP_LIMIT:?} after SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("zoo: {error:#}");
        }
    }
}

impl Api {
    fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// The body of a successful answer.
    pub fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}{path}", self.base);
        let mut response = self.agent.get(&url).call().with_context(|| format!("GET {path}"))?;
        // Reports of hundreds of connections each: more than the default limit of 10 MB.
        let body = response.body_mut().with_config().limit(256 << 20).read_to_string();
        body.with_context(|| format!("reading the answer to GET {path}"))
    }

    /// Every termination that the daemon knows of.
    pub fn terminations(&self) -> Result<Vec<Termination>> {
        let body = self.get(TERMINATIONS)?;
        let list: List = serde_json::from_str(&body).context("the list of terminations is not as agreed")?;
        Ok(list.terminations)
    }
}
