//! Cgroup directories: who is in them, and how they are emptied and removed.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long killed processes may take to be gone.
const REMOVAL_LIMIT: Duration = Duration::from_secs(10);

/// The processes in this cgroup and those nested in it, as our PID namespace numbers them.
pub fn processes(directory: &Path) -> Vec<u32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of a namespace that we cannot see.
    let mut all: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).filter(|&id| id != 0).collect();
    children(directory).iter().for_each(|child| all.extend(processes(child)));
    all
}

/// Whether anybody lives in it.
pub fn is_populated(directory: &Path) -> bool {
    let events = fs::read_to_string(directory.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

/// Sends SIGKILL to all in it, and waits until they are gone.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if some outlive it.
pub fn kill(directory: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVAL_LIMIT;
    while is_populated(directory) {
        if fs::write(directory.join("cgroup.kill"), "1").is_err() {
            kill_one_by_one(directory);
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its processes outlive SIGKILL"));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn kill_one_by_one(directory: &Path) {
    for process in processes(directory) {
        if let Some(id) = Pid::from_raw(process.cast_signed()) {
            // Whoever is gone meanwhile needs no killing.
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

/// Kills all in it and removes it with what is nested in it. One that is gone already is no error.
///
/// # Errors
/// As for [`kill`], and those of rmdir(2).
pub fn remove(directory: &Path) -> io::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    kill(directory)?;
    children(directory).iter().try_for_each(|child| remove(child))?;
    let deadline = Instant::now() + REMOVAL_LIMIT;
    loop {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // A process on its way out still counts for a moment.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                sleep(Duration::from_millis(2));
            }
            outcome => return outcome,
        }
    }
}

/// The cgroups directly in this one.
pub fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
