//! PID 1 of the guest: mounts what a system has, runs the plan, says how it went, switches off.
//!
//! Invariant: whatever happens, the machine is switched off; what is not said over the port did not happen.

use super::protocol::{Message, Outcome, PLAN, PORT, Plan, Ran, Step};
use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use rustix::system::{RebootCommand, reboot};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const MOUNTS: [(&str, &str, &CStr); 7] = [
    ("proc", "/proc", c""),
    ("sysfs", "/sys", c""),
    ("devtmpfs", "/dev", c""),
    ("tmpfs", "/tmp", c"mode=1777"),
    ("cgroup2", "/sys/fs/cgroup", c""),
    ("bpf", "/sys/fs/bpf", c""),
    ("securityfs", "/sys/kernel/security", c""),
];

const TICK: Duration = Duration::from_millis(10);
/// How much of what a step said is sent, in bytes, from its end.
const SAID: usize = 64 << 10;
/// How long a step's output is waited for once it is over: a process that it left behind may hold it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Does not return in a guest; elsewhere it refuses.
pub fn run() -> Result<()> {
    anyhow::ensure!(std::process::id() == 1, "this is for PID 1 of a guest of `cargo xtask vm`");
    if let Err(error) = work() {
        eprintln!("guest: {error:#}");
    }
    reboot(RebootCommand::Restart).context("switching off")
}

fn work() -> Result<()> {
    for (kind, place, options) in MOUNTS {
        mount(kind, place, kind, MountFlags::empty(), options)
            .with_context(|| format!("mounting {place}"))?;
    }
    let mut port = File::options().write(true).open(PORT).context(PORT)?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("osrelease")?;
    say(&mut port, &Message::Booted { release: release.trim().to_owned() })?;
    let plan: Plan = serde_json::from_slice(&fs::read(PLAN).context(PLAN)?).context(PLAN)?;
    for step in &plan.steps {
        let ran = perform(step);
        say(&mut port, &Message::Ran(ran))?;
    }
    say(&mut port, &Message::Finished)
}

fn say(port: &mut File, message: &Message) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    port.write_all(&line).context(PORT)
}

fn perform(step: &Step) -> Ran {
    let begun = Instant::now();
    let (outcome, said) = match start(step) {
        Ok((child, said)) => (watch(child, step.limit_seconds), gather(&said)),
        Err(error) => (Outcome::NotStarted(format!("{error:#}")), String::new()),
    };
    let left = step.leaves.as_deref().and_then(|file| fs::read(file).ok());
    Ran { step: step.name.clone(), outcome, seconds: begun.elapsed().as_secs_f64(), said, left }
}

fn start(step: &Step) -> Result<(Pid, Receiver<Vec<u8>>)> {
    let (reader, writer) = io::pipe().context("a pipe")?;
    let mut command = Command::new(&step.program);
    command
        .args(&step.arguments)
        .envs(step.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&step.directory)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("a pipe")?)
        .stderr(writer)
        .process_group(0);
    let child = command.spawn().with_context(|| step.program.display().to_string())?;
    let child = Pid::from_raw(child.id().cast_signed()).context("a child without an id")?;
    Ok((child, listen(reader)))
}

/// Passes on what the step says, to the console and to us.
fn listen(mut reader: PipeReader) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            // A console that does not take it is no reason to lose it.
            let _ = io::stdout().write_all(&buffer[..length]);
            let _ = io::stdout().flush();
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// All that was said, or its end.
fn gather(said: &Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + LAST_WORDS;
    let mut all = Vec::new();
    while let Ok(more) = said.recv_timeout(until.saturating_duration_since(Instant::now())) {
        all.extend(more);
    }
    String::from_utf8_lossy(&all[all.len().saturating_sub(SAID)..]).into_owned()
}

/// Waits for the child, and buries whatever else ends meanwhile: a zombie keeps its cgroup.
fn watch(child: Pid, limit_seconds: u64) -> Outcome {
    let until = Instant::now() + Duration::from_secs(limit_seconds);
    let mut is_late = false;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => {
                return match (status.exit_status(), status.terminating_signal()) {
                    _ if is_late => Outcome::TimedOut,
                    (Some(status), _) => Outcome::Exited(status),
                    (None, signal) => Outcome::Killed(signal.unwrap_or_default()),
                };
            }
            Ok(Some(_)) => continue,
            Ok(None) | Err(_) => sleep(TICK),
        }
        if Instant::now() > until && !is_late {
            is_late = true;
            // It is there: it has not been buried.
            let _ = kill_process_group(child, Signal::KILL);
        }
    }
}
