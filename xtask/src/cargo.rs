//! Calling cargo from a program that cargo runs.
//!
//! Invariant: what cargo said to *us* in the environment never reaches the cargo we call. It would change
//! fingerprints (and so rebuild crates over and over) or hand one compiler the settings of another.

use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// By this rustup's rustc knows which one it is. Without it, it believes a `rust-toolchain.toml` that some
/// dependency has left in its package, and goes to download that.
const TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";

/// cargo, of the toolchain that runs us, on the workspace.
pub fn workspace(context: &Context, subcommand: &str) -> Result<Command> {
    let mut command = Command::new(own_cargo());
    remove_variables(&mut command, is_about_xtask);
    command
        .arg(subcommand)
        .current_dir(context.workspace.root())
        .env("PATH", context.search_path.value()?)
        // Fixed, whatever the user's configuration: other things rely on where the results lie.
        .env("CARGO_TARGET_DIR", context.workspace.target());
    Ok(command)
}

/// cargo, of the toolchain that runs us, for things outside of the workspace.
pub fn own(context: &Context, subcommand: &str) -> Result<Command> {
    let mut command = Command::new(own_cargo());
    remove_variables(&mut command, is_about_build);
    command.arg(subcommand).env("PATH", context.search_path.value()?);
    Ok(command)
}

/// Makes `command`, the cargo of another toolchain, deaf to what was said to ours.
pub fn isolate(command: &mut Command) {
    remove_variables(command, is_about_build);
    command.env_remove(TOOLCHAIN);
}

fn own_cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn remove_variables(command: &mut Command, leaks: fn(&str) -> bool) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            command.env_remove(&name);
        }
    }
}

/// What `cargo run` says of the package it runs.
fn is_about_xtask(name: &str) -> bool {
    name == "CARGO"
        || ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// All that steers a build, less what the user says of the network and of directories.
fn is_about_build(name: &str) -> bool {
    const COMPILER: [&str; 7] = [
        "RUSTC",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
    ];
    const USERS: [&str; 8] = [
        "CARGO_BUILD_JOBS",
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_INSTALL_ROOT",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let of_cargo = name == "CARGO" || name.starts_with("CARGO_");
    COMPILER.contains(&name) || (of_cargo && !USERS.iter().any(|prefix| name.starts_with(prefix)))
}

/// One line of `--message-format=json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// A program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
pub struct Executable {
    pub name: String,
    pub path: PathBuf,
}

/// Runs a cargo build and returns the programs it made, new or still fresh.
///
/// # Errors
/// When the build fails.
pub fn executables(build: &mut Command) -> Result<Vec<Executable>> {
    let messages = command::read(build.arg("--message-format=json-render-diagnostics"))?;
    parse_executables(&messages)
}

fn parse_executables(messages: &str) -> Result<Vec<Executable>> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).context("a message of cargo")?;
        if let Message { target: Some(target), executable: Some(path) } = message {
            found.push(Executable { name: target.name, path });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_does_not_leak() {
        for name in ["RUSTC", "RUSTFLAGS", "CARGO", "CARGO_ENCODED_RUSTFLAGS"] {
            assert!(is_about_build(name), "{name}");
        }
        for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_PROFILE_RELEASE_LTO", "CARGO_PKG_NAME"]
        {
            assert!(is_about_build(name), "{name}");
        }
    }

    #[test]
    fn another_toolchain_is_not_taken_for_ours() {
        let mut command = Command::new("cargo");
        isolate(&mut command);
        assert!(command.get_envs().any(|variable| variable == (TOOLCHAIN.as_ref(), None)));
    }

    #[test]
    fn the_users_word_on_network_and_directories_stays() {
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX", "CARGO_REGISTRY_TOKEN"] {
            assert!(!is_about_build(name), "{name}");
        }
        for name in [
            "CARGO_HTTP_PROXY",
            "CARGO_TERM_COLOR",
            "PATH",
            "HOME",
            "RUST_BACKTRACE",
            "RUSTUP_HOME",
            TOOLCHAIN,
        ] {
            assert!(!is_about_build(name), "{name}");
        }
    }

    #[test]
    fn the_workspace_keeps_its_flags_and_toolchain() {
        for name in ["RUSTFLAGS", TOOLCHAIN, "RUSTC_WRAPPER", "CARGO_PROFILE_DEV_DEBUG"] {
            assert!(!is_about_xtask(name), "{name}");
        }
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_VERSION"] {
            assert!(is_about_xtask(name), "{name}");
        }
    }

    #[test]
    fn executables_are_the_artifacts_that_can_run() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"anyhow","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"build-script-executed","package_id":"x"}"#,
            "\nnoise of a build script\n",
            r#"{"reason":"compiler-artifact","target":{"name":"kernel","kind":["test"]},"executable":"/t/kernel-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let expected = Executable { name: "kernel".into(), path: "/t/kernel-1".into() };
        assert_eq!(parse_executables(messages).unwrap(), [expected]);
    }
}
