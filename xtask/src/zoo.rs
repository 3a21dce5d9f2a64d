//! `zoo` and `demo`: real services, stopped for real, as root.

use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::setup::{self, Scope};
use anyhow::Result;
use std::ffi::OsString;

const WHY: &str = "load eBPF programs and make cgroups and namespaces for the zoo";

/// Builds the daemon and the zoo, and runs the zoo with `args`.
pub fn run(context: &Context, args: &[OsString]) -> Result<()> {
    build::run(context, Profile::Release)?;
    build::package(context, "zoo", Profile::Release)?;
    let variables = [("PATH", context.search_path.value()?)];
    let mut zoo = context.elevation.command(context.workspace.zoo(), &variables, WHY)?;
    command::run(zoo.args(args).current_dir(context.workspace.root()))
}

/// From a fresh checkout to one termination explained.
pub fn demo(context: &Context) -> Result<()> {
    setup::run(context, Scope::BuildAndTest)?;
    run(context, &["demo".into()])
}
