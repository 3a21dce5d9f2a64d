//! A run of the zoo: prepares, plays the cases on a few threads, judges each once the daemon has
//! made up its mind.

use crate::case::{self, Case};
use crate::cgroup::Ground;
use crate::cli::RunArgs;
use crate::daemon::Daemon;
use crate::judge::Judge;
use crate::metrics::Watcher;
use crate::port::Ports;
use crate::report::Summary;
use crate::stage::{Played, Shared, Stage};
use crate::tool::{Tool, ToolBox};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// A case that has been played.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub case: Case,
    /// What was played, or why it could not be.
    pub played: Result<Played>,
    /// What its servers said last.
    pub last_words: Vec<String>,
    /// How long the scene took.
    pub took: Duration,
}

/// Plays and judges; the answer is whether every case passed.
pub fn run(options: &RunArgs) -> Result<bool> {
    let cases = select(&options.cases)?;
    if options.list {
        for case in &cases {
            println!("{:<26} {}", case.name, case.about);
        }
        return Ok(true);
    }
    let shared = set_up(&cases)?;
    let daemon = if options.truth_only { None } else { Some(start_daemon(&shared, options.daemon.clone())?) };
    let watcher = daemon.as_ref().map(|daemon| Watcher::start(daemon.api().clone()));
    let mut judge = Judge::new(daemon, watcher, options);
    let summary = play_all(&shared, &cases, options, &mut judge)?;
    if options.keep_logs {
        judge.keep_answers(&logs(&shared.tools)?)?;
    }
    if options.json {
        println!("{:#}", summary.to_json());
    } else {
        summary.print(!options.truth_only);
    }
    ensure!(!shared.interrupted.load(Ordering::Relaxed), "interrupted");
    Ok(summary.passed())
}

/// Makes every tool ready.
pub fn prepare() -> Result<bool> {
    ToolBox::find()?.prepare(&needs(&case::all()), &|line| eprintln!("zoo: {line}"))?;
    Ok(true)
}

/// What the cases share, with their tools ready.
pub fn set_up(cases: &[Case]) -> Result<Shared> {
    ensure!(rustix::process::geteuid().is_root(), "the zoo makes cgroups and namespaces: run it as root");
    let tools = ToolBox::find()?;
    tools.prepare(&needs(cases), &|line| eprintln!("zoo: {line}"))?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("handling Ctrl-C")?;
    }
    Ok(Shared { ground: Ground::make()?, ports: Arc::new(Ports::new()), tools, interrupted })
}

/// Starts the daemon over the cgroups of this run.
pub fn start_daemon(shared: &Shared, program: Option<PathBuf>) -> Result<Daemon> {
    let program = program.unwrap_or_else(|| daemon_beside(shared));
    let log = logs(&shared.tools)?.join("daemon.log");
    Daemon::start(&program, &shared.ground, shared.ports.server()?, log, &shared.interrupted)
}

/// The daemon is always a release build, whatever this program is.
pub fn daemon_beside(shared: &Shared) -> PathBuf {
    shared.tools.built.with_file_name("release").join("shutdown-probe")
}

fn logs(tools: &ToolBox) -> Result<PathBuf> {
    let logs = tools.home.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
    Ok(logs)
}

fn needs(cases: &[Case]) -> Vec<Tool> {
    let mut needs: Vec<Tool> = cases.iter().flat_map(|case| case.needs).copied().collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// The cases that are asked for; without patterns all of them.
fn select(patterns: &[String]) -> Result<Vec<Case>> {
    let mut cases = case::all();
    for pattern in patterns {
        ensure!(
            cases.iter().any(|case| fits(pattern, case.name)),
            "no case is called {pattern}: see zoo run --list"
        );
    }
    if !patterns.is_empty() {
        cases.retain(|case| patterns.iter().any(|pattern| fits(pattern, case.name)));
    }
    Ok(cases)
}

/// `*` stands for anything, also for nothing.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|cut| tail.is_char_boundary(cut) && fits(rest, &tail[cut..]))
        }),
    }
}

fn play_all(shared: &Shared, cases: &[Case], options: &RunArgs, judge: &mut Judge) -> Result<Summary> {
    let next = AtomicUsize::new(0);
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..options.jobs {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Nobody listens any more once judging has failed.
                    if shared.interrupted.load(Ordering::Relaxed) || sender.send(play(shared, *case)).is_err()
                    {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let result = judge_all(&receiver, judge, options, &mut summary);
        if result.is_err() {
            shared.interrupted.store(true, Ordering::Relaxed);
        }
        result
    })?;
    Ok(summary)
}

fn judge_all(
    outcomes: &mpsc::Receiver<Outcome>,
    judge: &mut Judge,
    options: &RunArgs,
    summary: &mut Summary,
) -> Result<()> {
    let mut playing = true;
    while playing || judge.has_pending() {
        match outcomes.recv_timeout(Duration::from_millis(200)) {
            Ok(outcome) => judge.take(outcome),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                playing = false;
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        for verdict in judge.judge()? {
            if !options.json {
                verdict.print();
            }
            summary.add(verdict);
        }
    }
    Ok(())
}

/// Plays one case; whatever it leaves behind ends with its stage.
pub fn play(shared: &Shared, case: Case) -> Outcome {
    let begun = Instant::now();
    let (played, last_words) = match Stage::new(shared, case.name) {
        Ok(mut stage) => {
            let played = (case.play)(&mut stage);
            let last_words = stage.last_words();
            (played.and_then(|()| stage.finish()), last_words)
        }
        Err(error) => (Err(error), Vec::new()),
    };
    Outcome { case, played, last_words, took: begun.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("node-*", "node-exit"));
        assert!(fits("*pid1", "node-exit-pid1"));
        assert!(fits("n*e*1", "node-exit-pid1"));
        assert!(!fits("node", "node-exit"));
        assert!(!fits("*pid1", "node-exit"));
    }
}
