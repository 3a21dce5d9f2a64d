//! A load that somebody else wrote, run beside the service.

use super::discover::Service;
use super::sandbox::{Ground, tree};
use crate::exit::{Exit, Failure, OrExit};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// The load, running. Dropping it kills it, and whatever it started.
#[derive(Debug)]
pub struct UserLoad {
    child: Mutex<Child>,
    directory: PathBuf,
}

impl UserLoad {
    /// Starts it, in a cgroup of its own so that nothing of it stays.
    ///
    /// # Errors
    /// [`Exit::NotMeasured`] where it cannot be started.
    pub fn start(ground: &Ground, line: &str, service: &Service) -> Result<Self, Failure> {
        let directory = ground.directory().join("load");
        fs::create_dir(&directory).or_exit(Exit::NotMeasured, || "cannot make a cgroup for the load")?;
        let entrance = fs::File::options().write(true).open(directory.join("cgroup.procs"));
        let entrance = entrance.or_exit(Exit::NotMeasured, || "cannot enter the load's cgroup")?;
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let (address, scheme) = (service.address, if service.tls { "https" } else { "http" });
        command.env("URL", format!("{scheme}://{address}")).env("HOST", address.ip().to_string());
        command.env("PORT", address.port().to_string());
        // SAFETY: between fork and exec the closure makes one system call; it neither allocates nor locks.
        unsafe { command.pre_exec(move || Ok(rustix::io::write(&entrance, b"0").map(drop)?)) };
        let child = command.spawn().or_exit(Exit::NotMeasured, || "cannot start the load command with sh")?;
        Ok(Self { child: Mutex::new(child), directory })
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// [`Exit::NotMeasured`] where it has ended before the service was stopped.
    pub fn check(&self) -> Result<(), Failure> {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match child.try_wait() {
            Ok(Some(status)) => {
                let message = format!("the load command ended ({status}) before the service was stopped");
                Err(Failure::new(Exit::NotMeasured, message))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for UserLoad {
    fn drop(&mut self) {
        if let Err(error) = tree::remove(&self.directory) {
            eprintln!("shutdown-probe: {} is left behind: {error}", self.directory.display());
        }
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.wait();
    }
}
