//! All that was measured, as JSON and as Markdown.

use super::delay::Delay;
use super::footprint::Footprint;
use super::hooks::Hooks;
use super::machine::Machine;
use super::plan::Plan;
use super::remains::Remains;
use super::throughput::Throughput;
use serde::Serialize;
use std::fmt;

/// What was not asked for is nothing.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub plan: Plan,
    pub hooks: Option<Hooks>,
    pub footprint: Option<Footprint>,
    pub delay: Option<Delay>,
    pub remains: Option<Remains>,
    pub throughput: Option<Throughput>,
}

impl Report {
    /// Says where and how it is measured.
    pub fn begin(machine: Machine, plan: Plan) -> Self {
        println!("{machine}");
        if plan.quick {
            println!("Measured with `--quick`: too little to rely on.\n");
        }
        Self { machine, plan, hooks: None, footprint: None, delay: None, remains: None, throughput: None }
    }
}

/// Writes a section, and hands it on.
pub fn shown<T: fmt::Display>(title: &str, section: T) -> T {
    println!("## {title}\n\n{section}");
    section
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = if self.virtual_machine { "virtual machine" } else { "machine" };
        writeln!(
            f,
            "{}, {machine}, {} × {} ({}), Linux {}, at commit {}. Before, {:.0} % of the CPU time was in use.",
            self.date,
            self.cpus,
            self.cpu,
            self.architecture,
            self.kernel,
            if self.commit.is_empty() { "unknown" } else { &self.commit },
            self.busy_before * 100.0,
        )
    }
}
