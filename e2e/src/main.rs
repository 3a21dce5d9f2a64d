//! The daemon in a real cluster, judged: pods end in every way that Kubernetes has, under clients that keep the truth.
//!
//! Invariants: the daemon is used by its public interfaces alone; what a client saw is the truth; a case that cannot
//! be played is said to be so, and is no success.

mod case;
mod cli;
mod daemon;
mod dashboards;
mod judge;
mod kubectl;
mod logind;
mod manifest;
mod measure;
mod prometheus;
mod report;
mod run;
mod stage;
mod watch;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run::run(&cli::Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::from(2)
        }
    }
}
