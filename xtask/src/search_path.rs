//! Where executables are looked for.

use anyhow::{Context as _, Result};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Not in the `PATH` of an ordinary Debian user, yet bpftool, nginx and haproxy live there.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The user's `PATH`, then where `cargo install` puts things, then the system directories.
#[derive(Clone, Debug)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
}

impl SearchPath {
    pub fn from_environment() -> Self {
        let mut directories: Vec<PathBuf> =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
        let installed = env::var_os("CARGO_INSTALL_ROOT").map(PathBuf::from).into_iter().chain(cargo_home);
        directories.extend(installed.map(|root| root.join("bin")));
        directories.extend(SYSTEM_DIRECTORIES.map(PathBuf::from));
        Self { directories }
    }

    /// The first executable of that name.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|path| is_executable(path))
    }

    /// As the value of `PATH`, so that children find what we found.
    pub fn value(&self) -> Result<OsString> {
        let mut unique: Vec<&OsStr> = Vec::new();
        for directory in &self.directories {
            if !unique.contains(&directory.as_os_str()) {
                unique.push(directory.as_os_str());
            }
        }
        env::join_paths(unique).context("a directory of PATH contains a colon")
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(directories: &[&str]) -> SearchPath {
        SearchPath { directories: directories.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn finds_executables_only() {
        assert_eq!(path(&["/nowhere", "/bin"]).find("sh"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(path(&["/etc"]).find("passwd"), None, "not executable");
        assert_eq!(path(&["/"]).find("bin"), None, "a directory");
    }

    #[test]
    fn value_names_each_directory_once_in_order() {
        assert_eq!(path(&["/b", "/a", "/b"]).value().unwrap(), "/b:/a");
    }
}
