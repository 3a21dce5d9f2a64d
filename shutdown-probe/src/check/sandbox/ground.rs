//! The directory in which the containers of one `check` are made.
//!
//! Invariants: it and all in it are gone when it is dropped; a guard, a process of its own, does the same if we
//! are killed; those of a `check` whose guard was killed too are removed by the next one.

use super::tree;
use crate::exit::{Exit, Failure};
use crate::probe::Hierarchy;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PREFIX: &str = "shutdown-probe-check-";
/// How a container gets at it.
const SHARED: &str = "docker run --privileged --cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:rw";
/// How long other checks may be in the way.
const CLAIM_LIMIT: Duration = Duration::from_secs(5);

/// The parent of all containers.
#[derive(Debug)]
pub struct Ground {
    directory: PathBuf,
    /// Says to others that somebody still uses it.
    _lock: OwnedFd,
    guard: Child,
    /// The guard acts when this is closed, by us or by our death.
    leash: Option<ChildStdin>,
}

impl Ground {
    /// Makes it.
    ///
    /// # Errors
    /// [`Exit::NotMeasured`] where cgroups cannot be made, with what to do.
    pub fn make() -> Result<Self, Failure> {
        let hierarchy = Hierarchy::find().map_err(|error| {
            unable(&format!(
                "{error}; mount it (mount -t cgroup2 none /sys/fs/cgroup), or share the host's: {SHARED}"
            ))
        })?;
        let root = hierarchy.mount();
        sweep(root);
        let directory = root.join(format!("{PREFIX}{}", std::process::id()));
        let lock = claim(&directory).map_err(|error| unable(&refusal(&directory, &error)))?;
        let mut guard = start_guard(&directory).map_err(|error| {
            let _ = fs::remove_dir(&directory);
            unable(&format!("its guard does not start: {error}"))
        })?;
        let leash = guard.stdin.take();
        Ok(Self { directory, _lock: lock, guard, leash })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.directory) {
            eprintln!("shutdown-probe: {} is left behind: {error}", self.directory.display());
        }
        drop(self.leash.take());
        let _ = self.guard.wait();
    }
}

/// What the guard does: waits until standard input ends, then kills and removes.
///
/// # Errors
/// [`Exit::Internal`] where something stays behind.
pub fn guard(directory: &Path) -> Result<Exit, Failure> {
    // Nobody writes; what matters is that it ends.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    tree::remove(directory).map(|()| Exit::Success).map_err(|error| {
        Failure::new(Exit::Internal, format!("{} is left behind: {error}", directory.display()))
    })
}

/// In a session of its own: a Ctrl-C at the terminal is not for it.
fn start_guard(directory: &Path) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("guard").arg(directory).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec the closure makes one system call; it neither allocates nor locks.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(Into::into)) };
    command.spawn()
}

/// Makes the directory and locks it. Another check may sweep it away in between, or just look whether it may.
fn claim(directory: &Path) -> io::Result<OwnedFd> {
    let deadline = Instant::now() + CLAIM_LIMIT;
    loop {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match lock(directory) {
            Ok(lock) if is_still(&lock, directory) => return Ok(lock),
            Err(error) if Instant::now() > deadline => return Err(error),
            _ => sleep(Duration::from_millis(5)),
        }
    }
}

/// Whether the path still leads to what is locked.
fn is_still(lock: &OwnedFd, directory: &Path) -> bool {
    let locked = rustix::fs::fstat(lock).map(|stat| stat.st_ino);
    fs::metadata(directory).is_ok_and(|there| Ok(there.ino()) == locked)
}

fn lock(directory: &Path) -> io::Result<OwnedFd> {
    let handle = open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    flock(&handle, FlockOperation::NonBlockingLockExclusive)?;
    Ok(handle)
}

/// Removes what was left behind: whatever nobody has locked.
fn sweep(root: &Path) {
    for directory in tree::children(root) {
        let is_ours = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if !is_ours {
            continue;
        }
        // Locked until it is gone: whoever has made it just now and not locked it yet makes it again.
        if let Ok(_lock) = lock(&directory) {
            // The next `check` tries again.
            let _ = tree::remove(&directory);
        }
    }
}

fn refusal(directory: &Path, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => "; run it as root".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound => {
            format!("; in a container it must be writable: {SHARED}")
        }
        _ => String::new(),
    };
    format!("{}: {error}{advice}", directory.display())
}

fn unable(reason: &str) -> Failure {
    Failure::new(Exit::NotMeasured, format!("cannot make a cgroup for the service: {reason}"))
}
