//! Talking to the cluster's container runtime.

use super::layout::Layout;
use crate::command::{self, probe};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// Where the kubelet keeps its containers and images.
const NAMESPACE: &str = "k8s.io";

pub fn ctr(layout: &Layout) -> Command {
    let mut command = Command::new("ctr");
    command.arg("--address").arg(layout.socket()).args(["--namespace", NAMESPACE]);
    command
}

pub fn answers(layout: &Layout) -> bool {
    probe(ctr(layout).arg("version")).is_some()
}

/// Imports an image archive, in place of what has its name.
///
/// # Errors
/// When containerd does not take it.
pub fn load(layout: &Layout, archive: &Path) -> Result<()> {
    command::read(ctr(layout).args(["images", "import"]).arg(archive)).map(|_| ())
}
