//! Memory of the daemon and of its maps, and its CPU time when nothing happens.

use super::arena::Arena;
use super::daemon::{Daemon, Framing};
use super::http::sum_of;
use super::load::Server;
use super::plan::Plan;
use super::process::Process;
use super::progress;
use super::table::Table;
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::fmt;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TERMINATIONS: &str = "shutdown_probe_terminations_total";
const SETTLE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
pub struct Footprint {
    pub idle_seconds: u64,
    /// CPU time while idle, as a part of one CPU.
    pub idle_cpu: f64,
    pub idle: Memory,
    pub terminations: usize,
    pub after: Memory,
    pub maps: Vec<MapMemory>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    pub resident_kilobytes: u64,
    /// What is not the program file's.
    pub anonymous_kilobytes: u64,
    pub map_bytes: u64,
    pub scrape_bytes: usize,
    pub scrape_seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct MapMemory {
    pub name: String,
    pub bytes: u64,
}

/// # Errors
/// When the daemon does not report every termination.
pub fn measure(arena: &Arena, plan: &Plan) -> Result<Footprint> {
    let _server = Server::start(arena, "web", None)?;
    let daemon = Daemon::start(arena, Framing::On)?;
    sleep(SETTLE);
    progress(&format!("footprint: idle for {} s", plan.idle_seconds));
    let before = daemon.process.cpu_time()?;
    sleep(plan.idle());
    let idle_cpu = (daemon.process.cpu_time()? - before).as_secs_f64() / plan.idle().as_secs_f64();
    let idle = memory(&daemon)?;
    progress(&format!("footprint: {} terminations", plan.terminations));
    (0..plan.terminations).try_for_each(|index| terminate(arena, index))?;
    wait_for(&daemon, plan.terminations)?;
    sleep(SETTLE);
    let after = memory(&daemon)?;
    let maps = maps(&daemon)?;
    daemon.end(Signal::TERM)?;
    let (idle_seconds, terminations) = (plan.idle_seconds, plan.terminations);
    Ok(Footprint { idle_seconds, idle_cpu, idle, terminations, after, maps })
}

/// A container of its own each time: the least favourable case.
fn terminate(arena: &Arena, index: usize) -> Result<()> {
    let cgroup = arena.container(&format!("short-lived-{index}"))?;
    let process = Process::start("sleep", Command::new("sleep").arg("600"))?;
    fs::write(cgroup.join("cgroup.procs"), process.id().to_string())?;
    process.end(Signal::TERM)?;
    fs::remove_dir(&cgroup).with_context(|| cgroup.display().to_string())
}

fn wait_for(daemon: &Daemon, terminations: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = sum_of(&daemon.scrape()?, TERMINATIONS);
        if told >= terminations as f64 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{told} of {terminations} terminations were reported");
        sleep(Duration::from_millis(500));
    }
}

fn memory(daemon: &Daemon) -> Result<Memory> {
    let begun = Instant::now();
    let scrape_bytes = daemon.scrape()?.len();
    let scrape_seconds = begun.elapsed().as_secs_f64();
    Ok(Memory {
        resident_kilobytes: daemon.process.kilobytes("VmRSS")?,
        anonymous_kilobytes: daemon.process.kilobytes("RssAnon")?,
        map_bytes: maps(daemon)?.iter().map(|map| map.bytes).sum(),
        scrape_bytes,
        scrape_seconds,
    })
}

/// The largest first.
fn maps(daemon: &Daemon) -> Result<Vec<MapMemory>> {
    let maps = daemon.held()?.maps()?;
    let mut maps: Vec<_> =
        maps.into_iter().map(|map| MapMemory { name: map.name, bytes: map.bytes }).collect();
    maps.sort_by_key(|map| std::cmp::Reverse(map.bytes));
    Ok(maps)
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = format!("after {} terminations", self.terminations);
        let mut table = Table::new(["", "idle", &after]);
        let mut row = |what: &str, of: &dyn Fn(&Memory) -> String| {
            table.row([what.to_owned(), of(&self.idle), of(&self.after)]);
        };
        row("resident memory, MiB", &|memory| mebibytes(memory.resident_kilobytes << 10));
        row("of it anonymous, MiB", &|memory| mebibytes(memory.anonymous_kilobytes << 10));
        row("eBPF maps, MiB", &|memory| mebibytes(memory.map_bytes));
        row("a scrape, KiB", &|memory| format!("{:.1}", memory.scrape_bytes as f64 / 1024.0));
        row("a scrape, ms", &|memory| format!("{:.1}", memory.scrape_seconds * 1e3));
        writeln!(f, "{table}")?;
        let (cpu, seconds) = (self.idle_cpu * 100.0, self.idle_seconds);
        writeln!(f, "CPU time of the idle daemon: {cpu:.3} % of one CPU, over {seconds} s.\n")?;
        let mut maps = Table::new(["map", "KiB"]);
        for map in &self.maps {
            maps.row([format!("`{}`", map.name), format!("{:.1}", map.bytes as f64 / 1024.0)]);
        }
        write!(f, "{maps}")
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
