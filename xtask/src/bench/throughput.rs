//! Requests a second, and the server's CPU time for each, with an observer and without, in turn.
//!
//! The first is what a user sees; the second is less moved by whatever else runs on the machine.

use super::arena::Arena;
use super::load::{Load, Served, Server};
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
    /// Of the change in requests a second that the observer makes, pair by pair: -0.01 is one per cent fewer.
    pub rate: Spread,
    /// Of the change in the server's CPU time for a request: 0.01 is one per cent more.
    pub cpu_time: Spread,
}

/// Two measurements next to each other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    pub without: Served,
    pub with: Served,
}

impl Pair {
    fn change(&self, of: fn(&Served) -> f64) -> f64 {
        of(&self.with) / of(&self.without) - 1.0
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
                    let pair = self.pair(*observer, round);
                    pairs.push(pair.with_context(|| format!("{}, round {}", observer.name(), round + 1))?);
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

    fn run_with(&self, observer: Observer) -> Result<Served> {
        let attached = observer.attach(self.arena)?;
        let served = self.run().context("attached")?;
        attached.detach()?;
        Ok(served)
    }

    fn run(&self) -> Result<Served> {
        self.load.run(self.arena, self.server, &self.arena.outside(), self.plan.load_seconds)
    }
}

impl Comparison {
    fn of(load: Load, observer: Observer, pairs: Vec<Pair>) -> Result<Self> {
        let spread = |of: &dyn Fn(&Pair) -> f64| Spread::of(pairs.iter().map(of)).context("no pair");
        Ok(Self {
            load,
            observer,
            base: spread(&|pair| pair.without.per_second)?,
            rate: spread(&|pair| pair.change(|served| served.per_second))?,
            cpu_time: spread(&|pair| pair.change(|served| served.server_cpu_seconds))?,
            pairs,
        })
    }

    fn row(&self, change: &Spread) -> [String; 6] {
        [
            self.observer.name().to_owned(),
            change.count.to_string(),
            percent(change.median),
            change.median_interval.map_or("too few".to_owned(), |(low, high)| range(low, high)),
            range(change.lower_quartile, change.upper_quartile),
            range(change.min, change.max),
        ]
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for load in Load::ALL {
            let comparisons: Vec<_> = self.comparisons.iter().filter(|one| one.load == load).collect();
            write_table(f, load, "requests/s", &comparisons, |comparison| &comparison.rate)?;
            write_table(f, load, "server CPU/request", &comparisons, |comparison| &comparison.cpu_time)?;
            if let Some(control) = comparisons.first() {
                let base = &control.base;
                writeln!(
                    f,
                    "Without: {:.0} requests/s ({:.0} to {:.0}).\n",
                    base.median, base.min, base.max
                )?;
            }
        }
        if !self.not_installed.is_empty() {
            writeln!(f, "Not installed: {}.", self.not_installed.join(", "))?;
        }
        Ok(())
    }
}

fn write_table(
    f: &mut fmt::Formatter<'_>,
    load: Load,
    what: &str,
    comparisons: &[&Comparison],
    of: fn(&Comparison) -> &Spread,
) -> fmt::Result {
    let title = format!("{}: {what}", load.name());
    let mut table = Table::new([&title, "pairs", "median", "95 % interval", "quartiles", "all"]);
    comparisons.iter().for_each(|comparison| table.row(comparison.row(of(comparison))));
    writeln!(f, "{table}")
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

    fn served(per_second: f64, server_cpu_seconds: f64) -> Served {
        Served { requests: 1, per_second, server_cpu_seconds }
    }

    #[test]
    fn change_is_relative_to_the_same_pair() {
        let pairs = vec![
            Pair { without: served(100.0, 1e-5), with: served(99.0, 1.01e-5) },
            Pair { without: served(200.0, 1e-5), with: served(190.0, 1.03e-5) },
        ];
        let comparison = Comparison::of(Load::KeepAlive, Observer::Daemon, pairs).unwrap();
        assert!((comparison.rate.median - -0.03).abs() < 1e-9);
        assert!((comparison.cpu_time.median - 0.02).abs() < 1e-9);
        assert_eq!(comparison.base.median, 150.0);
    }

    #[test]
    fn percentages_have_their_sign() {
        assert_eq!(percent(-0.0123), "-1.2 %");
        assert_eq!(range(-0.01, 0.02), "-1.0 … +2.0");
    }
}
