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
use shutdown_probe_core::trigger::Trigger;
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

/// What to do about the causes for which there is nothing to copy, in words.
pub fn words(causes: &[Cause], round: &Round, plan: &Plan) -> Vec<String> {
    let trigger = round.termination.as_ref().map_or(Trigger::Unknown, |termination| termination.trigger);
    let is_mended = |cause: Cause| match cause {
        Cause::StopSignalKilledProcess
        | Cause::SignalBeforeReady
        | Cause::IgnoredStopSignal
        | Cause::ExitedWithoutDrain => snippet::drain(&round.runtime).is_some(),
        other => !for_cause(other, round, plan).is_empty(),
    };
    let open = causes.iter().filter(|cause| !is_mended(**cause));
    open.filter_map(|cause| shutdown_probe_core::advice::in_words(*cause, trigger)).collect()
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
        // With several workers, its master kills them by a signal that they do not handle.
        Cause::StopSignalKilledProcess if runtime.language == Language::Hypercorn => {
            snippet::snippet(Language::Asgi).into_iter().collect()
        }
        // Who passes the signal on seldom waits for what the server does with it then.
        Cause::StopSignalKilledProcess | Cause::SignalBeforeReady if is_for_development(runtime) => {
            with_forwarding(runtime, drain())
        }
        Cause::StopSignalKilledProcess | Cause::SignalBeforeReady => drain().into_iter().collect(),
        Cause::IgnoredStopSignal => with_forwarding(runtime, drain()),
        Cause::StopSignalNotForwarded => {
            with_forwarding(runtime, drain().filter(|_| !drains_by_itself(runtime.language)))
        }
        // A wrapper that goes first takes the server with it, whatever that would have done.
        Cause::ExitedWithoutDrain => with_forwarding(runtime, drain()),
        Cause::WaitedOnIdleConnections => letting_go(runtime.language).into_iter().collect(),
        // Its handler is to be replaced: a server drains only once it has stopped listening.
        Cause::GraceExceeded if is_quick(round, plan) && !stops_listening(round) => {
            drain().into_iter().collect()
        }
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
        Some(Wrapper::BuildTool) => Some(snippet::command_for_build_tool(runtime.language)),
        Some(Wrapper::Manager | Wrapper::Other) => Some(snippet::EXEC_FOR_OTHER),
        // Inits pass signals on.
        Some(Wrapper::Init) | None => None,
    };
    between.into_iter().chain(drain).collect()
}

/// Whether what stands in front has its place where the service is written, not where it serves.
fn is_for_development(runtime: &Runtime) -> bool {
    let wrapper = runtime.wrapper.as_ref().map(|(wrapper, _)| *wrapper);
    matches!(wrapper, Some(Wrapper::PackageManager | Wrapper::BuildTool | Wrapper::Manager))
}

/// Lets idle connections go; for most servers that is part of their drain.
fn letting_go(language: Language) -> Option<Snippet> {
    if language == Language::Node { Some(snippet::NODE_IDLE) } else { snippet::snippet(language) }
}

/// Whether the server drains on SIGTERM without any code of the application.
fn drains_by_itself(language: Language) -> bool {
    use Language::{Caddy, Gunicorn, Hypercorn, Puma, Uvicorn};
    matches!(language, Gunicorn | Uvicorn | Hypercorn | Puma | Caddy)
}

/// Whether it closed a listener after the stop signal, before SIGKILL closed all.
fn stops_listening(round: &Round) -> bool {
    round.termination.as_ref().is_none_or(|termination| {
        let killed = termination.kill_signal.as_ref().map_or(f64::INFINITY, |kill| kill.at);
        termination.timeline.iter().any(|entry| entry.event == "listener_closed" && entry.at < killed)
    })
}

fn is_quick(round: &Round, plan: &Plan) -> bool {
    round.cost.is_some_and(|cost| cost.latency * 4 < plan.grace_after_stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::tests::{plan, round, stopped};
    use shutdown_probe_core::report::TimelineEntry;

    fn failed(language: Language, wrapper: Option<Wrapper>) -> Round {
        let mut round = round(stopped(), Vec::new(), &[], Cause::IgnoredStopSignal);
        round.runtime.language = language;
        round.runtime.wrapper = wrapper.map(|wrapper| (wrapper, "x".to_owned()));
        round
    }

    fn titles(cause: Cause, round: &Round) -> Vec<String> {
        fixes(&[cause], round, &plan(&["--pre-stop", "1s"])).into_iter().map(|fix| fix.title).collect()
    }

    #[test]
    fn what_no_code_mends_is_said_in_words() {
        let said = |language| words(&[Cause::IgnoredStopSignal], &failed(language, None), &plan(&[]));
        assert_eq!(said(Language::Node), [""; 0]);
        let unknown = said(Language::Python);
        assert!(unknown.len() == 1 && unknown[0].contains("handler"), "not only a preStop: {unknown:?}");
    }

    #[test]
    fn tools_of_development_do_not_serve() {
        let of = |wrapper| titles(Cause::StopSignalKilledProcess, &failed(Language::Node, wrapper));
        assert_eq!(of(None).len(), 1);
        assert_eq!(of(Some(Wrapper::Init)), of(None), "it passes the signal on, and waits");
        for wrapper in [Wrapper::PackageManager, Wrapper::Manager, Wrapper::BuildTool] {
            let titles = of(Some(wrapper));
            assert!(titles.len() == 2 && titles[0].starts_with("Start"), "{wrapper:?}: {titles:?}");
        }
    }

    #[test]
    fn a_handler_that_goes_on_listening_is_replaced() {
        let mut round = failed(Language::Node, None);
        let of = |round: &Round| titles(Cause::GraceExceeded, round).remove(0);
        let termination = round.termination.as_mut().expect("one");
        termination.timeline.clear();
        assert!(of(&round).starts_with("Handle SIGTERM"), "{}", of(&round));
        let termination = round.termination.as_mut().expect("one");
        termination.timeline.push(TimelineEntry {
            at: 0.0,
            after_seconds: 0.0,
            event: "listener_closed".into(),
            text: String::new(),
        });
        assert!(of(&round).starts_with("Let idle connections go"), "{}", of(&round));
    }
}
