//! The command line.

use crate::server::ServerArgs;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Stops real servers under real clients and judges what the daemon says about it.
#[derive(Debug, Parser)]
#[command(name = "zoo", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` if nothing is said
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play cases and compare; exit status 1 if anything differs, 2 if it could not be played
    Run(RunArgs),
    /// Stop the story's service in five ways and say what each cost
    Demo(DemoArgs),
    /// Three daemons and a real Prometheus: scorecard, rules and dashboards against what the clients saw
    Fleet(FleetArgs),
    /// Install and compile the servers that cases need
    Prepare,
    /// The zoo's own server
    #[command(hide = true)]
    Server(ServerArgs),
}

/// Options of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Only cases of this name; `*` stands for anything
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// List the cases and what they show
    #[arg(long)]
    pub list: bool,
    /// How many cases are played at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: u8,
    /// The daemon to judge [default: shutdown-probe beside this program's release build]
    #[arg(long)]
    pub daemon: Option<PathBuf>,
    /// Play without a daemon and say what the clients saw
    #[arg(long)]
    pub truth_only: bool,
    /// Write the results as JSON
    #[arg(long)]
    pub json: bool,
    /// Keep the daemon's log and answers, and say where they are
    #[arg(long)]
    pub keep_logs: bool,
}

/// Options of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// The daemon to ask [default: shutdown-probe beside this program's release build]
    #[arg(long)]
    pub daemon: Option<PathBuf>,
}

/// Options of `fleet`.
#[derive(Args, Clone, Debug)]
pub struct FleetArgs {
    /// The daemon to judge [default: shutdown-probe beside this program's release build]
    #[arg(long)]
    pub daemon: Option<PathBuf>,
    /// The Prometheus to scrape it with
    #[arg(long, default_value = "prometheus")]
    pub prometheus: PathBuf,
    /// The rules it evaluates
    #[arg(long, value_name = "FILE", default_value = "deploy/alerts/rules.yaml")]
    pub rules: PathBuf,
    /// The dashboards whose queries it answers
    #[arg(long, value_name = "DIR", default_value = "deploy/dashboards")]
    pub dashboards: PathBuf,
}
