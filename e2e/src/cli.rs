//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// Ends pods of a real cluster in every way, and judges what the daemon says of it. Exit status 1 if anything differs,
/// 2 if it could not be played.
#[derive(Debug, Parser)]
#[command(name = "e2e", version)]
pub struct Cli {
    /// Only cases of this name; `*` stands for anything
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,
    /// List the cases and what they show
    #[arg(long)]
    pub list: bool,
    /// Keep the namespaces of the cases
    #[arg(long)]
    pub keep: bool,
    /// How many cases are played at the same time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: u8,
    /// The cluster
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", required_unless_present = "list")]
    pub kubeconfig: Option<PathBuf>,
    /// The client of Kubernetes to use
    #[arg(long, default_value = "kubectl", value_name = "PROGRAM")]
    pub kubectl: PathBuf,
    /// The Prometheus to scrape the daemon with
    #[arg(long, default_value = "prometheus", value_name = "PROGRAM")]
    pub prometheus: PathBuf,
    /// The daemon runs without Kubernetes: containers have no names, and are known by their cgroups
    #[arg(long)]
    pub standalone: bool,
    /// Measure what the daemon costs the cluster and how soon it tells, instead of playing cases
    #[arg(long, conflicts_with_all = ["cases", "list", "standalone"])]
    pub measure: bool,
    /// For how long the daemon is left alone to measure it at rest
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u16).range(30..))]
    pub idle_seconds: u16,
    /// The API server's audit log, in JSON: without it, requests are not measured
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// The daemon's program, which is the plugin of kubectl, too
    #[arg(long, value_name = "PROGRAM")]
    pub plugin: Option<PathBuf>,
    /// Stops and starts a program of the node: called with `stop` or `start` and its name. Without it, the cases
    /// that need it are not played
    #[arg(long, value_name = "COMMAND")]
    pub component_command: Option<String>,
}
