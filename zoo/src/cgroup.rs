//! The cgroups that the zoo makes: one directory a run, in it one a container.
//!
//! Invariant: whatever is made here is emptied and removed when it is dropped.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a killed container may take to be gone.
const REMOVAL_LIMIT: Duration = Duration::from_secs(5);

/// Where a hierarchy is mounted: the v2 one (`controller` is `None`), or the v1 one of a controller.
pub fn mount_point(controller: Option<&str>) -> Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading /proc/self/mountinfo")?;
    Ok(mounts.lines().find_map(|line| mounted_at(line, controller)))
}

/// proc(5): fields 4 and 5 are the root and the mount point; after ` - ` come type, source, options.
fn mounted_at(line: &str, controller: Option<&str>) -> Option<PathBuf> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut filesystem = filesystem.split(' ');
    let (kind, options) = (filesystem.next()?, filesystem.nth(1)?);
    let fits = match controller {
        None => kind == "cgroup2",
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    let mut fields = mount.split(' ').skip(3);
    (fits && fields.next()? == "/").then(|| fields.next().map(PathBuf::from))?
}

/// The directory that holds every container of this run of the zoo.
#[derive(Debug)]
pub struct Ground {
    root: PathBuf,
    name: String,
}

impl Ground {
    /// Makes the directory, and removes those that dead runs left behind.
    pub fn make() -> Result<Self> {
        sweep(&root()?)?;
        Self::of_name(format!("zoo-{}", std::process::id()))
    }

    /// One more, for another daemon.
    pub fn make_another(name: &str) -> Result<Self> {
        Self::of_name(format!("zoo-{}-{name}", std::process::id()))
    }

    fn of_name(name: String) -> Result<Self> {
        let root = root()?;
        let ground = Self { root, name };
        fs::create_dir(ground.path()).with_context(|| format!("making {}", ground.path().display()))?;
        Ok(ground)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// What the daemon calls the container of this name: its path below the v2 root.
    pub fn container_path(&self, name: &str) -> String {
        format!("/{}/{name}", self.name)
    }

    /// Makes the cgroup of a container.
    pub fn container(&self, name: &str) -> Result<Group> {
        Group::make(self.path().join(name))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path()) {
            eprintln!("zoo: {} is left behind: {error:#}", self.path().display());
        }
    }
}

/// One cgroup.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes it.
    pub fn make(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file to which a process writes `0` to enter.
    pub fn entrance(&self) -> Result<fs::File> {
        let path = self.path.join("cgroup.procs");
        fs::OpenOptions::new().write(true).open(&path).with_context(|| format!("opening {}", path.display()))
    }

    /// Kills what is in it, nested cgroups included, and waits until it is empty. The answer is how
    /// many there were.
    pub fn kill(&self) -> Result<usize> {
        kill_tree(&self.path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            eprintln!("zoo: {} is left behind: {error:#}", self.path.display());
        }
    }
}

fn root() -> Result<PathBuf> {
    mount_point(None)?.context("no cgroup2 mount: mount -t cgroup2 none /sys/fs/cgroup")
}

/// Removes the directories of runs whose process is gone.
fn sweep(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).with_context(|| format!("listing {}", root.display()))? {
        let name = entry?.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix("zoo-")?.split('-').next()?.parse::<u32>().ok());
        if let Some(owner) = owner
            && !Path::new(&format!("/proc/{owner}")).exists()
        {
            remove_tree(&root.join(&name))?;
        }
    }
    Ok(())
}

fn children(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn processes(path: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<Pid> = text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
    for child in children(path) {
        all.extend(processes(&child));
    }
    all
}

fn kill_tree(path: &Path) -> Result<usize> {
    let mut killed = 0;
    let deadline = Instant::now() + REMOVAL_LIMIT;
    loop {
        let left = processes(path);
        if left.is_empty() {
            return Ok(killed);
        }
        killed = killed.max(left.len());
        for process in &left {
            // It may be gone by now: the next look tells.
            let _gone = kill_process(*process, Signal::KILL);
        }
        if Instant::now() > deadline {
            bail!("{} of its processes outlive SIGKILL", left.len());
        }
        sleep(Duration::from_millis(1));
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    kill_tree(path)?;
    for child in children(path) {
        remove_tree(&child)?;
    }
    let deadline = Instant::now() + REMOVAL_LIMIT;
    // A zombie that nobody has reaped yet still counts as a member.
    while let Err(error) = fs::remove_dir(path) {
        if error.kind() == std::io::ErrorKind::NotFound {
            break;
        }
        if Instant::now() > deadline {
            return Err(error).with_context(|| format!("removing {}", path.display()));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_both_hierarchies_of_a_hybrid_host() {
        let memory = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mounted_at(memory, Some("memory")), Some("/sys/fs/cgroup/memory".into()));
        assert_eq!(mounted_at(memory, None), None);
        assert_eq!(mounted_at(unified, None), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mounted_at(unified, Some("memory")), None);
    }

    #[test]
    fn a_bind_mount_of_a_part_is_not_the_root() {
        let part = "41 31 0:38 /pod /mnt rw - cgroup2 cgroup2 rw";
        assert_eq!(mounted_at(part, None), None);
    }
}
