//! `e2e`: makes everything ready for the judge in a real cluster, and starts it.

use crate::build::{self, Profile};
use crate::cluster::{self, Access};
use crate::command;
use crate::context::Context;
use crate::deploy::chart::Chart;
use crate::failure::MissingTool;
use crate::image::{self, services};
use anyhow::{Context as _, Result};
use clap::Args;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can be typed after `cargo xtask e2e`.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Only cases of this name; `*` stands for anything
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Only one case of each kind, none of which plays alone
    #[arg(long, conflicts_with = "cases")]
    core: bool,
    /// List the cases and what they show
    #[arg(long)]
    list: bool,
    /// Keep the namespaces of the cases
    #[arg(long)]
    keep: bool,
    /// How many cases are played at the same time
    #[arg(long, value_name = "N")]
    jobs: Option<u8>,
    /// Use this cluster. Its pods must be reachable from here by their addresses
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// What loads an image archive, its last argument, into that cluster's nodes
    #[arg(long, value_name = "COMMAND", requires = "kubeconfig")]
    load_command: Option<String>,
    /// Measure what the daemon costs the cluster and how soon it tells, instead of playing cases
    #[arg(long, conflicts_with_all = ["cases", "core", "list", "standalone"])]
    measure: bool,
    /// For how long the daemon is left alone to measure it at rest
    #[arg(long, value_name = "SECONDS", requires = "measure")]
    idle_seconds: Option<u16>,
    /// Run the daemon without Kubernetes: what it says is judged, names are not
    #[arg(long)]
    standalone: bool,
}

/// One case of each kind, none of which plays alone: what a change has to pass.
const CORE: [&str; 16] = [
    "delete",
    "evict",
    "scale-down",
    "rollout-exit",
    "rollout-drain",
    "rollout-stateful-set",
    "recreate",
    "dual-stack",
    "liveness",
    "oom",
    "crash-again",
    "proxy-sidecar",
    "stop-signal",
    "exec",
    "service-rollout",
    "plugin",
];

impl Arguments {
    /// The core.
    pub fn core() -> Self {
        Self { core: true, ..Self::default() }
    }
}

/// Builds, installs, judges.
///
/// # Errors
/// When something cannot be built or installed, or is not as it should be.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    build::package(context, "e2e", Profile::Dev)?;
    let mut judge = Command::new(context.workspace.target().join("debug/e2e"));
    let core = CORE.into_iter().filter(|_| arguments.core);
    for case in arguments.cases.iter().map(String::as_str).chain(core) {
        judge.args(["--case", case]);
    }
    if arguments.list {
        return command::run(judge.arg("--list"));
    }
    let prometheus = context.search_path.find("prometheus");
    let prometheus = prometheus.ok_or_else(|| MissingTool::new("no prometheus", ["cargo xtask setup"]))?;
    let mut archives = services::run(context)?;
    let daemon = image::usual(context)?;
    archives.push(daemon.clone());
    let access = match &arguments.kubeconfig {
        Some(kubeconfig) => cluster::others(context, kubeconfig.clone())?,
        None => cluster::up(context)?,
    };
    load(context, arguments, &archives)?;
    install(context, arguments, &access, &daemon)?;
    judge.arg("--kubeconfig").arg(&access.kubeconfig).arg("--kubectl").arg(&access.kubectl);
    judge.arg("--prometheus").arg(prometheus).arg("--plugin").arg(image::program(context));
    judge.args(arguments.keep.then_some("--keep"));
    judge.args(arguments.standalone.then_some("--standalone"));
    if let Some(jobs) = arguments.jobs {
        judge.args(["--jobs", &jobs.to_string()]);
    }
    judge.args(arguments.measure.then_some("--measure"));
    if let Some(seconds) = arguments.idle_seconds {
        judge.args(["--idle-seconds", &seconds.to_string()]);
    }
    if arguments.kubeconfig.is_none() {
        judge.arg("--audit-log").arg(cluster::audit_log());
        let own = std::env::current_exe().context("where this program is")?;
        judge.arg("--component-command").arg(format!("{} cluster", own.display()));
    }
    command::run(&mut judge)
}

fn load(context: &Context, arguments: &Arguments, archives: &[PathBuf]) -> Result<()> {
    if arguments.kubeconfig.is_none() {
        return cluster::load(context, archives);
    }
    let Some(loader) = &arguments.load_command else {
        println!("no --load-command: the images are taken to be on the nodes already");
        return Ok(());
    };
    let mut words = loader.split_whitespace();
    let program = words.next().context("--load-command is empty")?;
    let words: Vec<&str> = words.collect();
    archives.iter().try_for_each(|archive| command::run(Command::new(program).args(&words).arg(archive)))
}

/// The zoo's rule of truth fixes the linger; a new image makes new pods, though its name stays.
fn install(context: &Context, arguments: &Arguments, access: &Access, archive: &Path) -> Result<()> {
    let digest = Sha256::digest(fs::read(archive).with_context(|| archive.display().to_string())?);
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let annotation = format!("podAnnotations={{\"image-archive\": \"{digest}\"}}");
    let standalone = arguments.standalone;
    let options = format!("options={{\"linger\": \"3s\", \"standalone\": {standalone}}}");
    println!("installing with helm");
    Chart::open(context)?.install(access, &[&annotation, &options, "image.pullPolicy=\"Never\""])
}
