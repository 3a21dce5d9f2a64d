//! `check`: starts a service as a container runtime would, puts load on it, stops it as a kubelet would, and says what
//! that cost, why, and what to change.
//!
//! - [`sandbox`]: where the service lives, and that nothing of it stays.
//! - [`discover`]: what it listens on; [`runtime`]: what it is made with.
//! - [`load`]: clients that remember what they saw; [`kubelet`]: the order of events at the end of a pod.
//! - [`observer`]: the probe; [`verdict`]: what the clients saw, joined with what the probe saw.
//! - [`advice`] and [`report`]: what is said.

mod advice;
mod discover;
mod kubelet;
mod load;
mod observer;
mod options;
mod progress;
mod report;
mod round;
mod runtime;
mod sandbox;
mod user_load;
mod verdict;

pub use options::{CheckArgs, GuardArgs, Network};

use crate::config::Observe;
use crate::exit::{Exit, Failure, OrExit};
use crate::output::console::Paint;
use crate::session;
use observer::Observer;
use options::Plan;
use progress::Progress;
use report::Document;
use round::Round;
use sandbox::Ground;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use verdict::Judged;

/// How long after the last new connection late packets still count.
const LINGER: Duration = Duration::from_millis(500);

/// Checks a service.
///
/// # Errors
/// [`Exit::NotMeasured`], with the reason; [`Exit::CannotWrite`].
pub fn run(args: CheckArgs, out: &mut impl Write) -> Result<Exit, Failure> {
    let (json, junit_path) = (args.json, args.junit.clone());
    let plan = Plan::check(args)?;
    // Before anything is measured: who waits for a file should not wait in vain.
    let junit = junit_path.map(|path| JunitFile::create(&path)).transpose()?;
    let outcome = measure(&plan).map_err(not_measured);
    let in_actions = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let written = junit.map_or(Ok(()), |file| file.write(&plan, outcome.as_ref()));
    let document = outcome.inspect_err(|failure| {
        if in_actions {
            eprint!("{}", report::failure_annotation(&failure.to_string()));
        }
    })?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &document)
            .map_err(|error| Failure::cannot_write(error.into()))?;
        print(out, "\n")?;
    } else {
        print(out, &report::text(&document, Paint::stdout().is_coloured()))?;
    }
    if in_actions {
        // The runner looks for them on either stream; standard output may be JSON.
        eprint!("{}", report::annotations(&document));
    }
    match written {
        Err(failure) if document.passes() => Err(failure),
        Err(failure) => {
            eprintln!("shutdown-probe: {failure}");
            Ok(Exit::No)
        }
        Ok(()) => Ok(if document.passes() { Exit::Success } else { Exit::No }),
    }
}

/// The JUnit report's file, open.
struct JunitFile(PathBuf, File);

impl JunitFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).or_exit(Exit::NotMeasured, || cannot_write(path))?;
        Ok(Self(path.to_owned(), file))
    }

    fn write(mut self, plan: &Plan, outcome: Result<&Document, &Failure>) -> Result<(), Failure> {
        let xml = match outcome {
            Ok(document) => report::junit(document),
            Err(failure) => report::junit_error(&plan.command_line(), &failure.to_string()),
        };
        self.1.write_all(xml.as_bytes()).or_exit(Exit::NotMeasured, || cannot_write(&self.0))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write the JUnit report {}", path.display())
}

/// Removes what a killed check left behind.
///
/// # Errors
/// [`Exit::Internal`] where something stays.
pub fn guard(args: &GuardArgs) -> Result<Exit, Failure> {
    sandbox::guard(&args.directory)
}

/// Every reason not to have measured ends the gate in the same way.
fn not_measured(failure: Failure) -> Failure {
    Failure { exit: Exit::NotMeasured, ..failure }
}

fn print(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(Failure::cannot_write)
}

fn measure(plan: &Plan) -> Result<Document, Failure> {
    sandbox::check_capabilities(plan)?;
    let progress = Progress::new(plan.args.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_exit(Exit::NotMeasured, || "cannot start the runtime")?;
    // Caught from the first moment on: an interrupted check still cleans up.
    let interrupted = {
        let _context = runtime.enter();
        session::stop_on_signal()?
    };
    let ground = Ground::make()?;
    progress.say("attaching the probe");
    let observer = Observer::attach(observe(plan, &ground))?;
    if plan.args.network == Network::Own {
        sandbox::enter_own_network()?;
    }
    let (rounds, judged) = runtime.block_on(async {
        tokio::select! {
            () = interrupted => Err(Failure::new(Exit::NotMeasured, "interrupted: nothing was measured")),
            outcome = rounds(plan, &ground, &observer, &progress) => outcome,
        }
    })?;
    // What still runs there is a task that nobody waits for.
    runtime.shutdown_background();
    progress.done();
    Document::new(plan, &rounds, &judged, &observer.blind_spots)
        .ok_or_else(|| Failure::new(Exit::Internal, "there was no run"))
}

fn observe(plan: &Plan, ground: &Ground) -> Observe {
    let mut observe = Observe { watch_cgroup: Some(ground.directory().to_owned()), ..Observe::default() };
    observe.engine.linger = plan.propagation + LINGER;
    observe.engine.grace = Some(plan.grace_after_stop);
    if !observe.stop_signals.contains(&plan.signal) {
        observe.stop_signals.push(plan.signal);
        observe.stop_signals.sort_unstable();
    }
    observe
}

async fn rounds(
    plan: &Plan,
    ground: &Ground,
    observer: &Observer,
    progress: &Progress,
) -> Result<(Vec<Round>, Vec<Judged>), Failure> {
    let began = Instant::now();
    let (mut rounds, mut judged): (Vec<Round>, Vec<Judged>) = (Vec::new(), Vec::new());
    while verdict::needs_another(&judged, plan, began) {
        let name = format!("run-{}", rounds.len() + 1);
        let round = round::play(&name, plan, ground, observer, progress, rounds.first()).await?;
        if round.termination.is_none() {
            let message =
                "the probe saw nothing of the shutdown; `shutdown-probe doctor` says what may be missing";
            return Err(Failure::new(Exit::NotMeasured, message));
        }
        judged.push(verdict::judge(&round));
        rounds.push(round);
    }
    Ok((rounds, judged))
}
