//! What was started, and what it takes to undo it: written before and after each step, so that `down` finds what an
//! interrupted `up` has left.

use super::component::Component;
use super::layout::Layout;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

/// Kept in a file beside what it tells of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Settings of the kernel as they were before.
    pub kernel: BTreeMap<String, String>,
    pub components: Vec<Component>,
    /// Where the programs are that were started.
    pub programs: std::path::PathBuf,
}

impl State {
    /// Nothing, where there is no cluster.
    pub fn read(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.state();
        match fs::read(&path) {
            Ok(bytes) => {
                Ok(Some(serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.state();
        fs::write(&path, serde_json::to_vec_pretty(self)?).with_context(|| path.display().to_string())
    }

    /// Whether anything of it runs.
    pub fn is_alive(&self) -> bool {
        self.components.iter().any(Component::is_running)
    }

    pub fn component(&mut self, name: &str) -> Result<&mut Component> {
        let names: Vec<_> = self.components.iter().map(|component| component.name.clone()).collect();
        let found = self.components.iter_mut().find(|component| component.name == name);
        found.with_context(|| format!("no program {name}; there are {}", names.join(", ")))
    }
}
