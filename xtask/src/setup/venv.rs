//! The Python environment of the zoo. Made here, as the user: the zoo itself runs as root and only checks the stamp.

use crate::command;
use crate::context::Context;
use crate::terminal::{Status, line};
use anyhow::{Context as _, Result};
use std::fs;
use std::process::Command;

/// A copy of the requirements that the environment was made from.
const STAMP: &str = "requirements.txt";

/// Makes it, or makes it anew when the requirements have changed.
pub fn ensure(context: &Context) -> Result<()> {
    let venv = context.workspace.zoo_venv();
    let path = context.workspace.python_requirements();
    let requirements = fs::read(&path).with_context(|| path.display().to_string())?;
    let stamp = venv.join(STAMP);
    if fs::read(&stamp).is_ok_and(|stamp| stamp == requirements) {
        line(Status::Found, "python packages", venv.display());
        return Ok(());
    }
    line(Status::Installing, "python packages", format!("python3 -m venv {}", venv.display()));
    let python = context.search_path.find("python3").context("python3 has gone")?;
    command::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv))?;
    command::run(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"])
            .arg(&path),
    )?;
    // Last, so that what was interrupted is made anew.
    fs::write(&stamp, requirements).with_context(|| stamp.display().to_string())
}
