//! Form: rustfmt and clippy.

use crate::build;
use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::image::Architecture;
use crate::terminal::stdout;
use anyhow::Result;
use std::process::Command;

/// Both sides.
pub fn format(context: &Context) -> Result<()> {
    // Left to itself, rustfmt colours what nobody looks at.
    let colour = stdout().option();
    command::run(cargo::workspace(context, "fmt")?.args(["--all", "--check", "--", colour]))?;
    let mut ebpf = cargo::workspace(context, "fmt")?;
    ebpf.arg("--manifest-path").arg(context.workspace.ebpf_crate().join("Cargo.toml"));
    command::run(ebpf.args(["--check", "--", colour]))
}

/// Both sides. All features, or the kernel tests would not be looked at.
pub fn clippy(context: &Context) -> Result<()> {
    let mut user_space = cargo::workspace(context, "clippy")?;
    command::run(user_space.args([
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))?;
    command::run(ebpf_clippy(context)?.args(["--", "-D", "warnings"]))
}

/// The eBPF side is looked at as if it were for the host: its own compiler may come without clippy, and the
/// stable one without a core library for the real target.
fn ebpf_clippy(context: &Context) -> Result<Command> {
    let mut clippy = cargo::own(context, "clippy")?;
    clippy
        .arg("--target-dir")
        .arg(context.workspace.ebpf_target(Architecture::of_this_machine()).join("clippy"))
        .current_dir(context.workspace.ebpf_crate())
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            build::architecture_flags(Architecture::of_this_machine()).join("\x1f"),
        );
    Ok(clippy)
}
