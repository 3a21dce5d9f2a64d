//! What can be set, as the user gives it: one struct serves the command line, the environment and the
//! configuration file, so that they cannot offer different things.
//!
//! Invariant: everything is optional here; defaults and checks are in the parent module.

use super::kubernetes::KubernetesOptions;
use super::value::{ByteSize, Span, StopSignal};
use crate::probe::Protocols;
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What to observe.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "What to observe")]
pub struct ObserveOptions {
    /// Each child directory of this cgroup is one container, with whatever is nested in it.
    /// Without it every leaf cgroup that has processes is one
    #[arg(long, value_name = "DIR", env = "SHUTDOWN_PROBE_WATCH_CGROUP")]
    pub watch_cgroup: Option<PathBuf>,
    /// Where cgroup v2 is mounted, if it is not to be found: in a container, the node's
    #[arg(long, value_name = "DIR", env = "SHUTDOWN_PROBE_CGROUP_ROOT")]
    pub cgroup_root: Option<PathBuf>,
    /// How long after the last exit late packets still count [default: 10s]
    #[arg(long, value_name = "DURATION", env = "SHUTDOWN_PROBE_LINGER")]
    pub linger: Option<Span>,
    /// The time between stop signal and SIGKILL that the runtime grants, if it is known
    #[arg(long, value_name = "DURATION", env = "SHUTDOWN_PROBE_GRACE")]
    pub grace: Option<Span>,
    /// The signals that ask a container to stop [default: SIGTERM,SIGINT,SIGQUIT]
    #[arg(
        long,
        value_name = "SIGNALS",
        value_delimiter = ',',
        num_args = 1,
        env = "SHUTDOWN_PROBE_STOP_SIGNALS"
    )]
    pub stop_signals: Option<Vec<StopSignal>>,
    /// Size of the buffer between kernel and daemon, a power of two [default: 8MiB]
    #[arg(long, value_name = "SIZE", env = "SHUTDOWN_PROBE_RING_BYTES")]
    pub ring_bytes: Option<ByteSize>,
    /// The protocols whose requests and responses are told apart: `none`, or some of http1, http2 and tls.
    /// Others are judged by their bytes alone [default: http1,http2,tls]
    #[arg(long, value_name = "PROTOCOLS", env = "SHUTDOWN_PROBE_PROTOCOLS")]
    pub protocols: Option<Protocols>,
}

/// What to serve.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "What to serve")]
pub struct ServeOptions {
    /// Where to serve metrics, the API and the page [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR:PORT", env = "SHUTDOWN_PROBE_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// How many complete terminations to keep [default: 1000]
    #[arg(long, value_name = "N", env = "SHUTDOWN_PROBE_KEEP")]
    pub keep: Option<usize>,
    /// How long the series of an ended container stay [default: 1h]
    #[arg(long, value_name = "DURATION", env = "SHUTDOWN_PROBE_SERIES_EXPIRY")]
    pub series_expiry: Option<Span>,
    /// Also write all that is observed to this file, for `replay`. It grows until the daemon ends
    #[arg(long, value_name = "FILE", env = "SHUTDOWN_PROBE_RECORD")]
    pub record: Option<PathBuf>,
    /// Write each complete termination to standard output, as one line of JSON [default: in Kubernetes]
    #[arg(
        long,
        env = "SHUTDOWN_PROBE_JOURNAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    pub journal: Option<bool>,
}

/// How to log. Logs go to standard error.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "Logs")]
pub struct LogOptions {
    /// The least important message to log [default: info]
    #[arg(
        long = "log-level",
        value_name = "LEVEL",
        env = "SHUTDOWN_PROBE_LOG_LEVEL",
        hide_possible_values = true
    )]
    pub level: Option<LogLevel>,
    /// One line of text a message, or one JSON object [default: text]
    #[arg(
        long = "log-format",
        value_name = "FORMAT",
        env = "SHUTDOWN_PROBE_LOG_FORMAT",
        hide_possible_values = true
    )]
    pub format: Option<LogFormat>,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    Text,
    /// One object a line, for machines.
    Json,
}

/// The configuration file: TOML with one table for each group of options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct File {
    /// The same as `--standalone`.
    pub standalone: Option<bool>,
    /// What to observe.
    pub observe: ObserveOptions,
    /// What to serve.
    pub serve: ServeOptions,
    /// How to work in a cluster.
    pub kubernetes: KubernetesOptions,
    /// How to log.
    pub log: LogOptions,
}

impl ObserveOptions {
    /// What is set here, else what is set there.
    pub fn or(self, file: Self) -> Self {
        Self {
            watch_cgroup: self.watch_cgroup.or(file.watch_cgroup),
            cgroup_root: self.cgroup_root.or(file.cgroup_root),
            linger: self.linger.or(file.linger),
            grace: self.grace.or(file.grace),
            stop_signals: self.stop_signals.or(file.stop_signals),
            ring_bytes: self.ring_bytes.or(file.ring_bytes),
            protocols: self.protocols.or(file.protocols),
        }
    }
}

impl ServeOptions {
    /// What is set here, else what is set there.
    pub fn or(self, file: Self) -> Self {
        Self {
            listen: self.listen.or(file.listen),
            keep: self.keep.or(file.keep),
            series_expiry: self.series_expiry.or(file.series_expiry),
            record: self.record.or(file.record),
            journal: self.journal.or(file.journal),
        }
    }
}

impl LogOptions {
    /// What is set here, else what is set there.
    pub fn or(self, file: Self) -> Self {
        Self { level: self.level.or(file.level), format: self.format.or(file.format) }
    }
}
