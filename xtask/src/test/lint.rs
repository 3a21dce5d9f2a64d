//! Form: rustfmt and clippy.

use crate::cargo;
use crate::command;
use crate::context::Context;
use anyhow::Result;

/// Both sides.
pub fn format(context: &Context) -> Result<()> {
    command::run(cargo::workspace(context, "fmt")?.args(["--all", "--check"]))?;
    let manifest = context.workspace.ebpf_crate().join("Cargo.toml");
    command::run(cargo::workspace(context, "fmt")?.arg("--manifest-path").arg(manifest).arg("--check"))
}

/// All features, or the kernel tests would not be looked at.
pub fn clippy(context: &Context) -> Result<()> {
    let mut clippy = cargo::workspace(context, "clippy")?;
    command::run(clippy.args(["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))
}
