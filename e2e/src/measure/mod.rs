//! `--measure`: what the daemon costs a cluster, and how soon it tells.
//!
//! Invariant: every number is taken from somebody else than the daemon: the kubelet, the API server's own record of
//! requests, a client outside the pods. What cannot be asked is said, never estimated.

mod arrival;
mod crowd;
mod delay;
mod requests;
mod usage;

use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::kubectl::Kubectl;
use crate::stage::Shared;
use anyhow::Result;
use requests::Requests;
use std::time::Duration;

/// How often a loss is waited for until it is an Event. Two are written for each, and no more than 25 at once.
const TIMES: usize = 12;
/// How long after its start the daemon is at rest, and the kubelet has looked at it.
const SETTLED: Duration = Duration::from_secs(20);
/// How many pods are deleted at once.
const CROWD: usize = 100;

/// What is asked.
struct Bench<'a> {
    shared: &'a Shared,
    kubectl: &'a Kubectl,
    daemon: &'a Daemon,
    requests: Option<Requests>,
    idle: Duration,
}

/// Measures all of it, and says it as Markdown. The answer is whether the crowd was told of exactly.
pub fn run(cli: &Cli, shared: &Shared, daemon: &Daemon) -> Result<bool> {
    let requests = cli.audit_log.clone().map(Requests::of);
    let bench = Bench {
        shared,
        kubectl: &shared.kubectl,
        daemon,
        requests,
        idle: Duration::from_secs(cli.idle_seconds.into()),
    };
    let arrival = arrival::measure(&bench)?;
    println!("| what | measured |\n|---|---|");
    println!("| from `kubectl apply` to the first scrape that succeeds | {} |", seconds(arrival));
    bench.idle()?;
    bench.rollout()?;
    let delays = delay::measure(&bench, TIMES)?;
    println!(
        "| from a client's lost connection to the Event, {TIMES} times | median {}, max {} |",
        seconds(delays.median),
        seconds(delays.max)
    );
    let told = crowd::measure(&bench, CROWD)?;
    println!("| {CROWD} pods deleted at once, one request in flight in each | {told} |");
    bench.usage("after them")?;
    Ok(told.is_exact())
}

impl Bench<'_> {
    fn idle(&self) -> Result<()> {
        // What a start asks is not what rest asks.
        std::thread::sleep(SETTLED);
        let before = usage::read(self.kubectl)?;
        let mark = self.requests.as_ref().map(Requests::mark).transpose()?;
        std::thread::sleep(self.idle);
        let cpu = usage::read(self.kubectl)?.cpu_since(&before)?;
        println!("| CPU of the daemon at rest | {:.2} % of one |", cpu * 100.0);
        self.usage("at rest")?;
        let what = format!("at rest, in {} s", self.idle.as_secs());
        self.say_requests(&what, mark)
    }

    /// One rollout of a Deployment with two replicas.
    fn rollout(&self) -> Result<()> {
        let mark = self.requests.as_ref().map(Requests::mark).transpose()?;
        delay::roll_out(self)?;
        self.say_requests("for a rollout of two replicas that lose connections, its Events among them", mark)
    }

    fn usage(&self, when: &str) -> Result<()> {
        let usage = usage::read(self.kubectl)?;
        println!(
            "| memory of the pod {when}, maps included | {:.1} MiB |",
            usage.memory as f64 / f64::from(1 << 20)
        );
        Ok(())
    }

    fn say_requests(&self, what: &str, mark: Option<requests::Mark>) -> Result<()> {
        match (&self.requests, mark) {
            (Some(requests), Some(mark)) => {
                println!("| requests to the API {what} | {} |", requests.since(mark)?);
            }
            _ => println!("| requests to the API {what} | not measured: no record of requests |"),
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
