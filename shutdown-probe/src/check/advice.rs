//! What to change, as something to copy: in the language of the service, and for the cause that was found.
//!
//! The code is in files of its own under `fix/`. Those for runtimes that the tests have are run by them: the service
//! that failed passes with it.

use super::options::Plan;
use super::round::Round;
use super::runtime::{Language, Runtime, Wrapper};
use serde::Serialize;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::Termination;
use std::time::Duration;

/// Added to the last arrival that was measured.
const MARGIN: Duration = Duration::from_secs(1);
/// The least that is advised: proxies of a real cluster take longer than the model's.
const PRE_STOP_LEAST: u64 = 5;
/// What a pod has where nobody says otherwise, in seconds.
const GRACE_DEFAULT: u64 = 30;

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

macro_rules! code {
    ($file:literal) => {
        include_str!(concat!("fix/", $file))
    };
}

/// The fixes for these causes, most important first, each once.
pub fn fixes(causes: &[Cause], round: &Round, plan: &Plan) -> Vec<Fix> {
    let mut fixes = Vec::new();
    for fix in causes.iter().flat_map(|cause| for_cause(*cause, round, plan)) {
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let sleeps = fixes.iter().any(|fix| fix.code.contains("preStop"));
    if needs_sleep(plan) && !sleeps {
        fixes.push(pre_stop(round.termination.as_ref(), plan));
    }
    fixes
}

/// Whether connections still come when the stop signal does: a service that rightly stops listening then refuses
/// them, which shows only once the rest is mended.
pub fn needs_sleep(plan: &Plan) -> bool {
    plan.args.load_command.is_none() && plan.pre_stop < plan.propagation
}

fn for_cause(cause: Cause, round: &Round, plan: &Plan) -> Vec<Fix> {
    let runtime = &round.runtime;
    match cause {
        Cause::StopSignalKilledProcess
        | Cause::ExitedWithoutDrain
        | Cause::WaitedOnIdleConnections
        | Cause::SignalBeforeReady => drain(runtime.language).into_iter().collect(),
        Cause::IgnoredStopSignal => {
            let wrapped = runtime.wrapper.is_some().then(|| forward(runtime));
            wrapped.into_iter().chain(drain(runtime.language)).collect()
        }
        Cause::StopSignalNotForwarded => {
            let own = drain(runtime.language).filter(|_| !handles_by_itself(runtime.language));
            [forward(runtime)].into_iter().chain(own).collect()
        }
        // A server that answers quickly and still runs at the end does not lack time, but a way to let go.
        Cause::GraceExceeded if is_quick(round, plan) => {
            drain(runtime.language).into_iter().chain([grace(round, plan)]).collect()
        }
        Cause::GraceExceeded => [grace(round, plan)].into_iter().chain(drain(runtime.language)).collect(),
        Cause::ListenerClosedWhileRouted | Cause::AcceptQueueDropped | Cause::KeepaliveRace => {
            vec![pre_stop(round.termination.as_ref(), plan)]
        }
        _ => Vec::new(),
    }
}

/// The fix for Rust compiles.
///
#[doc = concat!(
    "```no_run\n",
    "# async fn f(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {\n",
    include_str!("fix/rust.rs"),
    "# Ok(()) }\n```"
)]
const RUST: &str = code!("rust.rs");

/// Whether the server drains on SIGTERM without any code of the application.
fn handles_by_itself(language: Language) -> bool {
    matches!(language, Language::Gunicorn | Language::Uvicorn | Language::Puma)
}

fn is_quick(round: &Round, plan: &Plan) -> bool {
    round.cost.is_some_and(|cost| cost.latency * 4 < plan.grace_after_stop)
}

/// How a server of this language is made to drain.
pub fn drain(language: Language) -> Option<Fix> {
    let (title, tag, code) = match language {
        Language::Node => ("Handle SIGTERM: stop accepting, finish, then exit", "js", code!("node.js")),
        Language::Deno => ("Handle SIGTERM: stop accepting, finish, then exit", "js", code!("deno.js")),
        Language::Bun => ("Handle SIGTERM: stop accepting, finish, then exit", "js", code!("bun.js")),
        Language::Gunicorn => {
            ("Give its workers time to finish, less than the grace period", "sh", code!("gunicorn.sh"))
        }
        Language::Uvicorn => {
            ("Give it time to finish, less than the grace period", "sh", code!("uvicorn.sh"))
        }
        Language::Python => {
            ("Handle SIGTERM: stop accepting, finish, then exit", "python", code!("python.py"))
        }
        Language::Go => ("Handle SIGTERM with Server.Shutdown", "go", code!("go.go")),
        Language::Spring => ("Turn graceful shutdown on", "properties", code!("spring.properties")),
        Language::Java => ("Stop the server in a shutdown hook", "java", code!("java.java")),
        Language::Nginx => {
            ("Make the graceful signal the stop signal", "dockerfile", code!("nginx.dockerfile"))
        }
        Language::Haproxy => {
            ("Make the graceful signal the stop signal", "dockerfile", code!("haproxy.dockerfile"))
        }
        Language::Rust => ("Serve with a graceful shutdown", "rust", RUST),
        Language::Puma => ("Give it time to finish, less than the grace period", "ruby", code!("puma.rb")),
        Language::Ruby => ("Handle SIGTERM: stop accepting, finish, then exit", "ruby", code!("ruby.rb")),
        Language::Php => ("Make the graceful signal the stop signal", "dockerfile", code!("php.dockerfile")),
        Language::Dotnet => ("Give the host time to finish", "csharp", code!("dotnet.cs")),
        Language::Unknown => return None,
    };
    Some(Fix { title: title.into(), language: tag, code: code.into() })
}

/// How the signal is made to reach the server.
fn forward(runtime: &Runtime) -> Fix {
    let (title, tag, code) = match runtime.wrapper.as_ref().map(|(wrapper, _)| *wrapper) {
        Some(Wrapper::Shell) | None => ("Let the server take the shell's place", "sh", code!("shell.sh")),
        Some(Wrapper::PackageManager) => {
            ("Start the server itself", "dockerfile", code!("package_manager.dockerfile"))
        }
        Some(Wrapper::Init | Wrapper::Other) => {
            ("Put an init in front that passes signals on", "dockerfile", code!("init.dockerfile"))
        }
    };
    Fix { title: title.into(), language: tag, code: code.into() }
}

/// A sleep that outlasts the last arrival.
fn pre_stop(termination: Option<&Termination>, plan: &Plan) -> Fix {
    let last = termination.and_then(|termination| termination.last_late_connection_after_seconds);
    let tail = plan.pre_stop + Duration::from_secs_f64(last.unwrap_or_default());
    let seconds = (tail.max(plan.propagation) + MARGIN).as_secs_f64().ceil() as u64;
    let seconds = seconds.max(PRE_STOP_LEAST);
    let grace = plan.args.grace.0.as_secs().max(seconds * 2).max(GRACE_DEFAULT);
    yaml("Keep listening until nobody is sent here any more", code!("pre_stop.yaml"), seconds, grace)
}

fn grace(round: &Round, plan: &Plan) -> Fix {
    let slowest = round.cost.map_or(0, |cost| cost.latency.as_secs());
    let grace =
        (plan.args.grace.0.as_secs() * 2).max(slowest * 2 + plan.pre_stop.as_secs()).max(GRACE_DEFAULT);
    yaml("Give it longer, or make the drain shorter", code!("grace.yaml"), 0, grace)
}

fn yaml(title: &str, template: &str, seconds: u64, grace: u64) -> Fix {
    let code = template.replace("{seconds}", &seconds.to_string()).replace("{grace}", &grace.to_string());
    Fix { title: title.into(), language: "yaml", code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_that_is_known_has_its_fix() {
        for language in Language::ALL.iter().filter(|language| **language != Language::Unknown) {
            let fix = drain(*language).expect("a fix");
            assert!(!fix.code.trim().is_empty() && !fix.title.is_empty(), "{language:?}");
            let fits = |line: &str| line.chars().count() <= 104;
            assert!(fix.code.lines().all(fits), "{language:?} has a long line");
        }
    }

    #[test]
    fn manifests_are_filled_in() {
        let fix = yaml("x", code!("pre_stop.yaml"), 7, 30);
        assert!(fix.code.contains("sleep: { seconds: 7 }") && fix.code.contains("PeriodSeconds: 30"));
        assert!(!fix.code.contains("{seconds}") && !fix.code.contains("{grace}"));
    }
}
