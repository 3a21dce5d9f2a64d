//! What can be typed after `cargo xtask`.

use crate::alerts;
use crate::bench;
use crate::cluster;
use crate::dashboards;
use crate::deploy;
use crate::e2e;
use crate::image;
use crate::page;
use crate::test::Step;
use crate::vm;
use clap::{Parser, Subcommand};
use std::ffi::OsString;

const EXAMPLES: &str = "\
Examples:
  cargo xtask setup                 install what building and testing need
  cargo xtask build                 the daemon, at target/release/shutdown-probe
  cargo xtask demo                  see what a careless shutdown loses
  cargo xtask test                  everything a change has to pass
  cargo xtask test --only clippy    repeat one step of it

Environment:
  SHUTDOWN_PROBE_BPF_TOOLCHAIN      'nightly' or 'debian': the eBPF compiler to use
  SHUTDOWN_PROBE_DEBIAN_MIRROR      where `vm` gets Debian's kernels, if not where apt gets packages
  NO_COLOR                          no colours

Exit status: 0 done, 1 a step failed, 2 wrong usage, 3 a tool is missing.";

/// Sets up, builds, tests and demonstrates shutdown-probe.
#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find or install what building and testing need, one line per thing
    ///
    /// On Debian and its descendants what is missing is installed with apt (through sudo unless you are root);
    /// elsewhere the commands to type are printed. What is there already is left alone.
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --build-only")]
    Setup {
        /// Only what `cargo xtask build` needs
        #[arg(long)]
        build_only: bool,
    },
    /// Build the eBPF side, then the daemon that contains it
    ///
    /// Needs no root. The results are target/bpf/shutdown-probe-ebpf and target/release/shutdown-probe.
    #[command(after_help = "Examples:\n  cargo xtask build\n  cargo xtask build --debug")]
    Build {
        /// Build the daemon with the dev profile, at target/debug/shutdown-probe
        #[arg(long)]
        debug: bool,
    },
    /// Run everything a change has to pass, and stop at the first failure
    ///
    /// The kernel tests and the zoo load eBPF programs and run as root, through sudo unless you are root.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --quick\n  cargo xtask test --only kernel"
    )]
    Test {
        /// Leave out the longest steps: zoo, deploy and e2e
        #[arg(long)]
        quick: bool,
        /// Run this step alone
        #[arg(long, value_name = "STEP", conflicts_with = "quick")]
        only: Option<Step>,
    },
    /// Run real services, stop them as Kubernetes would, and compare the verdicts with what their clients saw
    #[command(after_help = "Examples:\n  cargo xtask zoo\n  cargo xtask zoo -- --help")]
    Zoo {
        /// Arguments of the zoo itself
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Set up, build, and show the probe at work on one careless shutdown
    #[command(after_help = "Example:\n  cargo xtask demo")]
    Demo,
    /// Measure what the probe costs, beside the same machine without it
    ///
    /// Runs as root, through sudo unless you are root, and writes tables in Markdown. Nobody else should be at work
    /// on the machine. Peers (bpftrace, tcplife, tcpstates) are measured too where they are installed.
    #[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench --quick --only throughput")]
    Bench(bench::Arguments),
    /// Boot other kernels in virtual machines, and run the kernel tests and a part of the zoo on each
    ///
    /// Debian's kernels are fetched with apt and kept in the user's cache, or at target/vm. Needs no root, unless
    /// QEMU has to be installed.
    #[command(
        after_help = "Examples:\n  cargo xtask vm\n  cargo xtask vm 6.1 --keep\n  cargo xtask vm own --write"
    )]
    Vm(vm::Arguments),
    /// What PID 1 of such a machine does
    #[command(hide = true)]
    VmGuest,
    /// Run a real Kubernetes on this machine, for tests
    ///
    /// One node with the whole control plane, compiled from the Go modules of Kubernetes (about 5 minutes the first
    /// time, then kept in the user's cache) and run with the distribution's containerd and runc. Needs root, through
    /// sudo unless you are root. Pods reach each other and this machine, and nothing else.
    #[command(
        after_help = "Examples:\n  cargo xtask cluster up\n  cargo xtask cluster load target/image/shutdown-probe.tar\n  cargo xtask cluster down"
    )]
    Cluster(cluster::Arguments),
    /// Build the container image: target/image/shutdown-probe.tar, without a registry or Docker
    #[command(
        after_help = "Examples:\n  cargo xtask image\n  ctr -n k8s.io images import target/image/shutdown-probe.tar\n  kind load image-archive target/image/shutdown-probe.tar"
    )]
    Image(image::Arguments),
    /// Check the alerts: promtool on rules and their tests, a runbook for each, the operator's object up to date
    #[command(after_help = "Examples:\n  cargo xtask alerts\n  cargo xtask alerts --write")]
    Alerts(alerts::Arguments),
    /// Check dashboards, recording rules and scorecard: a real Prometheus must say what the clients saw
    ///
    /// Three daemons watch a part of the machine each, and real services are stopped under real clients. Every query of
    /// every dashboard must have an answer, and losses must be exact. Runs as root, through sudo unless you are root.
    #[command(after_help = "Examples:\n  cargo xtask dashboards\n  cargo xtask dashboards --write")]
    Dashboards(dashboards::Arguments),
    /// Open the daemon's web page in a real Chromium: keyboard, narrow screens, accessibility, hostile names, weight
    ///
    /// The scenes are served by the daemon's own server. Needs no root, unless Chromium or npm has to be installed.
    #[command(
        after_help = "Examples:\n  cargo xtask page\n  cargo xtask page --write\n  cargo xtask page --profile release"
    )]
    Page(page::Arguments),
    /// Check all that is below deploy/: chart, kustomize base, overlays, and their effect on a real API server
    #[command(after_help = "Examples:\n  cargo xtask deploy\n  cargo xtask deploy --write")]
    Deploy(deploy::Arguments),
    /// End pods of a real cluster in every way, and judge what the daemon says of it
    ///
    /// Starts the cluster of `cargo xtask cluster up` unless another is named, installs the daemon with Helm, and
    /// stops services under clients that keep the truth, connection by connection. The cluster stays up.
    #[command(
        after_help = "Examples:\n  cargo xtask e2e\n  cargo xtask e2e --core\n  cargo xtask e2e --case 'rollout-*'\n  cargo xtask e2e --kubeconfig ~/.kube/config --load-command 'kind load image-archive'"
    )]
    E2e(e2e::Arguments),
    /// Write docs/metrics.md from the daemon's own table, docs/kernels.md from what `vm` has recorded
    #[command(after_help = "Examples:\n  cargo xtask docs\n  cargo xtask docs --check")]
    Docs {
        /// Write nothing; fail if it differs
        #[arg(long)]
        check: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn zoo_passes_everything_on() {
        let cli = Cli::try_parse_from(["xtask", "zoo", "run", "--seed", "7"]).unwrap();
        let Command::Zoo { args } = cli.command else { panic!("not zoo: {:?}", cli.command) };
        assert_eq!(args, ["run", "--seed", "7"]);
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        let error = Cli::try_parse_from(["xtask", "test", "--only", "nothing"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
