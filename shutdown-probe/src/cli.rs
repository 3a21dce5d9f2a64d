//! What can be typed. Defaults and checks are in [`crate::config`].

use crate::check::{CheckArgs, GuardArgs};
use crate::config::{KubernetesOptions, LogOptions, ObserveOptions, ServeOptions};
use crate::exit::Exit;
use crate::fleet::FleetOptions;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

use crate::admin::Since;
use crate::command::kubectl::{LAST, Subject};
use crate::config::Span;
use crate::dashboards::Which;

const EXAMPLES: &str = "\
Examples:
  shutdown-probe check -- node server.js   does this service shut down properly?
  shutdown-probe doctor             would it work here?
  shutdown-probe watch              see terminations as they happen
  shutdown-probe run                the daemon, in a pod of each node
  shutdown-probe run --standalone   the daemon, beside Docker, systemd or Nomad
  shutdown-probe report             what the daemon saw of late
  shutdown-probe report --prometheus URL   what a whole cluster lost
  source <(shutdown-probe generate completions bash)
";

const CHECK_EXAMPLES: &str = "\
Examples:
  shutdown-probe check -- node server.js
  shutdown-probe check --path /orders --pre-stop 5s -- gunicorn app:application
  shutdown-probe check --signal SIGQUIT --port 8080 -- nginx -g 'daemon off;'
  shutdown-probe check --load-command 'wrk -d 60s \"$URL\"' -- ./server
  shutdown-probe check --junit shutdown.xml --json -- java -jar app.jar

Exits with 0 if nothing was lost and nothing would be but for luck, with 1 if not, with 2 if it could not measure.
It needs root: to make a cgroup and a PID namespace, and to load its probes.
";

const GUARD_EXAMPLES: &str = "\
Examples:
  shutdown-probe guard /sys/fs/cgroup/shutdown-probe-check-17   what `check` starts beside itself
";

const RUN_EXAMPLES: &str = "\
Examples:
  shutdown-probe run                          in a pod of a DaemonSet
  shutdown-probe run --kubeconfig FILE        on a node, outside a pod
  shutdown-probe run --standalone
  shutdown-probe run --standalone --watch-cgroup /sys/fs/cgroup/system.slice
  shutdown-probe run --standalone --listen 0.0.0.0:9464 --grace 30s --log-format json
  shutdown-probe run --config /etc/shutdown-probe.toml

The configuration file is TOML. A flag goes before an environment variable, that before the file:
  standalone = true
  [observe]
  watch-cgroup = \"/sys/fs/cgroup/system.slice\"
  linger = \"10s\"
  [serve]
  listen = \"127.0.0.1:9464\"
  [log]
  level = \"info\"
";

const WATCH_EXAMPLES: &str = "\
Examples:
  shutdown-probe watch
  shutdown-probe watch --watch-cgroup /sys/fs/cgroup/system.slice
  shutdown-probe watch --server http://127.0.0.1:9464
  shutdown-probe watch --json | jq .summary
";

const REPORT_EXAMPLES: &str = "\
Examples:
  shutdown-probe report
  shutdown-probe report --since 1h
  shutdown-probe report --namespace shop --workload web
  shutdown-probe report --namespace shop --pod web-5d4f-x7
  shutdown-probe report 1a2b-3c4d5e6f          one termination as a text
  shutdown-probe report --json --since 2026-09-21T14:00:00Z
A whole cluster, workload by workload, from its Prometheus:
  shutdown-probe report --prometheus http://prometheus.monitoring:9090 --since 7d
  shutdown-probe report --prometheus https://mimir.example/prometheus \
      --prometheus-header 'X-Scope-OrgID: team' --output markdown
";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  shutdown-probe doctor
  shutdown-probe doctor --json | jq '.checks[] | select(.answer != \"yes\")'

Exits with 0 if `run --standalone` would work here, with 1 if not.
";

const RECORD_EXAMPLES: &str = "\
Examples:
  shutdown-probe record /var/tmp/shutdowns.jsonl --duration 10m
  shutdown-probe record rollout.jsonl --watch-cgroup /sys/fs/cgroup/kubepods.slice
  shutdown-probe replay rollout.jsonl
";

const REPLAY_EXAMPLES: &str = "\
Examples:
  shutdown-probe replay rollout.jsonl
  shutdown-probe replay rollout.jsonl --json | jq '.terminations[].cause'
";

const KUBECTL_EXAMPLES: &str = "\
Examples:
  shutdown-probe kubectl report pod/web-5d4f-x7 -n shop
  shutdown-probe kubectl report deployment/web -n shop --since 1h
  shutdown-probe kubectl report deployment/web -n shop --rollout      the last rollout; --rollout=3: of revision 3
  shutdown-probe kubectl report node/node-a
As a plugin, the same binary under the name kubectl-shutdown_probe:
  kubectl shutdown-probe report deployment/web -n shop
";

const GENERATE_EXAMPLES: &str = "\
Examples:
  shutdown-probe generate completions bash > /etc/bash_completion.d/shutdown-probe
  shutdown-probe generate completions zsh > /usr/local/share/zsh/site-functions/_shutdown-probe
  shutdown-probe generate completions fish > ~/.config/fish/completions/shutdown-probe.fish
  shutdown-probe generate man > /usr/local/share/man/man1/shutdown-probe.1
  shutdown-probe generate man report > /usr/local/share/man/man1/shutdown-probe-report.1
  shutdown-probe generate metrics-doc > docs/metrics.md
  shutdown-probe generate cli-doc > docs/cli.md
  shutdown-probe generate dashboard overview > overview.json
";

/// Sees which connections each shutdown severs, and why
///
/// It watches from the kernel, with no change to any workload: the signals that processes get, the fate of each of
/// their connections, and who still came when they were gone.
#[derive(Debug, Parser)]
#[command(name = "shutdown-probe", version, after_help = EXAMPLES, after_long_help = long_help())]
#[command(max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub color: colorchoice_clap::Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn long_help() -> String {
    format!("{EXAMPLES}\n{}\nCtrl-C and SIGTERM end run, watch and record with 0.\n", Exit::table())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the node daemon: observe, and serve metrics and the API
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Start a service, stop it as a kubelet would, and say what that cost and what to change
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Kill and remove a cgroup once standard input ends
    #[command(hide = true, after_help = GUARD_EXAMPLES)]
    Guard(GuardArgs),
    /// Show terminations on the terminal as they happen
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(WatchArgs),
    /// Show what the daemon saw of late, or a whole cluster: tables, or one termination as a text
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Say whether the probe would work here, and what to do if not
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Write all that is observed to a file, for `replay`
    #[command(after_help = RECORD_EXAMPLES)]
    Record(RecordArgs),
    /// Judge a recording again, and print the terminations in it
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Ask the daemons of a cluster; as a plugin: `kubectl shutdown-probe`
    #[command(after_help = KUBECTL_EXAMPLES)]
    Kubectl(KubectlArgs),
    /// Print completions for a shell, the manual page, or a reference
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),
}

/// The arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Observe without Kubernetes: every cgroup is a container
    #[arg(
        long,
        env = "SHUTDOWN_PROBE_STANDALONE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    pub standalone: Option<bool>,
    /// A file with the same options, in TOML
    #[arg(long, value_name = "FILE", env = "SHUTDOWN_PROBE_CONFIG")]
    pub config: Option<PathBuf>,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub observe: ObserveOptions,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub serve: ServeOptions,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub kubernetes: KubernetesOptions,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub log: LogOptions,
}

/// The arguments of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Ask this daemon instead of attaching probes
    #[arg(long, value_name = "URL", env = "SHUTDOWN_PROBE_SERVER")]
    pub server: Option<String>,
    /// Print each report as one line of JSON
    #[arg(long)]
    pub json: bool,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub observe: ObserveOptions,
}

/// The arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The termination to tell; without it, a table of those of late
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// The daemon to ask
    #[arg(long, value_name = "URL", env = "SHUTDOWN_PROBE_SERVER", default_value = "http://127.0.0.1:9464")]
    pub server: String,
    /// Only those that had not ended by then: a date (RFC 3339) or a duration such as 10m
    #[arg(long, value_name = "TIME", value_parser = checked_since, conflicts_with = "id")]
    pub since: Option<String>,
    /// Only of this namespace
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub namespace: Option<String>,
    /// Only of the workload of this name
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub workload: Option<String>,
    /// Only of the pod of this name
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub pod: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Print JSON as the API gives it
    #[arg(long)]
    pub json: bool,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub fleet: FleetOptions,
}

/// The arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Look at this cluster's API, too; in a pod, at that of its own
    #[arg(long, value_name = "FILE", env = "SHUTDOWN_PROBE_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `record`.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// The file to write; what it held before is gone
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// When to end; without it, at Ctrl-C
    #[arg(long, value_name = "DURATION")]
    pub duration: Option<Span>,
    #[expect(missing_docs, reason = "clap would print it as help")]
    #[command(flatten)]
    pub observe: ObserveOptions,
}

/// The arguments of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The file that `record` or `run --record` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `kubectl`.
#[derive(Args, Debug)]
pub struct KubectlArgs {
    /// What to ask.
    #[command(subcommand)]
    pub command: KubectlCommand,
}

/// What to ask the daemons of a cluster.
#[derive(Debug, Subcommand)]
pub enum KubectlCommand {
    /// What they saw of late: of a pod, a workload, a node, or all
    Report(KubectlReportArgs),
}

/// The arguments of `kubectl report`.
#[derive(Args, Debug)]
pub struct KubectlReportArgs {
    /// A pod, or KIND/NAME: pod/web-1, deployment/web, node/node-a
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<Subject>,
    /// The namespace of the pod or workload [default: the context's]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// The kubeconfig to use
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context to use
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Only the pods that a rollout of the workload replaced: those of this revision, or of the last rollout
    #[arg(long, value_name = "REVISION", num_args = 0..=1, require_equals = true, default_missing_value = LAST)]
    pub rollout: Option<String>,
    /// Only those that had not ended by then: a date (RFC 3339) or a duration such as 10m
    #[arg(long, value_name = "TIME", value_parser = checked_since)]
    pub since: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Print JSON as the API gives it
    #[arg(long)]
    pub json: bool,
    /// Where the daemons run
    #[arg(long, value_name = "NAME", default_value = "shutdown-probe")]
    pub daemon_namespace: String,
    /// By which labels they are found
    #[arg(long, value_name = "LABELS", default_value = "app.kubernetes.io/name=shutdown-probe")]
    pub daemon_selector: String,
    /// Where they listen
    #[arg(long, value_name = "PORT", default_value_t = 9464)]
    pub daemon_port: u16,
}

/// The arguments of `generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// What to print.
    #[command(subcommand)]
    pub what: Generate,
}

/// What is made from the program itself.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// The reference of metrics, in Markdown
    MetricsDoc,
    /// The reference of commands, in Markdown
    CliDoc,
    /// A dashboard for Grafana, in JSON
    Dashboard {
        /// Which
        which: Which,
    },
    /// The manual page, or that of one command, in roff
    Man {
        /// Which command
        command: Option<String>,
    },
    /// The part of a kernel's BTF that the probe looks at: some KiB, to be attached to a report
    Btf {
        /// The whole of it
        #[arg(default_value = "/sys/kernel/btf/vmlinux")]
        file: PathBuf,
    },
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// The text as it was given: the daemon reads it again, by its own clock.
fn checked_since(text: &str) -> Result<String, String> {
    text.parse::<Since>().map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Log, Observe, Serve};
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for mut command in Cli::command().get_subcommands().cloned() {
            let help = command.render_help().to_string();
            assert!(help.contains("Examples:\n  shutdown-probe "), "{}", command.get_name());
        }
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults() {
        let help = Cli::command()
            .find_subcommand_mut("run")
            .map(|run| run.clone().term_width(200).render_help().to_string())
            .expect("run");
        let (observe, serve, log) = (Observe::default(), Serve::default(), Log::default());
        let signals: Vec<_> = [15, 2, 3].into_iter().map(shutdown_probe_core::signal::name).collect();
        let mut numbers = observe.stop_signals.clone();
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3, 15]);
        for default in [
            format!("[default: {}s]", observe.engine.linger.as_secs()),
            format!("[default: {}]", signals.join(",")),
            format!("[default: {}MiB]", observe.ring_bytes >> 20),
            format!("[default: {}]", serve.listen),
            format!("[default: {}]", serve.keep),
            format!("[default: {}h]", serve.series_expiry.as_secs() / 3600),
            format!("[default: {}]", format!("{:?}", log.level).to_lowercase()),
            format!("[default: {}]", format!("{:?}", log.format).to_lowercase()),
        ] {
            assert!(help.contains(&default), "{default} is not in\n{help}");
        }
        assert_eq!(observe.engine.grace, None);
    }
}
