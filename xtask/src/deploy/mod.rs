//! `deploy`: the Helm chart is the one source of what is installed. The kustomize base is written from it, so that the
//! two cannot drift, and so is the list of its values.
//!
//! Everything is checked from what Helm renders; and, where there is a cluster, by its API server.

pub mod chart;
mod examples;
mod generated;
mod monitoring;
mod objects;
mod patches;
mod rights;
mod server;

use crate::cluster::Access;
use crate::context::Context;
use crate::terminal::stdout;
use anyhow::{Result, bail};
use chart::Chart;
use clap::Args;
use std::path::PathBuf;

/// What can be typed after `cargo xtask deploy`.
#[derive(Args, Debug, Default)]
pub struct Arguments {
    /// Write what is generated, instead of comparing it
    #[arg(long)]
    write: bool,
    /// Let the API server of this cluster judge, too [default: that of `cargo xtask cluster up`, if it is up].
    /// For as long as this takes it gets a namespace, an account and, where it has none, the Prometheus operator's
    /// definitions
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Checks all that is below deploy/.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let chart = Chart::open(context)?;
    let access = access(context, arguments)?;
    step("chart lint", || chart.lint())?;
    step("generated files", || generated::check_or_write(context, &chart, arguments.write))?;
    step("chart examples", || examples::check(&chart))?;
    let overlays = chart::overlays(context)?;
    step("overlays", || overlays.iter().try_for_each(|overlay| chart.kustomize(overlay).map(|_| ())))?;
    let Some(access) = access else {
        println!("{:<18} not run: there is no cluster (cargo xtask cluster up)", "API server");
        return Ok(());
    };
    step("API server", || server::check(context, &chart, &access, &overlays))
}

fn access(context: &Context, arguments: &Arguments) -> Result<Option<Access>> {
    match &arguments.kubeconfig {
        Some(kubeconfig) => crate::cluster::others(context, kubeconfig.clone()).map(Some),
        None => crate::cluster::running(context),
    }
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    match check() {
        Ok(()) => {
            println!("{name:<18} {}", stdout().green("ok"));
            Ok(())
        }
        Err(error) => bail!("{name}: {error:#}"),
    }
}
