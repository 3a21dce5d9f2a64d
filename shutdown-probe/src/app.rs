//! The daemon, from its arguments to its end.
//!
//! Invariants: nothing is bound before the configuration is known to be sound, and nothing attached before the port
//! is ours; the first task that ends takes the daemon with it and gives its reason; no thread keeps capabilities
//! that it does not need.

use crate::admin::{self, Limits, ProbeStatus, Readiness, Shared, Stage};
use crate::cli::RunArgs;
use crate::config::{File, Log, Observe, Serve};
use crate::exit::{Exit, Failure, OrExit};
use crate::live::{self, Health, Live};
use crate::output::Outputs;
use crate::output::metrics::Metrics;
use crate::output::store::Store;
use crate::probe::Status;
use crate::recording::{Header, Recorder};
use crate::{kernel, logging, privileges, session};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Runs the daemon until a signal or its first failure.
///
/// # Errors
/// What is wrong with the configuration, missing on this node, or was the first thing to fail.
pub fn run(args: RunArgs) -> Result<Exit, Failure> {
    let Config { observe, serve, log } = configure(args)?;
    logging::start(log);
    live::check(&observe)?;
    let listener = admin::bind(serve.listen)?;
    let kernel = kernel::release();
    let listen = listener.local_addr().or_exit(Exit::Internal, || "cannot listen")?;
    tracing::info!(version = VERSION, kernel, %listen, "starting");

    let shared = share(&observe, &serve, &kernel)?;
    let outputs = outputs(&shared, &observe, &serve, kernel)?;
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
    announce(live.probes(), &shared);

    let after_turn = |outputs: &mut Outputs, health: Option<&Health>| {
        outputs.after_turn(health);
        Ok(())
    };
    let outcome = runtime.block_on(async {
        let outcome = tokio::select! {
            () = signal => Ok(()),
            outcome = live.run(&stop, after_turn) => outcome,
            Some(ended) = tasks.join_next() => unwrapped(ended),
        };
        tracing::info!("stopping");
        shared.readiness.enter(Stage::Stopping);
        stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            unwrapped(ended)?;
        }
        outcome
    });
    live.into_audience().finish();
    outcome.map(|()| Exit::Success)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

struct Config {
    observe: Observe,
    serve: Serve,
    log: Log,
}

/// Joins what was given by flag and environment with the file, and checks it.
fn configure(args: RunArgs) -> Result<Config, Failure> {
    let file = File::read(args.config.as_deref())?;
    if !args.standalone.or(file.standalone).unwrap_or(false) {
        return Err(Failure::new(Exit::Usage, without_standalone()));
    }
    Ok(Config {
        observe: Observe::check(args.observe.or(file.observe))?,
        serve: Serve::check(args.serve.or(file.serve))?,
        log: Log::check(args.log.or(file.log)),
    })
}

fn without_standalone() -> &'static str {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        "this version does not look up pods and workloads in Kubernetes yet; `run --standalone --watch-cgroup DIR` \
         observes their containers by cgroup, DIR being a pod's cgroup"
    } else {
        "this is no Kubernetes cluster; use `run --standalone`, for which every cgroup is a container"
    }
}

fn share(observe: &Observe, serve: &Serve, kernel: &str) -> Result<Shared, Failure> {
    let metrics = Metrics::new(&observe.stop_signals, serve.series_expiry);
    let metrics = metrics.or_exit(Exit::Internal, || "cannot register metrics")?;
    metrics.set_build(VERSION, kernel);
    Ok(Shared {
        store: Arc::new(Store::new(serve.keep)),
        metrics: Arc::new(metrics),
        readiness: Arc::new(Readiness::default()),
    })
}

fn outputs(shared: &Shared, observe: &Observe, serve: &Serve, kernel: String) -> Result<Outputs, Failure> {
    let recording = match &serve.record {
        Some(path) => Some((path.clone(), Recorder::create(path, &Header::new(&observe.engine, kernel))?)),
        None => None,
    };
    Ok(Outputs::new(shared.store.clone(), shared.metrics.clone(), recording))
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
fn announce(probes: Vec<ProbeStatus>, shared: &Shared) {
    for probe in &probes {
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
