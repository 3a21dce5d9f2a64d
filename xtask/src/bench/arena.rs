//! Where the measurements take place: a directory, cgroups, and two CPUs.

use super::afterwards::Afterwards;
use super::process::entering;
use crate::build::Profile;
use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Kills what is left in the cgroups, and removes them and the directory.
const CLEAN_UP: &str = "\
echo 1 > \"$1/cgroup.kill\"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    find \"$1\" -depth -type d -exec rmdir {} + 2> /dev/null
    test -d \"$1\" || break
    sleep 0.2
done
rm -rf \"$2\"
test ! -d \"$1\"";

/// Exists as long as the value does.
#[derive(Debug)]
pub struct Arena {
    pub daemon_program: PathBuf,
    /// Two different ones, so that load generator and server do not push each other about.
    pub server_cpu: usize,
    pub client_cpu: usize,
    search_path: crate::search_path::SearchPath,
    directory: PathBuf,
    cgroup: PathBuf,
    _clean_up: Afterwards,
}

impl Arena {
    /// # Errors
    /// When there is no cgroup v2, no second CPU, or no right to make things.
    pub fn make(context: &Context) -> Result<Self> {
        let (client_cpu, server_cpu) = super::machine::two_cpus()?;
        let name = format!("shutdown-probe-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(&name);
        let cgroup = cgroup_mount()?.join(&name);
        fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        fs::create_dir(&cgroup).with_context(|| cgroup.display().to_string())?;
        let clean_up = Afterwards::run(CLEAN_UP, &[cgroup.as_ref(), directory.as_ref()])?;
        let arena = Self {
            daemon_program: directory.join("shutdown-probe"),
            server_cpu,
            client_cpu,
            search_path: context.search_path.clone(),
            directory,
            cgroup,
            _clean_up: clean_up,
        };
        // A copy: a build meanwhile would change what is measured.
        let built = context.workspace.daemon(Profile::Release);
        fs::copy(&built, &arena.daemon_program).with_context(|| built.display().to_string())?;
        fs::create_dir(arena.watched())?;
        fs::create_dir(arena.outside())?;
        Ok(arena)
    }

    /// For files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The cgroup whose children are containers to the daemon.
    pub fn watched(&self) -> PathBuf {
        self.cgroup.join("watched")
    }

    /// The cgroup of all that is no container.
    pub fn outside(&self) -> PathBuf {
        self.cgroup.join("outside")
    }

    /// The cgroup of this container, made if it is not there.
    pub fn container(&self, name: &str) -> Result<PathBuf> {
        let path = self.watched().join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// This program, to be run in that cgroup.
    pub fn command(&self, program: impl AsRef<OsStr>, cgroup: &Path) -> Result<Command> {
        let mut command = entering(cgroup, program);
        command.env("PATH", self.search_path.value()?);
        Ok(command)
    }

    /// What all that runs here, or ran, has used of the CPUs.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn cpu_time(&self) -> Result<Duration> {
        let path = self.cgroup.join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(Duration::from_micros(usage.context("no usage_usec in cpu.stat")?.parse()?))
    }

    /// Whether there is such a program.
    pub fn has(&self, program: &str) -> bool {
        self.search_path.find(program).is_some()
    }
}

fn cgroup_mount() -> Result<PathBuf> {
    let mut findmnt = Command::new("findmnt");
    findmnt.args(["--noheadings", "--first-only", "--types", "cgroup2", "--output", "TARGET"]);
    let mount = command::read(&mut findmnt).context("no cgroup v2 is mounted")?;
    Ok(mount.trim_end().into())
}
