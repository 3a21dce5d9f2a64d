//! Requests a second with an observer and without, in turn.

use super::arena::Arena;
use super::load::{Load, Server};
use super::observer::Observer;
use super::plan::Plan;
use super::progress;
use super::statistics::Spread;
use super::table::Table;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Throughput {
    pub comparisons: Vec<Comparison>,
    /// Peers that could not be measured.
    pub not_installed: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct Comparison {
    pub load: Load,
    pub observer: Observer,
    pub pairs: Vec<Pair>,
    /// Of the requests a second without.
    pub base: Spread,
    /// Of the change that the observer makes, pair by pair: -0.01 is one per cent fewer requests a second.
    pub change: Spread,
}

/// Two measurements next to each other, in requests a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    pub without: f64,
    pub with: f64,
}

impl Pair {
    fn change(&self) -> f64 {
        self.with / self.without - 1.0
    }
}

/// # Errors
/// When a server, an observer or a request fails.
pub fn measure(arena: &Arena, plan: &Plan) -> Result<Throughput> {
    let server = Server::start(arena, "web", None)?;
    let (installed, absent): (Vec<_>, Vec<_>) =
        Observer::ALL.into_iter().partition(|observer| observer.is_installed(arena));
    let mut comparisons = Vec::new();
    for load in Load::ALL {
        let bench = Bench { arena, plan, server: &server, load };
        // The first run of all is like no other: caches are cold and no old connections lie about.
        bench.run()?;
        comparisons.extend(bench.compare(&installed)?);
    }
    Ok(Throughput { comparisons, not_installed: absent.into_iter().map(Observer::name).collect() })
}

struct Bench<'a> {
    arena: &'a Arena,
    plan: &'a Plan,
    server: &'a Server,
    load: Load,
}

impl Bench<'_> {
    /// Round by round, so that whatever the machine's mood is, it falls on all alike.
    fn compare(&self, observers: &[Observer]) -> Result<Vec<Comparison>> {
        let mut all: Vec<_> = observers.iter().map(|observer| (*observer, Vec::new())).collect();
        for round in 0..self.plan.pairs {
            progress(&format!(
                "throughput, {}: round {} of {}",
                self.load.name(),
                round + 1,
                self.plan.pairs
            ));
            for (observer, pairs) in &mut all {
                if !observer.is_peer() || round < self.plan.peer_pairs {
                    pairs.push(self.pair(*observer, round)?);
                }
            }
        }
        all.into_iter().map(|(observer, pairs)| Comparison::of(self.load, observer, pairs)).collect()
    }

    /// Every other time the observer comes first.
    fn pair(&self, observer: Observer, round: usize) -> Result<Pair> {
        if round.is_multiple_of(2) {
            let without = self.run()?;
            Ok(Pair { without, with: self.run_with(observer)? })
        } else {
            let with = self.run_with(observer)?;
            Ok(Pair { with, without: self.run()? })
        }
    }

    fn run_with(&self, observer: Observer) -> Result<f64> {
        let attached = observer.attach(self.arena).with_context(|| observer.name())?;
        let per_second = self.run()?;
        attached.detach()?;
        Ok(per_second)
    }

    fn run(&self) -> Result<f64> {
        let served = self.load.run(self.arena, self.server, &self.arena.outside(), self.plan.load_seconds)?;
        Ok(served.per_second)
    }
}

impl Comparison {
    fn of(load: Load, observer: Observer, pairs: Vec<Pair>) -> Result<Self> {
        let base = Spread::of(pairs.iter().map(|pair| pair.without)).context("no pair")?;
        let change = Spread::of(pairs.iter().map(Pair::change)).context("no pair")?;
        Ok(Self { load, observer, pairs, base, change })
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "load, observer",
            "pairs",
            "requests/s without",
            "median change",
            "95 % interval",
            "quartiles",
            "all",
        ]);
        for comparison in &self.comparisons {
            let change = &comparison.change;
            table.row([
                format!("{}, {}", comparison.load.name(), comparison.observer.name()),
                change.count.to_string(),
                format!("{:.0}", comparison.base.median),
                percent(change.median),
                change.median_interval.map_or("too few".to_owned(), |(low, high)| range(low, high)),
                range(change.lower_quartile, change.upper_quartile),
                range(change.min, change.max),
            ]);
        }
        write!(f, "{table}")?;
        if !self.not_installed.is_empty() {
            writeln!(f, "\nNot installed: {}.", self.not_installed.join(", "))?;
        }
        Ok(())
    }
}

fn percent(part: f64) -> String {
    format!("{:+.1} %", part * 100.0)
}

fn range(low: f64, high: f64) -> String {
    format!("{:+.1} … {:+.1}", low * 100.0, high * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_relative_to_the_same_pair() {
        let pairs = vec![Pair { without: 100.0, with: 99.0 }, Pair { without: 200.0, with: 190.0 }];
        let comparison = Comparison::of(Load::KeepAlive, Observer::Daemon, pairs).unwrap();
        assert!((comparison.change.median - -0.03).abs() < 1e-9);
        assert_eq!(comparison.base.median, 150.0);
    }

    #[test]
    fn percentages_have_their_sign() {
        assert_eq!(percent(-0.0123), "-1.2 %");
        assert_eq!(range(-0.01, 0.02), "-1.0 … +2.0");
    }
}
