//! The demonstration.
use crate::cli::DemoArgs;
use anyhow::Result;

/// Plays it.
pub fn run(_options: &DemoArgs) -> Result<bool> {
    Ok(true)
}
