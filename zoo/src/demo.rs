//! The demonstration: the story's service is stopped in five ways, and the daemon says what each cost.

use crate::api::{Severed, Termination};
use crate::case::Case;
use crate::cli::DemoArgs;
use crate::client::{Script, Start, get};
use crate::compare::score;
use crate::daemon::Daemon;
use crate::expect::{Cause, Expected};
use crate::program::Program;
use crate::run::{self, Outcome};
use crate::stage::{PATIENCE, PlayedRun, RunId, Shared, Stage, Stop, Work, slow};
use crate::terminal::{Style, styled, wrapped};
use crate::tool::Tool;
use crate::truth::LINGER;
use anyhow::{Context, Result, bail, ensure};
use shutdown_probe_common::fate::Fate;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const NODE: &[Tool] = &[Tool::Node];
const GRACE: Stop = Stop::term(Duration::from_millis(2500));
/// How long clients go on coming once the service is to go: proxies learn of it late.
const TAIL: [u64; 3] = [150, 300, 450];

const STYLES: [Case; 5] = [
    Case::new("demo-no-handler", NODE, "no handler for SIGTERM", no_handler),
    Case::new("demo-exit", NODE, "SIGTERM: process.exit(0)", exit),
    Case::new("demo-close", NODE, "SIGTERM: server.close(), then exit", close),
    Case::new("demo-drain", NODE, "SIGTERM: drain, then exit", drain),
    Case::new("demo-pre-stop", NODE, "a preStop sleep, then drain, then exit", pre_stop),
];

/// Plays it. The answer is whether the daemon and the clients agree.
pub fn run(options: &DemoArgs) -> Result<bool> {
    let shared = run::set_up(&STYLES)?;
    let mut daemon = run::start_daemon(&shared, options.daemon.clone())?;
    println!("{}", styled(Style::Strong, "One Node service, stopped in five ways"));
    println!();
    println!(
        "{}",
        wrapped(
            "",
            "Each time two clients hold an idle keep-alive connection, three wait for an \
        answer, and three more come in the next half second, since proxies learn late that a service goes. \
        Nothing in the service is changed to be watched."
        )
    );
    let outcomes = play_all(&shared);
    let mut agreed = outcomes.len() == STYLES.len();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let style = outcome.case;
        let played = outcome.played.with_context(|| format!("{} could not be played", style.name))?;
        let [container] = &played.containers[..] else { bail!("{} has more than one container", style.name) };
        let [run] = &container.runs[..] else { bail!("{} has more than one run", style.name) };
        let termination = answer(&mut daemon, &shared, &container.path)?;
        println!();
        agreed &= tell(number + 1, style.about, &termination, run);
    }
    println!();
    println!("{}", wrapped("", "The same, for whatever runs here: sudo shutdown-probe watch"));
    Ok(agreed)
}

/// All at once: none knows of the others, and nobody waits for five of them in a row.
fn play_all(shared: &Shared) -> Vec<Outcome> {
    std::thread::scope(|scope| {
        let playing = STYLES.map(|style| scope.spawn(move || run::play(shared, style)));
        playing.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Waits until the daemon has made up its mind.
fn answer(daemon: &mut Daemon, shared: &Shared, path: &str) -> Result<Termination> {
    let deadline = Instant::now() + LINGER + PATIENCE;
    while Instant::now() < deadline {
        daemon.check()?;
        ensure!(!shared.interrupted.load(Ordering::Relaxed), "interrupted");
        let terminations = daemon.api().terminations()?;
        let found = terminations.into_iter().find(|termination| termination.container.cgroup == path);
        if let Some(termination) = found.filter(Termination::is_complete) {
            return Ok(termination);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the daemon has not said what became of {path}")
}

/// Says what the daemon found. The answer is whether the clients lost the same, one by one.
fn tell(number: usize, about: &str, termination: &Termination, run: &PlayedRun) -> bool {
    let style = if termination.severed_total > 0 { Style::Bad } else { Style::Good };
    println!("{}", styled(Style::Strong, &format!("{number}. {about}")));
    let count = format!("{} severed", termination.severed_total);
    println!("   {}, {} drained; {}", styled(style, &count), termination.drained_total, termination.cause);
    println!("{}", wrapped("   ", &termination.summary));
    for severed in &termination.severed {
        println!("     {:<16} {:<19} {}", severed.peer, severed.evidence, loss(severed));
    }
    for advice in &termination.advice {
        println!("{}", wrapped("   change  ", advice));
    }
    let score = score(run, Some(termination));
    let agrees = score.found == score.severed && score.false_alarms == 0;
    let word = if agrees { "the same" } else { "something else" };
    println!("   The clients' own records say {word}: {} of {} lost.", score.severed, run.clients.len());
    agrees
}

/// What was lost, in words.
fn loss(severed: &Severed) -> &'static str {
    let fate = Fate::ALL.into_iter().find(|fate| fate.as_str() == severed.evidence);
    match fate {
        Some(Fate::UnansweredRequest) => "read, not answered: may have run",
        Some(Fate::TruncatedResponse) => "answer cut short: may have run",
        Some(Fate::UndeliveredResponse) => "answer lost on the way: has run",
        Some(Fate::UnreadRequest) => "never read: safe to retry",
        Some(Fate::NeverAccepted) => "never accepted: safe to retry",
        Some(Fate::RequestAfterClose) => "crossed the close: safe to retry",
        Some(Fate::Refused) => "turned away: safe to retry",
        _ => "",
    }
}

/// Two idle connections and three requests in flight.
fn audience(stage: &mut Stage<'_>, style: &str) -> Result<RunId> {
    let server = stage.start(Program::node(stage.tools(), style))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::UntilStop)?;
    Ok(server)
}

/// The clients who are still sent here.
fn tail(stage: &mut Stage<'_>, server: RunId) {
    for milliseconds in TAIL {
        let start = Start::AfterStop(Duration::from_millis(milliseconds));
        stage.open(server, Script::at(start, vec![get("/")]));
    }
}

fn stopped(stage: &mut Stage<'_>, style: &str, expected: Expected) -> Result<()> {
    let server = audience(stage, style)?;
    tail(stage, server);
    stage.stop(server, GRACE)?;
    stage.expect(server, expected);
    Ok(())
}

fn no_handler(stage: &mut Stage<'_>) -> Result<()> {
    stopped(stage, "none", Expected::new(Cause::StopSignalKilledProcess))
}

fn exit(stage: &mut Stage<'_>) -> Result<()> {
    stopped(stage, "exit", Expected::new(Cause::ExitedWithoutDrain))
}

fn close(stage: &mut Stage<'_>) -> Result<()> {
    stopped(stage, "close", Expected::new(Cause::WaitedOnIdleConnections))
}

fn drain(stage: &mut Stage<'_>) -> Result<()> {
    stopped(stage, "drain", Expected::new(Cause::ListenerClosedWhileRouted))
}

fn pre_stop(stage: &mut Stage<'_>) -> Result<()> {
    let server = audience(stage, "drain")?;
    for _ in TAIL {
        stage.let_pass(Duration::from_millis(150))?;
        stage.open(server, Script::now(vec![slow(1)]));
    }
    stage.let_pass(Duration::from_millis(150))?;
    stage.stop(server, GRACE)?;
    stage.expect(server, Expected::new(Cause::Clean));
    Ok(())
}
