//! `dashboards`: what Grafana shows is made from the daemon itself, and nothing of it is believed. Grafana's own schema
//! reads the files; a real Prometheus that scrapes real daemons answers every query, and its numbers must be those of the
//! clients.
//!
//! It deliberately starts no Grafana: there is none in the package registries that the project uses.

use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 3] = ["overview", "probe", "workload"];
const WHY: &str = "load eBPF programs, and make cgroups for the services whose numbers the dashboards show";

/// What can be typed after `cargo xtask dashboards`.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Write what is generated, and check no more
    #[arg(long)]
    write: bool,
    /// With the dev profile
    #[arg(long)]
    debug: bool,
}

/// Checks dashboards, recording rules and scorecard.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let profile = Profile::from_debug(arguments.debug);
    build::run(context, profile)?;
    generated(context, profile, arguments.write)?;
    if arguments.write {
        return Ok(());
    }
    schema(context)?;
    build::package(context, "zoo", profile)?;
    fleet(context, profile)
}

/// Where they are.
pub fn files(context: &Context) -> Vec<PathBuf> {
    NAMES.iter().map(|name| directory(context).join(name).with_extension("json")).collect()
}

fn directory(context: &Context) -> PathBuf {
    context.workspace.root().join("deploy/dashboards")
}

fn generated(context: &Context, profile: Profile, write: bool) -> Result<()> {
    for (name, path) in NAMES.iter().zip(files(context)) {
        let mut generate = Command::new(context.workspace.daemon(profile));
        let text = command::read(generate.args(["generate", "dashboard", name]))?;
        if write {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
            continue;
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            written == text,
            "{} is out of date; cargo xtask dashboards --write writes it",
            path.display()
        );
    }
    let strangers = strangers(&directory(context))?;
    ensure!(strangers.is_empty(), "nothing generates these: {strangers:?}");
    Ok(())
}

fn strangers(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    let is_known = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        path.extension().is_none_or(|extension| extension != "json") || NAMES.contains(&stem)
    };
    Ok(paths.into_iter().filter(|path| !is_known(path)).collect())
}

/// Grafana's own schema, strictly.
fn schema(context: &Context) -> Result<()> {
    let mut check = Command::new("go");
    check.args(["run", "."]).args(files(context)).current_dir(context.workspace.root().join("xtask/grafana"));
    command::run(&mut check)?;
    println!("{} dashboards are as Grafana's schema has them", NAMES.len());
    Ok(())
}

fn fleet(context: &Context, profile: Profile) -> Result<()> {
    let prometheus = context.search_path.find("prometheus");
    let prometheus = prometheus.ok_or_else(|| MissingTool::new("no prometheus", ["cargo xtask setup"]))?;
    let variables = [("PATH", context.search_path.value()?)];
    let zoo = context.workspace.target().join(profile.directory()).join("zoo");
    let mut fleet = context.elevation.command(zoo, &variables, WHY)?;
    fleet.arg("fleet").arg("--prometheus").arg(prometheus);
    fleet.arg("--daemon").arg(context.workspace.daemon(profile));
    command::run(fleet.current_dir(context.workspace.root()))
}
