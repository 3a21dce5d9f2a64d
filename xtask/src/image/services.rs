//! The image of the services that are stopped in a cluster's tests: programs of this machine with their libraries,
//! and the zoo's scripts. There is no registry to take one from.

use super::{Archive, Image, Packing};
use crate::context::Context;
use crate::failure::MissingTool;
use crate::{command, libraries};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the image is called.
pub const NAME: &str = "localhost/shutdown-probe-services:dev";
/// nginx alone, which asks for SIGQUIT as its makers' image does.
pub const NGINX: &str = "localhost/shutdown-probe-nginx:dev";
/// In the image, with the script beside it.
const SCRIPT: &str = "/zoo/server.js";

/// Builds them and returns where they are.
///
/// # Errors
/// [`MissingTool`] when a program is not installed; otherwise when a file cannot be read or written.
pub fn run(context: &Context) -> Result<Vec<PathBuf>> {
    let mut files = common(context, &["node", "nginx"])?;
    let script = context.workspace.root().join("zoo/servers/server.js");
    files.file(Path::new(SCRIPT), &fs::read(&script).with_context(|| script.display().to_string())?)?;
    let services = Image::new(NAME, files, ["node", SCRIPT]);
    let nginx = Image::new(NGINX, common(context, &["nginx"])?, ["nginx"]).stop_signal("SIGQUIT");
    Ok(vec![write(context, &services, "services")?, write(context, &nginx, "nginx")?])
}

fn write(context: &Context, image: &Image, name: &str) -> Result<PathBuf> {
    let directory = context.workspace.target().join("image");
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let path = directory.join(name).with_extension("tar");
    fs::write(&path, image.pack(Packing::Plain)?).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(path)
}

/// A shell, these programs, and what they look for.
fn common(context: &Context, programs: &[&str]) -> Result<Archive> {
    let mut files = Archive::default();
    busybox(context, &mut files)?;
    programs.iter().try_for_each(|name| program(context, &mut files, name))?;
    // nginx runs as root here, and looks its user up all the same.
    files.file(Path::new("/etc/passwd"), b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")?;
    files.file(Path::new("/etc/group"), b"root:x:0:\nnogroup:x:65534:\n")?;
    for directory in ["/tmp", "/gates", "/var/log/nginx", "/var/lib/nginx", "/run"] {
        files.directory(Path::new(directory), 0o1777)?;
    }
    Ok(files)
}

fn find(context: &Context, name: &str) -> Result<PathBuf> {
    let found = context.search_path.find(name);
    found.ok_or_else(|| MissingTool::new(format!("no {name} for the image"), ["cargo xtask setup"]).into())
}

/// As `/usr/bin/NAME`, with its libraries where it looks for them.
fn program(context: &Context, files: &mut Archive, name: &str) -> Result<()> {
    let path = find(context, name)?;
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    files.program(&Path::new("/usr/bin").join(name), &read(&path)?)?;
    for library in libraries::of(&path)? {
        files.program(&library, &read(&library)?)?;
    }
    Ok(())
}

/// The shell and what it calls.
fn busybox(context: &Context, files: &mut Archive) -> Result<()> {
    let path = find(context, "busybox")?;
    files
        .program(Path::new("/bin/busybox"), &fs::read(&path).with_context(|| path.display().to_string())?)?;
    for applet in
        command::read(Command::new(&path).arg("--list"))?.lines().filter(|applet| *applet != "busybox")
    {
        files.link(&Path::new("/bin").join(applet), "busybox")?;
    }
    Ok(())
}
