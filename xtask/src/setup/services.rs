//! Packages of servers start them, now and at each boot. Tests need the programs and not the services.

use crate::command;
use crate::context::Context;
use crate::terminal::{Status, line};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

const WHY: &str = "keep the services of installed packages from starting";

/// Runs `install` so that none of `services` runs afterwards.
///
/// Under systemd they are masked meanwhile, in /run only, so that nothing stays if this is interrupted; then
/// disabled. Elsewhere Debian's own policy may have let an init script run: it is stopped.
pub fn kept_off(context: &Context, services: &[&str], install: impl FnOnce() -> Result<()>) -> Result<()> {
    if services.is_empty() {
        return install();
    }
    let names = services.join(", ");
    line(
        Status::Note,
        "services",
        format!("their packages would start {names}; they are kept off, now and at boot"),
    );
    if is_systemd() {
        systemctl(context, &["mask", "--runtime"], services)?;
        let installed = install();
        systemctl(context, &["unmask", "--runtime"], services)?;
        installed?;
        systemctl(context, &["disable"], services)
    } else {
        install()?;
        services.iter().try_for_each(|service| stop(context, service))
    }
}

/// sd_booted(3).
fn is_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn systemctl(context: &Context, verb: &[&str], services: &[&str]) -> Result<()> {
    let mut command = root(context, "systemctl")?;
    command::run(command.arg("--quiet").args(verb).args(services))
}

fn stop(context: &Context, service: &str) -> Result<()> {
    let script = Path::new("/etc/init.d").join(service);
    if !script.exists() {
        return Ok(());
    }
    command::run(root(context, "update-rc.d")?.args([service, "disable"]))?;
    // Scripts differ in what they say of a service that was not running.
    let _status = root(context, &script.display().to_string())?.arg("stop").status()?;
    Ok(())
}

fn root(context: &Context, program: &str) -> Result<Command> {
    context.elevation.command(program, &[("PATH", context.search_path.value()?)], WHY)
}
