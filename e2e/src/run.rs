//! A run: the daemon is found, cases are played a few at a time, and each is judged.

use crate::case::{self, Case};
use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::dashboards;
use crate::judge::Judge;
use crate::kubectl::Kubectl;
use crate::measure;
use crate::prometheus::Prometheus;
use crate::report::{Summary, Verdict};
use crate::stage::{Shared, Stage};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use zoo::port::Ports;

/// Plays and judges; the answer is whether every case passed.
pub fn run(cli: &Cli) -> Result<bool> {
    let cases = select(&cli.cases)?;
    if cli.list {
        cases.iter().for_each(|case| println!("{:<26} {}", case.name, case.about));
        return Ok(true);
    }
    let kubeconfig = cli.kubeconfig.clone().context("--kubeconfig is needed")?;
    let kubectl = Kubectl::new(cli.kubectl.clone(), kubeconfig);
    let daemon = Daemon::find(&kubectl)?;
    let shared = share(cli, kubectl)?;
    if cli.measure {
        return measure::run(cli, &shared, &daemon);
    }
    let prometheus = Prometheus::start(&cli.prometheus, &daemon.addresses()?, &shared.directory)?;
    let judge = Judge { daemon: &daemon, prometheus: &prometheus, standalone: cli.standalone };
    let begun = Instant::now();
    let mut summary = Summary::default();
    // What disturbs the node or the cluster is played alone.
    let (alone, together): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.alone);
    play_all(&shared, &together, usize::from(cli.jobs), &judge, &mut summary);
    play_all(&shared, &alone, 1, &judge, &mut summary);
    ensure!(!shared.interrupted.load(Ordering::Relaxed), "interrupted");
    summary.print(begun.elapsed());
    if cli.cases.is_empty() && !cli.standalone {
        dashboards::check(&prometheus, begun.elapsed())?;
    } else {
        println!("the dashboards' queries are not asked: they need every case, with its names");
    }
    Ok(summary.passed())
}

fn share(cli: &Cli, kubectl: Kubectl) -> Result<Shared> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("handling Ctrl-C")?;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let directory = root.parent().context("e2e has no parent directory")?.join("target/e2e");
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let (keep, component_command, plugin) = (cli.keep, cli.component_command.clone(), cli.plugin.clone());
    let run = std::process::id();
    Ok(Shared { kubectl, ports: Ports::new(), interrupted, keep, component_command, plugin, directory, run })
}

fn select(patterns: &[String]) -> Result<Vec<Case>> {
    let mut cases = case::all();
    for pattern in patterns {
        ensure!(cases.iter().any(|case| fits(pattern, case.name)), "no case is called {pattern}: see --list");
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

fn play_all(shared: &Shared, cases: &[Case], jobs: usize, judge: &Judge<'_>, summary: &mut Summary) {
    let next = AtomicUsize::new(0);
    let summary = Mutex::new(summary);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if shared.interrupted.load(Ordering::Relaxed) {
                        break;
                    }
                    let verdict = play_and_judge(shared, *case, judge);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    verdict.print();
                    summary.add(&verdict);
                }
            });
        }
    });
}

/// The namespace is there until the case is judged: Events go with it.
fn play_and_judge(shared: &Shared, case: Case, judge: &Judge<'_>) -> Verdict {
    let begun = Instant::now();
    let mut verdict = Verdict::new(case, shared.namespace(case.name));
    let outcome = Stage::new(shared, case.name).and_then(|mut stage| {
        let played = (case.play)(&mut stage);
        verdict.last_words = stage.last_words();
        played?;
        let played = stage.finish()?;
        judge.judge(&played, &mut verdict).context("judging")
    });
    if let Err(error) = outcome {
        verdict.differ(format!("could not be played: {error:#}"));
    }
    verdict.took = begun.elapsed();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(fits("rollout-*", "rollout-exit") && fits("*exit", "rollout-exit"));
        assert!(!fits("rollout", "rollout-exit"));
    }
}
