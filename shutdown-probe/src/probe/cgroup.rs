//! The cgroup v2 hierarchy: where it is mounted, and what is in it.

use super::error::ProbeError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A cgroup that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id.
    pub id: u64,
    /// Its path below the v2 root, with a leading slash.
    pub path: String,
    /// The id of its parent.
    pub parent: u64,
}

/// The mounted v2 hierarchy.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    mount: PathBuf,
}

impl Hierarchy {
    /// Finds it, beside v1 hierarchies too. In a container its own part of it is mounted and, if it was given to us, the
    /// whole besides: then the whole.
    ///
    /// # Errors
    /// [`ProbeError::NoCgroup2`].
    pub fn find() -> Result<Self, ProbeError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|_| ProbeError::NoCgroup2)?;
        let mounts = mount_points(&mounts);
        let whole = mounts.iter().find(|mount| is_whole(mount));
        let mount = whole.or(mounts.first()).ok_or(ProbeError::NoCgroup2)?.clone();
        Ok(Self { mount })
    }

    /// The one that is mounted here; where that is not said, the one that is found.
    ///
    /// # Errors
    /// [`ProbeError::NoCgroup2`].
    pub fn at(mount: Option<&Path>) -> Result<Self, ProbeError> {
        match mount {
            None => Self::find(),
            Some(mount) if mount.join("cgroup.controllers").is_file() => Ok(Self { mount: mount.to_owned() }),
            Some(_) => Err(ProbeError::NoCgroup2),
        }
    }

    /// Whether it is the whole hierarchy rather than a container's part of it.
    pub fn is_whole(&self) -> bool {
        is_whole(&self.mount)
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// A directory of it, from its full path or from the path below the root.
    pub fn directory(&self, path: &Path) -> PathBuf {
        if path.starts_with(&self.mount) {
            return path.to_owned();
        }
        self.mount.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The id of a directory of it.
    ///
    /// # Errors
    /// As for reading the file system.
    pub fn id(&self, directory: &Path) -> io::Result<u64> {
        // The inode number is the id wherever that has 64 bits.
        fs::metadata(directory).map(|metadata| metadata.ino())
    }

    /// Every cgroup below this directory, parents first. What vanishes meanwhile is left out.
    ///
    /// # Errors
    /// [`ProbeError::Scan`] when the directory itself cannot be read.
    pub fn below(&self, directory: &Path) -> Result<Vec<Cgroup>, ProbeError> {
        let failed = |source| ProbeError::Scan { path: directory.to_owned(), source };
        let top = self.id(directory).map_err(failed)?;
        let mut found = Vec::new();
        let mut waiting = children(directory, top).map_err(failed)?;
        while let Some((path, parent)) = waiting.pop() {
            let Ok(id) = self.id(&path) else { continue };
            waiting.extend(children(&path, id).unwrap_or_default());
            found.push(Cgroup { id, path: self.name(&path), parent });
        }
        Ok(found)
    }

    /// Whether it or one below it has processes.
    pub fn is_populated(&self, path: &str) -> bool {
        let events = self.directory(Path::new(path)).join("cgroup.events");
        fs::read_to_string(events).is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Whether we are in this cgroup or in one below it. The kernel shows us the ids of our own pid namespace, and 0 for
    /// the processes of others.
    pub fn holds_us(&self, path: &str) -> bool {
        let top = self.directory(Path::new(path));
        let below = self.below(&top).unwrap_or_default();
        let all = below.iter().map(|cgroup| self.directory(Path::new(&cgroup.path))).chain([top.clone()]);
        let own = std::process::id().to_string();
        let mut processes = all.filter_map(|each| fs::read_to_string(each.join("cgroup.procs")).ok());
        processes.any(|processes| processes.lines().any(|process| process == own))
    }

    fn name(&self, directory: &Path) -> String {
        let below = directory.strip_prefix(&self.mount).unwrap_or(directory);
        format!("/{}", below.display())
    }
}

fn children(directory: &Path, id: u64) -> io::Result<Vec<(PathBuf, u64)>> {
    let entries = fs::read_dir(directory)?.flatten();
    Ok(entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| (entry.path(), id))
        .collect())
}

/// The inode of the root cgroup, which is its id.
const ROOT: u64 = 1;

fn is_whole(mount: &Path) -> bool {
    fs::metadata(mount).is_ok_and(|metadata| metadata.ino() == ROOT)
}

/// The mount points of cgroup2 file systems in the format of `/proc/self/mountinfo`.
fn mount_points(mounts: &str) -> Vec<PathBuf> {
    let mount = |line: &str| {
        let (before, behind) = line.split_once(" - ")?;
        if behind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        before.split(' ').nth(4).map(|path| PathBuf::from(unescaped(path)))
    };
    mounts.lines().filter_map(mount).collect()
}

/// Undoes the octal escapes of `/proc/self/mountinfo`: space, tab, newline and backslash.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (escaped, plain)| path.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 - cgroup2 cgroup2 rw
";

    #[test]
    fn v2_is_found_beside_v1() {
        assert_eq!(mount_points(HYBRID), [PathBuf::from("/sys/fs/cgroup/unified")]);
        assert_eq!(mount_points("41 31 0:38 / /a\\040b rw - cgroup2 none rw\n"), [PathBuf::from("/a b")]);
        assert!(mount_points("32 31 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw\n").is_empty());
        assert!(Hierarchy::find().expect("cgroup v2").mount().is_dir());
    }

    #[test]
    fn we_are_in_one_of_all_cgroups() {
        let hierarchy = Hierarchy::find().expect("cgroup v2");
        assert!(hierarchy.holds_us("/"));
        assert!(!hierarchy.holds_us("/no/such/cgroup"));
    }

    #[test]
    fn directories_are_named_either_way() {
        let hierarchy = Hierarchy { mount: PathBuf::from("/sys/fs/cgroup") };
        for path in ["/sys/fs/cgroup/a/b", "/a/b", "a/b"] {
            assert_eq!(hierarchy.directory(Path::new(path)), Path::new("/sys/fs/cgroup/a/b"), "{path}");
        }
        assert_eq!(hierarchy.name(Path::new("/sys/fs/cgroup/a/b")), "/a/b");
    }
}
