//! What the clients of several daemons saw, by the container's name: what the fleet's numbers must come to.

use crate::compare::{certain_losses, is_certainly_severed};
use crate::expect::Cause;
use crate::run::Outcome;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;

/// What one container of this name lost, on all daemons together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Connections by what befell them.
    pub evidence: BTreeMap<String, u64>,
    /// How many of them are unsafe to repeat.
    pub retry_unsafe: u64,
    /// How often it ended.
    pub terminations: u64,
    /// What may be its primary cause.
    pub causes: Vec<Cause>,
}

impl Losses {
    /// All of them.
    pub fn severed(&self) -> u64 {
        self.evidence.values().sum()
    }
}

/// By the container's name.
pub type Truth = BTreeMap<String, Losses>;

/// Adds what was seen in one case.
///
/// # Errors
/// One that could not be played, or in which somebody's fate is open: then there is no truth to compare with.
pub fn add(truth: &mut Truth, outcome: &Outcome) -> Result<()> {
    let name = outcome.case.name;
    let played =
        outcome.played.as_ref().map_err(|error| anyhow::anyhow!("{name} could not be played: {error:#}"))?;
    for container in &played.containers {
        let own = container.path.rsplit('/').next().context("a container without a name")?;
        let losses = truth.entry(own.to_owned()).or_default();
        for run in &container.runs {
            let maybe =
                |fates: &[shutdown_probe_common::fate::Fate]| fates.iter().any(|fate| fate.is_severed());
            let open =
                run.clients.iter().filter(|client| maybe(&client.fates) && !is_certainly_severed(client));
            ensure!(open.count() == 0, "{name}: somebody's fate is open");
            for (fate, count) in certain_losses(run) {
                *losses.evidence.entry(fate.as_str().to_owned()).or_default() += count as u64;
                losses.retry_unsafe += if fate.is_retry_safe() { 0 } else { count as u64 };
            }
            losses.terminations += 1;
            losses.causes.extend(&run.expected.causes);
        }
    }
    Ok(())
}
