//! The kinds that the Prometheus operator brings: their definitions are lent to the cluster while it judges.
//!
//! Invariant: definitions that were there are left alone, and stay.

use crate::cluster::Access;
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
const KINDS: [&str; 3] = ["podmonitors", "servicemonitors", "prometheusrules"];

/// The definitions, until it is dropped.
#[derive(Debug)]
pub struct Definitions<'a> {
    access: &'a Access,
    lent: Vec<PathBuf>,
}

impl<'a> Definitions<'a> {
    /// Brings what is not there.
    pub fn lend(context: &Context, access: &'a Access) -> Result<Self> {
        let mut definitions = Self { access, lent: Vec::new() };
        let missing: Vec<_> = KINDS.into_iter().filter(|kind| !is_there(access, kind)).collect();
        if missing.is_empty() {
            return Ok(definitions);
        }
        let directory = sources(context)?.join("example/prometheus-operator-crd");
        for kind in missing {
            let file = directory.join(format!("monitoring.coreos.com_{kind}.yaml"));
            command::read(access.kubectl().args(["apply", "--server-side", "-f"]).arg(&file))?;
            definitions.lent.push(file);
            let name = format!("crd/{kind}.monitoring.coreos.com");
            command::read(access.kubectl().args(["wait", "--for=condition=Established", &name]))?;
        }
        Ok(definitions)
    }
}

fn is_there(access: &Access, kind: &str) -> bool {
    let name = format!("crd/{kind}.monitoring.coreos.com");
    command::probe(access.kubectl().args(["get", &name, "--ignore-not-found", "-o", "name"]))
        .is_some_and(|found| !found.trim().is_empty())
}

/// Where the operator's sources are, as its module's checksum has them.
fn sources(context: &Context) -> Result<PathBuf> {
    let go = context.search_path.find("go");
    let go = go.ok_or_else(|| MissingTool::new("no go", ["cargo xtask setup"]))?;
    let pinned = context.workspace.root().join("xtask/cluster/monitoring");
    let text =
        command::read(Command::new(go).args(["mod", "download", "-json", MODULE]).current_dir(pinned))?;
    let answer: Value = serde_json::from_str(&text).context("the answer of go mod download")?;
    let directory = answer["Dir"].as_str().context("go mod download names no directory")?;
    Ok(Path::new(directory).to_owned())
}

impl Drop for Definitions<'_> {
    fn drop(&mut self) {
        for file in &self.lent {
            let mut delete = self.access.kubectl();
            delete.args(["delete", "--wait=false", "--ignore-not-found", "-f"]).arg(file);
            if command::probe(&mut delete).is_none() {
                eprintln!("{} could not be taken out of the cluster again", file.display());
            }
        }
    }
}
