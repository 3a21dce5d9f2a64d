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
    pub throughput: Option<Throughput>,
    pub hooks: Option<Hooks>,
    pub footprint: Option<Footprint>,
    pub delay: Option<Delay>,
    pub remains: Option<Remains>,
}

impl Report {
    pub fn new(machine: Machine, plan: Plan) -> Self {
        Self { machine, plan, throughput: None, hooks: None, footprint: None, delay: None, remains: None }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        if self.plan.quick {
            writeln!(f, "Measured with `--quick`: too little to rely on.\n")?;
        }
        section(f, "Throughput", self.throughput.as_ref())?;
        section(f, "Cost of each hook", self.hooks.as_ref())?;
        section(f, "Footprint", self.footprint.as_ref())?;
        section(f, "From exit to metric", self.delay.as_ref())?;
        section(f, "After the daemon", self.remains.as_ref())
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, content: Option<&impl fmt::Display>) -> fmt::Result {
    content.map_or(Ok(()), |content| writeln!(f, "## {title}\n\n{content}"))
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
