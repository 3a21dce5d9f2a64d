//! `zoo` and `demo`: real services, stopped for real, as root.

use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::setup::{self, Scope};
use anyhow::Result;
use std::ffi::OsString;

const WHY: &str = "load eBPF programs and make cgroups and namespaces for the zoo";

/// Installs and compiles the servers, which other tests use too.
///
/// # Errors
/// When a program is missing, or does not compile.
pub fn prepare(context: &Context) -> Result<()> {
    build::package(context, "zoo", Profile::Release)?;
    play(context, &["prepare".into()])
}

/// Builds the daemon and the zoo, and runs the zoo with `args`.
pub fn run(context: &Context, args: &[OsString]) -> Result<()> {
    build::run(context, Profile::Release)?;
    build::package(context, "zoo", Profile::Release)?;
    play(context, args)
}

fn play(context: &Context, args: &[OsString]) -> Result<()> {
    let variables = [("PATH", context.search_path.value()?)];
    let mut zoo = context.elevation.command(context.workspace.zoo(), &variables, WHY)?;
    command::run(zoo.args(args).current_dir(context.workspace.root()))
}

/// From a fresh checkout to one termination explained.
pub fn demo(context: &Context) -> Result<()> {
    setup::run(context, Scope::BuildAndTest)?;
    run(context, &["demo".into()])
}
