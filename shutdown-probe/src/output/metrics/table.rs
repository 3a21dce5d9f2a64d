//! The one table of metrics: registration, help texts and `docs/metrics.md` are made from it.

/// A metric.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What sort of number it is.
    pub kind: Kind,
    /// Whether it has the labels that say whose number it is ([`OwnLabel`](super::OwnLabel)).
    pub per_container: bool,
    /// Its other labels.
    pub labels: &'static [&'static str],
    /// Where it can be measured.
    pub measured: Measured,
    /// One sentence, as Prometheus shows it.
    pub help: &'static str,
    /// What else the reader of the reference should know.
    pub note: &'static str,
}

/// What sort of number it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// Where it can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// On every node.
    Everywhere,
    /// Only where a Kubernetes API tells what it rests on; elsewhere it does not exist, since a 0 would lie.
    InKubernetes,
    /// In the process that serves it, by a collector whose help texts these are.
    OfProcess,
}

/// From "at once" to the longest grace periods in use.
const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 600.0];
/// Above 1 the container was killed; the steps below show how much room was left.
const RATIO_BUCKETS: &[f64] = &[0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0];
/// Routing lags by tens of milliseconds on a quiet node and by many seconds behind external balancers.
const ARRIVAL_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0];

macro_rules! metrics {
    ($($(#[$doc:meta])* $constant:ident = $spec:expr;)*) => {
        $($(#[$doc])* pub const $constant: Spec = $spec;)*

        /// Every metric, in the order of the reference.
        pub const TABLE: &[&Spec] = &[$(&$constant,)*];
    };
}

const fn of_container(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    note: &'static str,
) -> Spec {
    Spec { name, kind, per_container: true, labels, measured: Measured::Everywhere, help, note }
}

const fn of_daemon(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    note: &'static str,
) -> Spec {
    Spec { name, kind, per_container: false, labels, measured: Measured::Everywhere, help, note }
}

const fn of_process(name: &'static str, kind: Kind, help: &'static str, note: &'static str) -> Spec {
    Spec { name, kind, per_container: false, labels: &[], measured: Measured::OfProcess, help, note }
}

metrics! {
    /// Complete terminations.
    TERMINATIONS = of_container(
        "shutdown_probe_terminations_total",
        Kind::Counter,
        &["trigger", "cause"],
        "Terminations that are complete, by what set them off and by their primary cause.",
        "`cause` is `clean` where nothing was severed and nothing but luck was needed for that.",
    );
    /// What each shutdown cost.
    SEVERED = of_container(
        "shutdown_probe_severed_connections_total",
        Kind::Counter,
        &["evidence", "cause", "retry_safe"],
        "Connections on which a shutdown cost the client something.",
        "Counted as soon as the cause is known, at the latest 1 s after the process has exited; refusals of the \
         linger follow as they happen. `retry_safe=\"false\"`: the request may have been executed.",
    );
    /// What it cost on HTTP/2, in requests.
    SEVERED_STREAMS = of_container(
        "shutdown_probe_severed_streams_total",
        Kind::Counter,
        &[],
        "HTTP/2 streams that were severed, with their connections or by the server's RST_STREAM.",
        "HTTP/2 in the clear only: inside TLS streams cannot be told apart. Their connections are in \
         `shutdown_probe_severed_connections_total` too, once each.",
    );
    /// Those it cost nothing.
    DRAINED = of_container(
        "shutdown_probe_drained_connections_total",
        Kind::Counter,
        &[],
        "Connections that ended in a termination after their last response was complete.",
        "",
    );
    /// Stop signals.
    STOP_SIGNALS = of_container(
        "shutdown_probe_stop_signals_total",
        Kind::Counter,
        &["signal", "disposition"],
        "Stop signals sent to containers from outside, by what they met there.",
        "`disposition` is judged by what happened, not by whether a handler was installed.",
    );
    /// Kills.
    KILLS = of_container(
        "shutdown_probe_kills_total",
        Kind::Counter,
        &["reason"],
        "Containers that were killed.",
        "",
    );
    /// How long terminations take.
    TERMINATION_DURATION = of_container(
        "shutdown_probe_termination_duration_seconds",
        Kind::Histogram(DURATION_BUCKETS),
        &[],
        "Time from the beginning of a termination to the exit of its last process.",
        "",
    );
    /// How much of the grace period they take.
    GRACE_USED = of_container(
        "shutdown_probe_grace_used_ratio",
        Kind::Histogram(RATIO_BUCKETS),
        &[],
        "Part of the grace period that a termination used.",
        "Observed only where the grace period is known: from Kubernetes, or from `--grace`.",
    );
    /// Clients that still came.
    LATE_CONNECTIONS = of_container(
        "shutdown_probe_late_connections_total",
        Kind::Counter,
        &[],
        "Connections that came after the stop signal, accepted or refused.",
        "",
    );
    /// How late they came.
    LATE_ARRIVAL = of_container(
        "shutdown_probe_late_arrival_seconds",
        Kind::Histogram(ARRIVAL_BUCKETS),
        &[],
        "Time from the stop signal to each connection that came after it.",
        "How long a preStop sleep would have to be to catch them all.",
    );
    /// How late they would have known better.
    ENDPOINT_LAG = Spec {
        name: "shutdown_probe_endpoint_lag_seconds",
        kind: Kind::Histogram(ARRIVAL_BUCKETS),
        per_container: true,
        labels: &[],
        measured: Measured::InKubernetes,
        help: "Time from the withdrawal of the pod's endpoint to the last connection that still came.",
        note: "From the moment the last of its Services had it not ready any more; 0 where nobody came after that. \
               Observed once for each container of a pod that was an endpoint.",
    };
    /// Whence they came.
    LATE_BY_SOURCE = Spec {
        name: "shutdown_probe_late_connections_by_source_total",
        kind: Kind::Counter,
        per_container: true,
        labels: &["source"],
        measured: Measured::InKubernetes,
        help: "Connections that came after the stop signal, by where they came from.",
        note: "`same_node`: a pod of the node or the node itself, also where its address hides others. `cluster`: \
               the networks of `--cluster-cidr`, by default the private ones. `outside`: all others.",
    };
    /// The advice in numbers.
    RECOMMENDED_PRE_STOP = of_container(
        "shutdown_probe_recommended_pre_stop_seconds",
        Kind::Gauge,
        &[],
        "The preStop sleep that recent terminations ask for.",
        "Exists once there is something to recommend.",
    );
    /// The container's own requests.
    OUTBOUND_SEVERED = of_container(
        "shutdown_probe_outbound_severed_connections_total",
        Kind::Counter,
        &[],
        "Outbound connections on which the container awaited an answer when it ended.",
        "These are the container's own requests, not its clients': they are no part of the severed connections.",
    );
    /// What could not be known.
    NOT_MEASURED = of_container(
        "shutdown_probe_not_measured_connections_total",
        Kind::Counter,
        &[],
        "Connections that ended in a termination and whose fate cannot be known.",
        "Never counted as severed and never as drained.",
    );
    /// What was lost on the way.
    LOST_RECORDS = of_daemon(
        "shutdown_probe_lost_records_total",
        Kind::Counter,
        &["where"],
        "What the probe lost, by the place where it was lost.",
        "`ring`: the buffer between kernel and daemon was full. `socket_storage`, `containers`, `listeners`: no \
         room for what the kernel side keeps. `kernel_read`: a kernel structure could not be read. `decode`: a \
         record that the daemon does not understand. `events`: Kubernetes Events beyond their rate. `journal`: lines that \
         standard output did not take in time. `recording`: not lost to the measurement, but missing \
         from the file of `--record`.",
    );
    /// Programs the kernel skipped.
    RECURSION_MISSES = of_daemon(
        "shutdown_probe_recursion_misses_total",
        Kind::Counter,
        &["probe"],
        "Times the kernel skipped a probe because it was running on that CPU already.",
        "",
    );
    /// What became of each probe.
    PROBE_STATUS = of_daemon(
        "shutdown_probe_probe_status",
        Kind::Gauge,
        &["probe", "verdict"],
        "1 for the verdict that holds for the probe, 0 for the others.",
        "A probe that is not attached makes the fates that rest on it `not_measured`; `/probes` says why.",
    );
    /// What is kept.
    TERMINATIONS_KEPT = of_daemon(
        "shutdown_probe_terminations_kept",
        Kind::Gauge,
        &[],
        "Terminations that the API can show now.",
        "Bounded by `--keep`, not counting those in progress.",
    );
    /// Whether the recording goes on.
    RECORDING_ERRORS = of_daemon(
        "shutdown_probe_recording_errors_total",
        Kind::Counter,
        &[],
        "Times the file of --record could not be written; the recording ends with the first.",
        "",
    );
    /// Who says all this.
    BUILD_INFO = of_daemon(
        "shutdown_probe_build_info",
        Kind::Gauge,
        &["version", "kernel"],
        "Always 1; the daemon's version and the kernel it runs on.",
        "",
    );
    /// When the daemon started.
    PROCESS_START_TIME = of_process(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since unix epoch in seconds.",
        "Tells the first value of a series that is new from that of one that is old: see `deploy/alerts/rules.yaml`.",
    );
    /// What it takes of a CPU.
    PROCESS_CPU = of_process(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Total user and system CPU time spent in seconds.",
        "Whole seconds: take the rate over some minutes.",
    );
    /// What it takes of memory.
    PROCESS_RESIDENT_MEMORY = of_process(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory size in bytes.",
        "Without the eBPF maps, which belong to the kernel.",
    );
    /// What it may take of memory.
    PROCESS_VIRTUAL_MEMORY = of_process(
        "process_virtual_memory_bytes",
        Kind::Gauge,
        "Virtual memory size in bytes.",
        "",
    );
    /// Its files.
    PROCESS_OPEN_FDS = of_process("process_open_fds", Kind::Gauge, "Number of open file descriptors.", "");
    /// How many it may have.
    PROCESS_MAX_FDS =
        of_process("process_max_fds", Kind::Gauge, "Maximum number of open file descriptors.", "");
    /// Its threads.
    PROCESS_THREADS = of_process("process_threads", Kind::Gauge, "Number of OS threads in the process.", "");
}

impl Spec {
    /// All its labels, in the order in which values are given; `own` are those that say whose number it is.
    pub fn all_labels(&self, own: &[&'static str]) -> Vec<&'static str> {
        let own = if self.per_container { own } else { &[] };
        [own, self.labels].concat()
    }
}
