//! What to change, as something to copy: in the language of the service, and for the cause that was found.
//!
//! The code is in files of its own under `fix/`, and is filled in with what is known of the service. The tests put it
//! to the services that failed, as it was printed: they pass with it.

mod blanks;
mod snippet;

use super::options::Plan;
use super::round::Round;
use super::runtime::{Language, Runtime, Wrapper};
use blanks::Blanks;
use serde::Serialize;
use shutdown_probe_core::cause::Cause;
use snippet::Snippet;

/// Something to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What it does.
    pub title: String,
    /// What the code is: a name for highlighting.
    pub language: &'static str,
    /// The code.
    pub code: String,
}

/// The fixes for these causes, most important first, each once.
pub fn fixes(causes: &[Cause], round: &Round, plan: &Plan) -> Vec<Fix> {
    let needs_time = causes.contains(&Cause::GraceExceeded) && !is_quick(round, plan);
    let blanks = Blanks::new(round, plan, needs_time);
    let mut fixes = Vec::new();
    for snippet in causes.iter().flat_map(|cause| for_cause(*cause, round, plan)) {
        let fix = blanks.fill(snippet);
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let sleeps = fixes.iter().any(|fix: &Fix| fix.code.contains("preStop"));
    if needs_sleep(plan) && !sleeps {
        fixes.push(blanks.fill(snippet::PRE_STOP));
    }
    fixes
}

/// Whether connections still come when the stop signal does: a service that rightly stops listening then refuses
/// them, which shows only once the rest is mended.
pub fn needs_sleep(plan: &Plan) -> bool {
    plan.args.load_command.is_none() && plan.pre_stop < plan.propagation
}

fn for_cause(cause: Cause, round: &Round, plan: &Plan) -> Vec<Snippet> {
    let runtime = &round.runtime;
    let drain = || snippet::drain(runtime);
    match cause {
        Cause::StopSignalKilledProcess | Cause::SignalBeforeReady => drain().into_iter().collect(),
        Cause::IgnoredStopSignal => with_forwarding(runtime, drain()),
        Cause::StopSignalNotForwarded => {
            with_forwarding(runtime, drain().filter(|_| !drains_by_itself(runtime.language)))
        }
        // A wrapper that goes first takes the server with it, whatever that would have done.
        Cause::ExitedWithoutDrain => with_forwarding(runtime, drain()),
        Cause::WaitedOnIdleConnections => letting_go(runtime.language).into_iter().collect(),
        // A server that answers quickly and still runs at the end does not lack time, but a way to let go.
        Cause::GraceExceeded if is_quick(round, plan) => letting_go(runtime.language).into_iter().collect(),
        Cause::GraceExceeded => {
            [Some(snippet::GRACE), letting_go(runtime.language)].into_iter().flatten().collect()
        }
        Cause::ListenerClosedWhileRouted | Cause::AcceptQueueDropped | Cause::KeepaliveRace => {
            vec![snippet::PRE_STOP]
        }
        _ => Vec::new(),
    }
}

/// Has the signal reach the server, where something stands in between, then what the server does with it.
fn with_forwarding(runtime: &Runtime, drain: Option<Snippet>) -> Vec<Snippet> {
    let between = match runtime.wrapper.as_ref().map(|(wrapper, _)| *wrapper) {
        Some(Wrapper::Shell) => Some(snippet::EXEC_FOR_SHELL),
        Some(Wrapper::PackageManager) => Some(snippet::COMMAND_FOR_PACKAGE_MANAGER),
        Some(Wrapper::Other) => Some(snippet::EXEC_FOR_OTHER),
        // Inits pass signals on.
        Some(Wrapper::Init) | None => None,
    };
    between.into_iter().chain(drain).collect()
}

/// Lets idle connections go; for most servers that is part of their drain.
fn letting_go(language: Language) -> Option<Snippet> {
    if language == Language::Node { Some(snippet::NODE_IDLE) } else { snippet::snippet(language) }
}

/// Whether the server drains on SIGTERM without any code of the application.
fn drains_by_itself(language: Language) -> bool {
    matches!(language, Language::Gunicorn | Language::Uvicorn | Language::Hypercorn | Language::Puma)
}

fn is_quick(round: &Round, plan: &Plan) -> bool {
    round.cost.is_some_and(|cost| cost.latency * 4 < plan.grace_after_stop)
}
