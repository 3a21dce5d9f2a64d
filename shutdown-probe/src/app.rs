//! The daemon, from its arguments to its end.
//!
//! Invariants: nothing is bound before the configuration is known to be sound, and nothing attached before the port
//! is ours; the first task that ends takes the daemon with it and gives its reason; no thread keeps capabilities
//! that it does not need.

use crate::admin::{self, Limits, ProbeStatus, Readiness, Shared, Stage};
use crate::cli::RunArgs;
use crate::config::{File, Kubernetes, Log, Observe, Serve};
use crate::exit::{Exit, Failure, OrExit};
use crate::kube::access::Access;
use crate::kube::{self, Link};
use crate::live::{self, Health, Live};
use crate::output::metrics::Metrics;
use crate::output::store::Store;
use crate::output::{Events, Journal, Outputs, Voices};
use crate::probe::Status;
use crate::recording::{Header, Recorder};
use crate::{kernel, logging, privileges, session};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long containers that end together with us are observed: as on a node that shuts down. With what tasks take to
/// stop, it is less than the grace period of the DaemonSet.
const FAREWELL: Duration = Duration::from_secs(4);

/// Runs the daemon until a signal or its first failure.
///
/// # Errors
/// What is wrong with the configuration, missing on this node, or was the first thing to fail.
pub fn run(args: RunArgs) -> Result<Exit, Failure> {
    let Config { observe, serve, log, kubernetes } = configure(args)?;
    logging::start(log);
    live::check(&observe)?;
    let listener = admin::bind(serve.listen)?;
    let kernel = kernel::release();
    let listen = listener.local_addr().or_exit(Exit::Internal, || "cannot listen")?;
    tracing::info!(version = VERSION, kernel, %listen, "starting");

    let shared = share(&observe, &serve, kubernetes.as_ref(), &kernel)?;
    let (link, worker) = kubernetes.map(|kubernetes| kube::link(kubernetes.link)).unzip();
    let voices = voices(&serve, link.as_ref())?;
    let outputs = outputs(&shared, &observe, &serve, kernel, voices)?;
    let runtime = start_runtime()?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let router = admin::router(shared.clone());
    tasks.spawn_on(admin::serve(listener, router, Limits::default(), stop.clone()), runtime.handle());

    // Caught from now on: a signal that comes while the probes are being attached is obeyed afterwards.
    let context = runtime.enter();
    let signal = session::stop_on_signal()?;
    let mut live = Live::attach(&observe, outputs)?;
    drop(context);
    let remaining = session::give_up_privileges(&live)?;
    let capabilities = remaining.effective.join(",");
    tracing::info!(capabilities, bounding_kept = remaining.bounding_kept, "privileges given up");
    let probes = live.probes();
    announce(&probes, &shared);
    let access = link.map(|link| {
        live.listen(link.inputs);
        link.access
    });
    if let Some(worker) = worker {
        tasks.spawn_on(work(worker, stop.clone()), runtime.handle());
    }
    let mut granted = Granted { access, changes: 0, probes };

    let after_turn = |outputs: &mut Outputs, health: Option<&Health>| {
        outputs.after_turn(health);
        granted.tell(&shared);
        Ok(())
    };
    let asked = CancellationToken::new();
    let outcome = runtime.block_on(async {
        let outcome = tokio::select! {
            outcome = live.run(&asked, FAREWELL, after_turn) => outcome,
            Some(ended) = tasks.join_next() => unwrapped(ended),
            never = obey(signal, &shared, &asked) => match never {},
        };
        wind_up(tasks, &stop).await?;
        outcome
    });
    live.into_audience().finish();
    outcome.map(|()| Exit::Success)
}

/// Once a signal has come, nobody is to count on us, and the observation ends as soon as it may.
async fn obey(signal: impl Future<Output = ()>, shared: &Shared, asked: &CancellationToken) -> Infallible {
    signal.await;
    tracing::info!("stopping");
    shared.readiness.enter(Stage::Stopping);
    asked.cancel();
    pending().await
}

/// Listens to the API server until it is told to stop.
async fn work(worker: kube::Worker, stop: CancellationToken) -> Result<(), Failure> {
    worker.run(stop).await;
    Ok(())
}

/// Tells all tasks to stop, and waits for them.
async fn wind_up(mut tasks: JoinSet<Result<(), Failure>>, stop: &CancellationToken) -> Result<(), Failure> {
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        unwrapped(ended)?;
    }
    Ok(())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

struct Config {
    observe: Observe,
    serve: Serve,
    log: Log,
    /// Nothing: standalone.
    kubernetes: Option<Kubernetes>,
}

/// The verdicts on the probes, and on what the Kubernetes API allows, which changes.
struct Granted {
    access: Option<Arc<Access>>,
    changes: u64,
    probes: Vec<ProbeStatus>,
}

impl Granted {
    /// Tells them where they are asked for, if there is news.
    fn tell(&mut self, shared: &Shared) {
        let Some(access) = &self.access else { return };
        let changes = access.changes();
        if std::mem::replace(&mut self.changes, changes) == changes {
            return;
        }
        let needs = access.statuses();
        for need in &needs {
            shared.metrics.set_verdict(&need.probe, &Status::ALL.map(Status::as_str), &need.verdict);
        }
        if let Stage::Observing(_) = shared.readiness.stage() {
            let all: Vec<_> = self.probes.iter().cloned().chain(needs).collect();
            shared.readiness.enter(Stage::Observing(all.into()));
        }
    }
}

/// Joins what was given by flag and environment with the file, and checks it.
fn configure(args: RunArgs) -> Result<Config, Failure> {
    let file = File::read(args.config.as_deref())?;
    let is_standalone = args.standalone.or(file.standalone).unwrap_or(false);
    let kubernetes = args.kubernetes.or(file.kubernetes);
    if !is_standalone && !Kubernetes::is_there(&kubernetes) {
        return Err(Failure::new(Exit::Usage, NO_CLUSTER));
    }
    let kubernetes = (!is_standalone).then(|| Kubernetes::check(kubernetes)).transpose()?;
    let mut observe = Observe::check(args.observe.or(file.observe))?;
    if let Some(kubernetes) = &kubernetes {
        (observe.pods, observe.engine.pods) = (true, true);
        if let Some(networks) = &kubernetes.cluster_networks {
            observe.engine.cluster_networks.clone_from(networks);
        }
    }
    Ok(Config {
        observe,
        serve: Serve::check(args.serve.or(file.serve))?,
        log: Log::check(args.log.or(file.log)),
        kubernetes,
    })
}

const NO_CLUSTER: &str = "this is no pod of a Kubernetes cluster; use `run --kubeconfig FILE` on a node of one, or \
                          `run --standalone`, for which every cgroup is a container";

/// Who else is told of terminations.
fn voices(serve: &Serve, link: Option<&Link>) -> Result<Voices, Failure> {
    let journal = serve.journal.unwrap_or(link.is_some()).then(Journal::start).transpose();
    Ok(Voices {
        journal: journal.or_exit(Exit::Internal, || "cannot start the journal")?,
        events: link.and_then(|link| Some(Events::new(link.events.clone()?, Arc::clone(&link.unsaid)))),
    })
}

fn share(
    observe: &Observe,
    serve: &Serve,
    kubernetes: Option<&Kubernetes>,
    kernel: &str,
) -> Result<Shared, Failure> {
    let (signals, expiry) = (&observe.stop_signals, serve.series_expiry);
    let metrics = match kubernetes {
        Some(kubernetes) => Metrics::in_kubernetes(signals, expiry, &kubernetes.metric_labels),
        None => Metrics::new(signals, expiry),
    };
    let metrics = metrics.and_then(|metrics| metrics.watch_process().map(|()| metrics));
    let metrics = metrics.or_exit(Exit::Internal, || "cannot register metrics")?;
    metrics.set_build(VERSION, kernel);
    Ok(Shared {
        store: Arc::new(Store::new(serve.keep)),
        metrics: Arc::new(metrics),
        readiness: Arc::new(Readiness::default()),
    })
}

fn outputs(
    shared: &Shared,
    observe: &Observe,
    serve: &Serve,
    kernel: String,
    voices: Voices,
) -> Result<Outputs, Failure> {
    let recording = match &serve.record {
        Some(path) => Some((path.clone(), Recorder::create(path, &Header::new(&observe.engine, kernel))?)),
        None => None,
    };
    Ok(Outputs::new(shared.store.clone(), shared.metrics.clone(), recording, voices))
}

/// One worker serves; the probes are read by the thread that attached them.
fn start_runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(|| {
            if let Err(error) = privileges::give_up(&[]) {
                tracing::error!(%error, "a thread keeps capabilities that it does not need");
            }
        })
        .build()
        .or_exit(Exit::Internal, || "cannot start the runtime")
}

/// Says what became of each probe, everywhere it is told.
fn announce(probes: &[ProbeStatus], shared: &Shared) {
    for probe in probes {
        shared.metrics.set_verdict(&probe.probe, &Status::ALL.map(Status::as_str), &probe.verdict);
        if let Some(reason) = &probe.reason {
            let not_measured = probe.fates_lost.join(",");
            tracing::warn!(
                probe = probe.probe,
                verdict = probe.verdict,
                reason,
                not_measured,
                "a probe does not run"
            );
        }
    }
    tracing::info!(probes = probes.len(), "observing");
    shared.readiness.enter(Stage::Observing(probes.into()));
}

fn unwrapped(ended: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    ended.or_exit(Exit::Internal, || "a task of the daemon panicked")?
}
