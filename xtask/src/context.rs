//! What every command needs to know of its surroundings.

use crate::elevation::Elevation;
use crate::search_path::SearchPath;
use crate::workspace::Workspace;
use anyhow::Result;

/// Read once, at the start.
#[derive(Debug)]
pub struct Context {
    pub workspace: Workspace,
    pub search_path: SearchPath,
    pub elevation: Elevation,
}

impl Context {
    pub fn new() -> Result<Self> {
        let search_path = SearchPath::from_environment();
        let elevation = Elevation::detect(&search_path);
        Ok(Self { workspace: Workspace::locate()?, search_path, elevation })
    }
}
