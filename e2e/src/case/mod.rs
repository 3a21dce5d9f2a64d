//! The cases. Each plays one scene in a namespace of its own and says what of it is to be found.

mod careless;
mod company;
mod deletion;
mod displaced;
mod family;
mod hooks;
mod network;
mod outage;
mod owners;
mod plugin;
mod pods;
mod refusal;
mod rights;
mod rollout;
mod sudden;
mod traffic;

use crate::stage::Stage;
use anyhow::Result;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, also that of its namespace.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// It disturbs others.
    pub alone: bool,
    /// The scene.
    pub play: fn(&mut Stage<'_>) -> Result<()>,
}

impl Case {
    const fn new(name: &'static str, about: &'static str, play: fn(&mut Stage<'_>) -> Result<()>) -> Self {
        Self { name, about, alone: false, play }
    }

    /// It disturbs others: nothing is played beside it.
    const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let pods = [pods::CASES, company::CASES, hooks::CASES, owners::CASES, family::CASES, network::CASES];
    let others = [
        deletion::CASES,
        displaced::CASES,
        rollout::CASES,
        sudden::CASES,
        traffic::CASES,
        plugin::CASES,
        outage::CASES,
        refusal::CASES,
        rights::CASES,
    ];
    [pods.concat(), others.concat()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_a_namespace() {
        let mut names: Vec<_> = all().iter().map(|case| case.name).collect();
        let count = names.len();
        assert!(names.iter().all(|name| name.len() < 50
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
