//! `bench`: what the probe costs.
//!
//! Invariants: a cost is a difference or a ratio of things measured in turn in one run, for machines differ and
//! have moods; a measurement that fails is an error, never a number; whatever is changed for a measurement is
//! put back, even if this program is killed.

mod afterwards;
mod arena;
mod daemon;
mod delay;
mod footprint;
mod hooks;
mod http;
mod kernel_objects;
mod load;
mod machine;
mod observer;
mod plan;
mod process;
mod remains;
mod report;
mod statistics;
mod table;
mod throughput;

use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use anyhow::{Context as _, Result};
use arena::Arena;
use clap::{Args, ValueEnum};
use plan::Plan;
use report::{Report, shown};
use std::env;
use std::fs::{self, File};
use std::path::PathBuf;

const WHY: &str = "load eBPF programs, make cgroups and read the kernel's statistics for the benchmarks";

/// What can be typed after `cargo xtask bench`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Fewer and shorter measurements: a look, not a result
    #[arg(long)]
    quick: bool,
    /// Also write all measurements to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this alone
    #[arg(long, value_name = "SECTION")]
    only: Option<Section>,
    /// Measure the daemon that was built before
    #[arg(long)]
    no_build: bool,
    /// Said to ourselves, once root and in a network namespace of our own
    #[arg(long, hide = true)]
    inside: bool,
}

/// Nothing but the loopback interface: what is measured is open to nobody, and nobody's packet filter and old
/// connections are measured.
const ALONE: &str = "ip link set lo up && exec \"$@\"";

/// One measurement. The order is that of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Time in each eBPF program, per event and per request
    Hooks,
    /// Memory, and CPU time of the idle daemon
    Footprint,
    /// From the end of a process to the metric that tells its losses
    Delay,
    /// What is left in the kernel after the daemon was killed
    Remains,
    /// Requests a second with and without the daemon, and with its peers
    Throughput,
}

/// Builds, becomes root, measures.
///
/// # Errors
/// [`MissingTool`] when a program to measure with is not there; otherwise when a measurement fails.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    if !arguments.inside {
        return outside(context, arguments);
    }
    let report = measure(context, arguments)?;
    match &arguments.json {
        None => Ok(()),
        Some(path) => {
            fs::write(path, serde_json::to_vec_pretty(&report)?).with_context(|| path.display().to_string())
        }
    }
}

fn outside(context: &Context, arguments: &Arguments) -> Result<()> {
    require(context, &["nginx", "wrk", "bpftool", "taskset", "findmnt", "unshare", "ip"])?;
    if !arguments.no_build {
        build::run(context, Profile::Release)?;
    }
    let own = env::current_exe().context("where this program is")?;
    let variables = [("PATH", context.search_path.value()?)];
    let mut root = context.elevation.command("unshare", &variables, WHY)?;
    root.args(["--net", "--", "sh", "-c", ALONE, "sh"]).arg(own).args(["bench", "--inside"]);
    root.args(arguments.quick.then_some("--quick"));
    if let Some(section) = arguments.only.and_then(|section| section.to_possible_value()) {
        root.args(["--only", section.get_name()]);
    }
    if let Some(path) = &arguments.json {
        // Made here, so that it belongs to the user.
        File::create(path).with_context(|| path.display().to_string())?;
        root.arg("--json").arg(path);
    }
    command::run(&mut root)
}

fn require(context: &Context, programs: &[&str]) -> Result<()> {
    let missing: Vec<_> =
        programs.iter().filter(|name| context.search_path.find(name).is_none()).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(MissingTool::new(format!("not installed: {}", missing.join(", ")), ["cargo xtask setup"]).into())
}

/// Writes each section as soon as it is measured.
fn measure(context: &Context, arguments: &Arguments) -> Result<Report> {
    let plan = Plan::new(arguments.quick);
    let wanted = |section| arguments.only.is_none_or(|only| only == section);
    let arena = Arena::make(context)?;
    let mut report = Report::begin(machine::describe(context)?, plan);
    if wanted(Section::Hooks) {
        report.hooks = Some(shown("Cost of each hook", hooks::measure(&arena, &plan)?));
    }
    if wanted(Section::Footprint) {
        report.footprint = Some(shown("Footprint", footprint::measure(&arena, &plan)?));
    }
    if wanted(Section::Delay) {
        report.delay = Some(shown("From exit to metric", delay::measure(&arena, &plan)?));
    }
    if wanted(Section::Remains) {
        report.remains = Some(shown("After the daemon", remains::measure(&arena)?));
    }
    if wanted(Section::Throughput) {
        report.throughput = Some(shown("Throughput", throughput::measure(&arena, &plan)?));
    }
    Ok(report)
}

/// Says what is being done, apart from the results.
fn progress(what: &str) {
    eprintln!("bench: {what}");
}
