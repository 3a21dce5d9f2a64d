//! The programs that a measurement needs while it lasts.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// After a stop signal.
const PATIENCE: Duration = Duration::from_secs(20);

/// `program`, which enters the cgroup before it does anything. Its arguments are to be added.
pub fn entering(cgroup: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo 0 > \"$0/cgroup.procs\" && exec \"$@\""]).arg(cgroup).arg(program);
    command
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| name.to_owned())?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// When it is not running any more.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself: {status}", self.name),
        }
    }

    /// Ends it with this signal. It must have run until now.
    ///
    /// # Errors
    /// When it had ended before, or does not end now.
    pub fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        self.check()?;
        kill_process(Pid::from_child(&self.child), signal)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} does not end on {signal:?}", self.name);
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// CPU time that it has used: all of its threads that still run.
    ///
    /// # Errors
    /// When the kernel keeps no such account (`CONFIG_SCHED_INFO`).
    pub fn cpu_time(&self) -> Result<Duration> {
        let tasks = format!("/proc/{}/task", self.id());
        let mut nanoseconds = 0;
        for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let first = text.split_whitespace().next().context("schedstat is empty")?;
            nanoseconds += first.parse::<u64>().with_context(|| path.display().to_string())?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// A field of `/proc/PID/status` that is given in kB.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn kilobytes(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        kilobytes(&status, field).with_context(|| format!("no {field} in {path}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Nothing more can be done where these fail; the arena kills what is left in its cgroups.
            let _killed = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.split(':').next() == Some(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmHWM:\t    5000 kB\nVmRSS:\t    4812 kB\nRssAnon:\t     100 kB\n";
        assert_eq!(kilobytes(status, "VmRSS"), Some(4_812));
        assert_eq!(kilobytes(status, "Vm"), None);
        assert_eq!(kilobytes(status, "Name"), None);
    }

    #[test]
    fn one_that_ended_by_itself_is_an_error() {
        let process = Process::start("false", Command::new("false").arg("x")).unwrap();
        sleep(Duration::from_millis(100));
        let error = process.end(Signal::TERM).unwrap_err();
        assert_eq!(error.to_string(), "false ended by itself: exit status: 1");
    }

    #[test]
    fn one_that_runs_is_ended_by_the_signal() {
        let process = Process::start("sleep", Command::new("sleep").arg("60")).unwrap();
        let status = process.end(Signal::TERM).unwrap();
        assert_eq!(status.to_string(), "signal: 15 (SIGTERM)");
    }
}
