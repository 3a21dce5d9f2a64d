//! Tests that load eBPF programs: `shutdown-probe/tests/kernel*.rs`, behind the feature `kernel-tests`.
//!
//! They are built as the current user and run as root. Invariant: none is left out in silence. A file without
//! a test target, a target without a test, and an ignored test all fail here.

use crate::build::Profile;
use crate::cargo::{self, Executable};
use crate::command;
use crate::context::Context;
use crate::vm::own;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

const PACKAGE: &str = "shutdown-probe";
const FEATURE: &str = "kernel-tests";
const PREFIX: &str = "kernel";
const WHY: &str = "load eBPF programs in the kernel tests";

/// Builds and runs all of them, and holds the verifier's work to what is recorded of this kernel.
pub fn run(context: &Context) -> Result<()> {
    let tests = build(context, Profile::Dev)?;
    let table = own::variable(context)?;
    tests.iter().try_for_each(|test| run_as_root(context, test, &table, &[]))?;
    own::compare(context)
}

/// Builds them and runs one, which leaves the list of programs.
pub fn run_one(context: &Context, target: &str, name: &str) -> Result<()> {
    let tests = build(context, Profile::Dev)?;
    let test = tests.iter().find(|test| test.name == target);
    let test = test.with_context(|| format!("there is no {target}"))?;
    run_as_root(context, test, &own::variable(context)?, &["--exact", name])
}

/// Builds all of them, and the daemon they run.
pub fn build(context: &Context, profile: Profile) -> Result<Vec<Executable>> {
    let directory = context.workspace.daemon_crate();
    let expected = test_files(&directory.join("tests"))?;
    ensure!(!expected.is_empty(), "there is no {PACKAGE}/tests/{PREFIX}*.rs to run");
    let built = compile(context, profile)?;
    let missing: Vec<_> =
        expected.iter().filter(|name| built.iter().all(|test| test.name != **name)).collect();
    if !missing.is_empty() {
        bail!("no [[test]] with required-features = [\"{FEATURE}\"] in {PACKAGE}/Cargo.toml for {missing:?}");
    }
    Ok(built)
}

fn compile(context: &Context, profile: Profile) -> Result<Vec<Executable>> {
    let mut build = cargo::workspace(context, "test")?;
    build.args([
        "--package",
        PACKAGE,
        "--features",
        FEATURE,
        "--test",
        "kernel*",
        "--no-run",
        "--profile",
        profile.name(),
    ]);
    let mut built = cargo::executables(&mut build)?;
    // The daemon itself is built along.
    built.retain(|executable| executable.name.starts_with(PREFIX));
    Ok(built)
}

fn run_as_root(
    context: &Context,
    test: &Executable,
    table: &(&'static str, OsString),
    arguments: &[&str],
) -> Result<()> {
    let list = command::read(Command::new(&test.path).args(["--list", "--format", "terse"]))?;
    ensure!(list.lines().any(|line| line.ends_with(": test")), "{} contains no test", test.name);
    println!("{}", test.name);
    let variables = [("PATH", context.search_path.value()?), ("RUST_BACKTRACE", "1".into()), table.clone()];
    let mut command = context.elevation.command(&test.path, &variables, WHY)?;
    // One at a time: there is one kernel, and they measure time in it.
    command.args(["--include-ignored", "--test-threads=1"]).args(arguments);
    command.current_dir(context.workspace.daemon_crate());
    command::run(&mut command)
}

/// The names of test targets that the files ask for.
fn test_files(directory: &Path) -> Result<BTreeSet<String>> {
    if !directory.exists() {
        return Ok(BTreeSet::new());
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        names.extend(target_name(&entry?.path()));
    }
    Ok(names)
}

fn target_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let is_test = path.extension().is_some_and(|extension| extension == "rs") && stem.starts_with(PREFIX);
    is_test.then(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_targets() {
        assert_eq!(target_name(Path::new("tests/kernel.rs")).as_deref(), Some("kernel"));
        assert_eq!(target_name(Path::new("tests/kernel_fates.rs")).as_deref(), Some("kernel_fates"));
        assert_eq!(target_name(Path::new("tests/cli.rs")), None);
        assert_eq!(target_name(Path::new("tests/kernel")), None, "a directory of helpers");
    }
}
