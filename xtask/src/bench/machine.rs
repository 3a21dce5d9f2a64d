//! Where and when the measurements were made.

use crate::command::{probe, read};
use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::fs;
use std::process::Command;
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

/// How long to look who else is at work.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub struct Machine {
    /// In UTC.
    pub date: String,
    pub kernel: String,
    pub architecture: &'static str,
    pub cpu: String,
    pub cpus: usize,
    pub virtual_machine: bool,
    /// Of the source that was measured. Empty: it is not known.
    pub commit: String,
    /// Before the measurements began, as a part of all CPUs' time.
    pub busy_before: f64,
}

/// Takes as long as a look at what else is running.
///
/// # Errors
/// When the kernel does not tell.
pub fn describe(context: &Context) -> Result<Machine> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let mut git = Command::new("git");
    git.args(["rev-parse", "--short", "HEAD"]).current_dir(context.workspace.root());
    Ok(Machine {
        date: read(Command::new("date").args(["--utc", "+%F"]))?.trim().to_owned(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        architecture: std::env::consts::ARCH,
        cpu: cpu_model(&cpuinfo).unwrap_or("unknown").to_owned(),
        cpus: available_parallelism()?.get(),
        virtual_machine: is_virtual(&cpuinfo),
        commit: probe(&mut git).unwrap_or_default().trim().to_owned(),
        busy_before: busy()?,
    })
}

fn cpu_model(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find(|line| line.starts_with("model name"))?.split_once(": ").map(|(_, model)| model)
}

fn is_virtual(cpuinfo: &str) -> bool {
    cpuinfo.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "hypervisor"))
}

fn busy() -> Result<f64> {
    let before = cpu_ticks()?;
    sleep(LOOK);
    let after = cpu_ticks()?;
    Ok((after.busy - before.busy) as f64 / (after.all - before.all).max(1) as f64)
}

#[derive(Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
}

fn cpu_ticks() -> Result<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat")?).context("/proc/stat")
}

/// proc(5): user nice system idle iowait irq softirq steal, and guest times that are part of user's.
fn parse_ticks(stat: &str) -> Option<Ticks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let all = ticks.iter().sum::<u64>();
    Some(Ticks { busy: all - ticks.get(3)? - ticks.get(4)?, all })
}

/// The last two that this process may use, which are the least likely to serve the devices' interrupts.
///
/// # Errors
/// When there is only one.
pub fn two_cpus() -> Result<(usize, usize)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = parse_list(list.context("no Cpus_allowed_list")?.trim()).context("Cpus_allowed_list")?;
    ensure!(cpus.len() >= 2, "two CPUs are needed: one for the server and one for the load");
    Ok((cpus[cpus.len() - 2], cpus[cpus.len() - 1]))
}

fn parse_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_have_ranges() {
        assert_eq!(parse_list("0-1"), Some(vec![0, 1]));
        assert_eq!(parse_list("0,2-4,7"), Some(vec![0, 2, 3, 4, 7]));
        assert_eq!(parse_list("x"), None);
    }

    #[test]
    fn waiting_is_not_work() {
        let stat = "cpu  10 0 5 100 20 1 2 3 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_ticks(stat), Some(Ticks { busy: 21, all: 141 }));
        assert_eq!(parse_ticks("intr 1"), None);
    }

    #[test]
    fn a_virtual_machine_says_so() {
        let cpuinfo = "model name\t: AMD EPYC\nflags\t\t: fpu hypervisor lahf_lm\n";
        assert!(is_virtual(cpuinfo));
        assert_eq!(cpu_model(cpuinfo), Some("AMD EPYC"));
        assert!(!is_virtual("flags\t\t: fpu\n"));
    }
}
