//! The guest's file system: this program as PID 1, and the programs it runs with the libraries they need.
//!
//! Invariant: a file lies in the guest where it lies on the host. Tests have paths compiled in, and dynamically
//! linked programs name their loader; so the very programs that were built for the host run in the guest.

use super::cpio::Archive;
use super::protocol::{PLAN, Plan};
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use crate::libraries;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// PID 1.
pub const INIT: &str = "/init";

/// Programs of the host that the tests call.
const PROGRAMS: [&str; 9] = ["cat", "chrt", "ip", "kill", "mount", "sh", "sleep", "umount", "unshare"];

/// Where things are mounted or written.
const DIRECTORIES: [&str; 5] = ["/dev", "/proc", "/root", "/sys", "/tmp"];

/// Everything but the plan, with `built`, programs of this workspace, among it.
pub fn base(context: &Context, built: &[PathBuf], directories: &[PathBuf]) -> Result<Vec<u8>> {
    let scratch = context.workspace.target().join("vm");
    let mut image = Image { archive: Archive::default(), scratch };
    for directory in DIRECTORIES.iter().map(Path::new).chain(directories.iter().map(PathBuf::as_path)) {
        image.archive.directory(directory)?;
    }
    image.top_level_links()?;
    let own = std::env::current_exe().context("this program")?;
    image.built(&own, Path::new(INIT))?;
    for program in built {
        image.built(program, program)?;
    }
    for name in PROGRAMS {
        let missing = || MissingTool::new(format!("no {name} to put into the guest"), [] as [&str; 0]);
        let path = context.search_path.find(name).ok_or_else(missing)?;
        image.host(&path)?;
        image.libraries(&path)?;
    }
    image.archive.finish()
}

/// What the guest is to do, to be appended to the rest.
pub fn plan(plan: &Plan) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.program(Path::new(PLAN), &serde_json::to_vec(plan)?)?;
    archive.finish()
}

struct Image {
    archive: Archive,
    scratch: PathBuf,
}

impl Image {
    /// Where `/bin` is a link to `/usr/bin`, programs are called by either name.
    fn top_level_links(&mut self) -> Result<()> {
        for entry in fs::read_dir("/").context("/")? {
            let path = entry?.path();
            if let Ok(target) = fs::read_link(&path) {
                self.archive.link(&path, &target)?;
            }
        }
        Ok(())
    }

    /// Adds a program of this workspace, with its libraries, without what a debugger needs: that is most of it.
    fn built(&mut self, program: &Path, place: &Path) -> Result<()> {
        fs::create_dir_all(&self.scratch).with_context(|| self.scratch.display().to_string())?;
        let stripped = self.scratch.join("stripped");
        let mut strip = Command::new("strip");
        command::run(strip.arg("--strip-debug").arg("-o").arg(&stripped).arg(program))?;
        let bytes = fs::read(&stripped).with_context(|| stripped.display().to_string())?;
        fs::remove_file(&stripped).with_context(|| stripped.display().to_string())?;
        self.archive.program(place, &bytes)?;
        self.libraries(program)
    }

    /// Adds a file of the host, unless it is there.
    fn host(&mut self, path: &Path) -> Result<()> {
        let place = behind_top_level_link(path);
        if self.archive.has(&place) {
            return Ok(());
        }
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        self.archive.program(&place, &bytes)
    }

    /// Adds the libraries and the loader of a program.
    fn libraries(&mut self, program: &Path) -> Result<()> {
        libraries::of(program)?.iter().try_for_each(|library| self.host(library))
    }
}

/// `/bin/sh` is `/usr/bin/sh` where `/bin` is a link to `usr/bin`: the archive has the link, and no directory
/// of that name.
fn behind_top_level_link(path: &Path) -> PathBuf {
    let mut components = path.components();
    let (Some(Component::RootDir), Some(Component::Normal(top))) = (components.next(), components.next())
    else {
        return path.to_owned();
    };
    match fs::read_link(Path::new("/").join(top)) {
        Ok(target) => Path::new("/").join(target).join(components.as_path()),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_place_by_whichever_name() {
        let place = behind_top_level_link(Path::new("/bin/sh"));
        assert_eq!(fs::canonicalize(place).unwrap(), fs::canonicalize("/bin/sh").unwrap());
        assert_eq!(behind_top_level_link(Path::new("/proc/self/exe")), Path::new("/proc/self/exe"));
    }
}
