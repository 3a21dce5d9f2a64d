//! `test`: the steps a change has to pass, in order, up to the first failure.

mod dependencies;
pub mod kernel;
mod lint;
mod summary;

use crate::build::{self, Profile};
use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::setup::{self, Scope};
use crate::terminal::{clock, stdout};
use crate::{alerts, cluster, dashboards, deploy, docs, e2e, page, zoo};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use std::time::Instant;
use summary::{Outcome, Summary};

/// One step. The order is that of the run: cheap ones first where they need nothing of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Tools are there
    Setup,
    /// Both sides compile
    Build,
    /// cargo fmt
    Format,
    /// cargo clippy, warnings are errors
    Clippy,
    /// Licences, sources, bans and advisories of the dependencies
    Dependencies,
    /// Generated documentation is up to date
    Docs,
    /// Alert rules, their tests and their runbooks
    Alerts,
    /// Unit, scenario, property and replay tests, as the current user
    Unit,
    /// The daemon's page in a real Chromium
    Page,
    /// Tests against the running kernel, as root
    Kernel,
    /// Dashboards, recording rules and scorecard: a real Prometheus and real daemons, as root
    Dashboards,
    /// Real services, as root
    Zoo,
    /// What is installed in a cluster, judged by a real API server
    Deploy,
    /// Pods that end in a real cluster: the core of `cargo xtask e2e`
    E2e,
}

/// What takes minutes.
const LONG: [Step; 3] = [Step::Zoo, Step::Deploy, Step::E2e];

impl Step {
    /// As it is typed after `--only`.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Setup => setup::run(context, Scope::BuildAndTest),
            Self::Build => build::run(context, Profile::Release),
            Self::Format => lint::format(context),
            Self::Clippy => lint::clippy(context),
            Self::Dependencies => dependencies::check(context),
            Self::Docs => docs::run(context, true),
            Self::Alerts => alerts::run(context, &alerts::Arguments::default()),
            Self::Unit => command::run(cargo::workspace(context, "test")?.arg("--workspace")),
            Self::Page => page::run(context, &page::Arguments::default()),
            Self::Kernel => zoo::prepare(context).and_then(|()| kernel::run(context)),
            Self::Dashboards => dashboards::run(context, &dashboards::Arguments::default()),
            Self::Zoo => zoo::run(context, &[]),
            Self::Deploy => cluster::during(context, |_| deploy::run(context, &deploy::Arguments::default())),
            Self::E2e => cluster::during(context, |_| e2e::run(context, &e2e::Arguments::core())),
        }
    }
}

/// Runs all steps, all but the long ones, or one.
///
/// # Errors
/// The first step's that fails, with the command that repeats it.
pub fn run(context: &Context, quick: bool, only: Option<Step>) -> Result<()> {
    let start = Instant::now();
    let mut summary = Summary::default();
    for step in Step::value_variants().iter().copied().filter(|step| only.is_none_or(|only| only == *step)) {
        if quick && LONG.contains(&step) {
            summary.add(step.name(), Outcome::NotRun("left out by --quick"));
            continue;
        }
        println!("\n{}", stdout().bold(format!("[{}] {}", clock(start.elapsed()), step.name())));
        let begun = Instant::now();
        let result = step.run(context);
        let time = begun.elapsed();
        summary.add(step.name(), if result.is_ok() { Outcome::Passed(time) } else { Outcome::Failed(time) });
        if result.is_err() {
            println!("\n{summary}\n\nrepeat it with: cargo xtask test --only {}", step.name());
        }
        result.with_context(|| format!("step '{}' failed", step.name()))?;
    }
    println!("\n{summary}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_can_be_repeated_by_its_name() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(&step.name(), false).unwrap(), *step);
        }
    }
}
