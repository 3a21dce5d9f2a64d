//! What each eBPF program costs: nanoseconds an event, events a request.
//!
//! The kernel's own account (`kernel.bpf_stats_enabled`) is used. Keeping it costs some of the time it reports;
//! as much as it reports for a program that does nothing is subtracted.

use super::afterwards::Afterwards;
use super::arena::Arena;
use super::daemon::{Daemon, Framing};
use super::kernel_objects::{Program, held_by};
use super::load::{Load, Served, Server};
use super::observer::attach_empty;
use super::plan::Plan;
use super::progress;
use super::table::Table;
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
const SWITCH_BACK: &str = "echo \"$1\" > /proc/sys/kernel/bpf_stats_enabled";

#[derive(Debug, Serialize)]
pub struct Hooks {
    /// Of a program that does nothing, in ns. Nothing: it could not be measured, and nothing is subtracted.
    pub floor_ns: Option<f64>,
    pub scenarios: Vec<Scenario>,
}

#[derive(Debug, Serialize)]
pub struct Scenario {
    pub load: Load,
    pub client: Client,
    pub framing: Framing,
    pub served: Served,
    /// CPU time of server, client and daemon together for a request.
    pub request_cpu_seconds: f64,
    pub hooks: Vec<Hook>,
    /// CPU time of the daemon itself, as a part of one CPU.
    pub daemon_cpu: f64,
}

/// Where the other end of each connection is. All is on one machine: both ends are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    Outside,
    InContainer,
}

/// One program under one load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hook {
    pub name: String,
    pub events: u64,
    /// As the kernel counts.
    pub gross_ns: f64,
    /// Less the floor, and not below 0.
    pub net_ns: f64,
    pub events_per_request: f64,
}

impl Hook {
    fn ns_per_request(&self) -> f64 {
        self.net_ns * self.events_per_request
    }
}

impl Scenario {
    fn ns_per_request(&self) -> f64 {
        self.hooks.iter().map(Hook::ns_per_request).sum()
    }

    /// As a part of what a request takes at both of its ends.
    fn share_of_request(&self) -> f64 {
        self.ns_per_request() / (self.request_cpu_seconds * 1e9)
    }
}

/// # Errors
/// When the kernel does not keep the account, or a load fails.
pub fn measure(arena: &Arena, plan: &Plan) -> Result<Hooks> {
    let _switched_back = switch_on()?;
    let server = Server::start(arena, "web", None)?;
    progress("hooks: the price of measuring");
    let floor_ns = floor(arena, plan, &server)?;
    let mut scenarios = Vec::new();
    for framing in [Framing::On, Framing::Off] {
        let daemon = Daemon::start(arena, framing)?;
        let bench = Bench { arena, plan, server: &server, daemon: &daemon, framing, floor_ns };
        for client in [Client::Outside, Client::InContainer] {
            for load in Load::ALL {
                scenarios.push(bench.scenario(load, client)?);
            }
        }
        daemon.end(Signal::TERM)?;
    }
    Ok(Hooks { floor_ns, scenarios })
}

fn switch_on() -> Result<Afterwards> {
    let before = fs::read_to_string(SWITCH).context(SWITCH)?;
    let back = Afterwards::run(SWITCH_BACK, &[before.trim().as_ref()])?;
    fs::write(SWITCH, "1").context(SWITCH)?;
    Ok(back)
}

fn floor(arena: &Arena, plan: &Plan, server: &Server) -> Result<Option<f64>> {
    let Some(empty) = attach_empty(arena)? else { return Ok(None) };
    let held = held_by(empty.id())?;
    let before = held.programs()?;
    let served = Load::KeepAlive.run(arena, server, &arena.outside(), plan.load_seconds)?;
    let hooks = difference(&before, &held.programs()?, served.requests, 0.0);
    empty.end(Signal::KILL)?;
    ensure!(hooks.len() == 1, "the empty program is not one: {hooks:?}");
    Ok(Some(hooks[0].gross_ns))
}

struct Bench<'a> {
    arena: &'a Arena,
    plan: &'a Plan,
    server: &'a Server,
    daemon: &'a Daemon,
    framing: Framing,
    floor_ns: Option<f64>,
}

impl Bench<'_> {
    fn scenario(&self, load: Load, client: Client) -> Result<Scenario> {
        progress(&format!("hooks: {}, client {}", load.name(), client.name()));
        let cgroup = client.cgroup(self.arena)?;
        // What happens once, as a container and its connections become known, is no part of a request.
        load.run(self.arena, self.server, &cgroup, 1)?;
        let held = self.daemon.held()?;
        let (before, cpu_before) = (held.programs()?, self.cpu_times()?);
        let served = load.run(self.arena, self.server, &cgroup, self.plan.load_seconds)?;
        let (after, cpu_after) = (held.programs()?, self.cpu_times()?);
        let request_cpu = cpu_after.all - cpu_before.all;
        let daemon_cpu = cpu_after.daemon - cpu_before.daemon;
        Ok(Scenario {
            load,
            client,
            framing: self.framing,
            served,
            request_cpu_seconds: request_cpu.as_secs_f64() / served.requests as f64,
            hooks: difference(&before, &after, served.requests, self.floor_ns.unwrap_or(0.0)),
            daemon_cpu: daemon_cpu.as_secs_f64() / self.plan.load_seconds as f64,
        })
    }

    fn cpu_times(&self) -> Result<CpuTimes> {
        Ok(CpuTimes { all: self.arena.cpu_time()?, daemon: self.daemon.process.cpu_time()? })
    }
}

struct CpuTimes {
    all: Duration,
    daemon: Duration,
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::InContainer => "in a container",
        }
    }

    fn cgroup(self, arena: &Arena) -> Result<PathBuf> {
        match self {
            Self::Outside => Ok(arena.outside()),
            Self::InContainer => arena.container("client"),
        }
    }
}

/// Those that ran in between, the most expensive first.
fn difference(before: &[Program], after: &[Program], requests: u64, floor_ns: f64) -> Vec<Hook> {
    let before: HashMap<u32, &Program> = before.iter().map(|program| (program.id, program)).collect();
    let mut hooks: Vec<Hook> = after
        .iter()
        .filter_map(|now| {
            let then = before.get(&now.id)?;
            let events = now.run_cnt.checked_sub(then.run_cnt).filter(|events| *events > 0)?;
            let gross_ns = now.run_time_ns.saturating_sub(then.run_time_ns) as f64 / events as f64;
            Some(Hook {
                name: now.name.clone(),
                events,
                gross_ns,
                net_ns: (gross_ns - floor_ns).max(0.0),
                events_per_request: events as f64 / requests.max(1) as f64,
            })
        })
        .collect();
    hooks.sort_by(|one, other| other.ns_per_request().total_cmp(&one.ns_per_request()));
    hooks
}

impl fmt::Display for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.floor_ns {
            Some(floor) => writeln!(f, "A program that does nothing: {floor:.0} ns, subtracted below.\n")?,
            None => {
                writeln!(f, "Nothing is subtracted, for there is no bpftrace to make an empty program.\n")?
            }
        }
        for scenario in &self.scenarios {
            writeln!(f, "{scenario}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let framing = if self.framing == Framing::On { "" } else { ", --protocols none" };
        let header = format!("{}, client {}{framing}", self.load.name(), self.client.name());
        let mut table = Table::new([&header, "events", "ns/event", "events/request", "ns/request"]);
        for hook in self.hooks.iter().filter(|hook| hook.events_per_request >= 0.001) {
            table.row([
                format!("`{}`", hook.name),
                hook.events.to_string(),
                format!("{:.0}", hook.net_ns),
                format!("{:.2}", hook.events_per_request),
                format!("{:.0}", hook.ns_per_request()),
            ]);
        }
        let empty = String::new;
        table.row(["all".to_owned(), empty(), empty(), empty(), format!("{:.0}", self.ns_per_request())]);
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "{:.1} % of the {:.1} µs of CPU time that a request takes at both ends, at {:.0} requests/s. The daemon's \
             own CPU time: {:.2} % of one CPU.",
            self.share_of_request() * 100.0,
            self.request_cpu_seconds * 1e6,
            self.served.per_second,
            self.daemon_cpu * 100.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(id: u32, run_cnt: u64, run_time_ns: u64) -> Program {
        Program { id, name: format!("p{id}"), run_time_ns, run_cnt }
    }

    #[test]
    fn only_what_ran_in_between_counts() {
        let before = [program(1, 100, 50_000), program(2, 5, 500), program(3, 7, 7)];
        let after = [program(1, 300, 70_000), program(2, 5, 500), program(3, 107, 4_007)];
        let hooks = difference(&before, &after, 100, 40.0);
        assert_eq!(hooks.iter().map(|hook| hook.name.as_str()).collect::<Vec<_>>(), ["p1", "p3"]);
        assert_eq!((hooks[0].events, hooks[0].gross_ns, hooks[0].net_ns), (200, 100.0, 60.0));
        assert_eq!((hooks[0].events_per_request, hooks[0].ns_per_request()), (2.0, 120.0));
        assert_eq!(hooks[1].net_ns, 0.0, "noise is no gain");
    }
}
