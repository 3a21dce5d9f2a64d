//! `cluster`: a real Kubernetes on this machine, from its sources, with nothing but the distribution's packages.
//!
//! Invariants: one cluster per machine; what it changes on the machine, `down` undoes; what runs as root was built as
//! the user.

mod component;
mod configuration;
mod containerd;
mod down;
mod keys;
mod layout;
mod network;
pub mod programs;
mod state;
mod up;
mod wait;

use crate::command;
use crate::context::Context;
use crate::setup;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use layout::Layout;
use state::State;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can be typed after `cargo xtask cluster`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// We are root
    #[arg(long, hide = true)]
    inside: bool,
    /// Where the programs are
    #[arg(long, hide = true, value_name = "DIR")]
    programs: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it, and return when its node is ready
    Up {
        /// Use this cluster instead of making one: only check that it answers
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
    /// Stop it, and undo all that it has changed
    Down,
    /// Say whether it is up; exit status 1 if not
    Status {
        /// Ask about this cluster instead
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
    /// Import image archives
    Load {
        /// Such as target/image/shutdown-probe.tar
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Stop one of its programs, as if it had crashed
    Stop {
        /// Such as kube-apiserver
        program: String,
    },
    /// Start it again
    Start {
        /// Such as kube-apiserver
        program: String,
    },
}

const WHY: &str = "run a cluster: containers, bridges, packet filter rules";

/// A cluster to talk to.
#[derive(Clone, Debug)]
pub struct Access {
    pub kubeconfig: PathBuf,
    pub kubectl: PathBuf,
}

impl Access {
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}

/// Does what was asked.
///
/// # Errors
/// [`crate::failure::MissingTool`] when a program is not there; otherwise when it does not come up or down.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    if arguments.inside {
        return inside(context, arguments);
    }
    match &arguments.action {
        Action::Up { kubeconfig: Some(file) } | Action::Status { kubeconfig: Some(file) } => {
            describe(&others(context, file.clone())?)
        }
        Action::Up { kubeconfig: None } => up(context).map(|_| ()),
        Action::Status { kubeconfig: None } => status(context),
        Action::Down => as_root(context, None, &["down".into()]),
        Action::Load { archives } => load(context, archives),
        Action::Stop { program } => as_root(context, None, &["stop".into(), program.into()]),
        Action::Start { program } => as_root(context, None, &["start".into(), program.into()]),
    }
}

/// Starts the cluster unless it is up.
pub fn up(context: &Context) -> Result<Access> {
    setup::ensure_cluster(context)?;
    let programs = programs::ensure(context, programs::KUBERNETES)?;
    as_root(context, Some(&programs), &["up".into()])?;
    Ok(Access { kubeconfig: Layout::of_this_machine().kubeconfig(), kubectl: programs.join("kubectl") })
}

/// The cluster of this machine, if it is up.
pub fn running(context: &Context) -> Result<Option<Access>> {
    let layout = Layout::of_this_machine();
    match State::read(&layout)? {
        Some(state) if state.is_alive() => others(context, layout.kubeconfig()).map(Some),
        _ => Ok(None),
    }
}

/// Does something with the cluster of this machine. One that was up stays up; one that was not is taken down again,
/// whatever came of it.
pub fn during<T>(context: &Context, work: impl FnOnce(&Access) -> Result<T>) -> Result<T> {
    if let Some(access) = running(context)? {
        return work(&access);
    }
    let done = up(context).and_then(|access| work(&access));
    let down = as_root(context, None, &["down".into()]);
    let done = done?;
    down.context("taking the cluster down").map(|()| done)
}

/// The user's own cluster.
pub fn others(context: &Context, kubeconfig: PathBuf) -> Result<Access> {
    let installed = context.search_path.find("kubectl");
    let kubectl = match installed {
        Some(kubectl) => kubectl,
        None => programs::ensure(context, programs::KUBERNETES)?.join("kubectl"),
    };
    Ok(Access { kubeconfig, kubectl })
}

/// What the cluster of this machine was asked by the daemon, as its API server writes it down.
pub fn audit_log() -> PathBuf {
    Layout::of_this_machine().audit_log()
}

/// Imports image archives into the cluster of this machine.
pub fn load(context: &Context, archives: &[PathBuf]) -> Result<()> {
    let mut words = vec![OsString::from("load")];
    for archive in archives {
        words.push(std::path::absolute(archive)?.into());
    }
    as_root(context, None, &words)
}

fn as_root(context: &Context, programs: Option<&Path>, words: &[OsString]) -> Result<()> {
    let own = env::current_exe().context("where this program is")?;
    let mut root = context.elevation.command(own, &[("PATH", context.search_path.value()?)], WHY)?;
    root.args(["cluster", "--inside"]);
    if let Some(programs) = programs {
        root.arg("--programs").arg(programs);
    }
    root.args(words);
    command::run(&mut root)
}

fn inside(context: &Context, arguments: &Arguments) -> Result<()> {
    let layout = Layout::of_this_machine();
    match &arguments.action {
        Action::Up { .. } => up::run(context, arguments.programs.as_deref().context("no --programs")?),
        Action::Down => down::run(),
        Action::Load { archives } => {
            archives.iter().try_for_each(|archive| containerd::load(&layout, archive))
        }
        Action::Stop { program } => change(&layout, |state| state.component(program)?.kill()),
        Action::Start { program } => change(&layout, |state| state.component(program)?.start(&layout)),
        Action::Status { .. } => bail!("the status is everybody's to ask"),
    }
}

fn change(layout: &Layout, act: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
    let mut state = State::read(layout)?.context("there is no cluster: cargo xtask cluster up")?;
    act(&mut state)?;
    state.write(layout)
}

fn status(context: &Context) -> Result<()> {
    let layout = Layout::of_this_machine();
    let Some(state) = State::read(&layout)? else { bail!("there is no cluster: cargo xtask cluster up") };
    for component in &state.components {
        println!("{:<24} {}", component.name, if component.is_running() { "runs" } else { "does not run" });
    }
    let kubectl = state.programs.join("kubectl");
    if !state.is_alive() {
        bail!("nothing of it runs any more: cargo xtask cluster down");
    }
    println!("export KUBECONFIG={}", layout.kubeconfig().display());
    let kubectl = if kubectl.exists() { kubectl } else { others(context, layout.kubeconfig())?.kubectl };
    describe(&Access { kubeconfig: layout.kubeconfig(), kubectl })
}

fn describe(access: &Access) -> Result<()> {
    command::run(access.kubectl().args(["get", "nodes", "-o", "wide"]))
}
