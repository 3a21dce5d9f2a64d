//! What a real API server says of it: every object of every overlay and of every example of values fits its schema,
//! and so do the patches that reports give.

use super::chart::Chart;
use super::monitoring::Definitions;
use super::{examples, patches, rights};
use crate::cluster::Access;
use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

/// Asks it.
pub fn check(context: &Context, chart: &Chart, access: &Access, overlays: &[PathBuf]) -> Result<()> {
    let _namespace = Namespace::ensure(access)?;
    let _definitions = Definitions::lend(context, access)?;
    for values in examples::values() {
        dry_run(access, &chart.text(values)?).with_context(|| format!("the chart with {values:?}"))?;
    }
    for overlay in overlays {
        let kustomize =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-k"];
        command::read(access.kubectl().args(kustomize).arg(overlay))?;
    }
    patches::check(context, access)?;
    rights::check(chart, access)
}

/// In a dry run nothing can be put into a namespace that is not there.
struct Namespace<'a> {
    access: &'a Access,
    made: bool,
}

impl<'a> Namespace<'a> {
    fn ensure(access: &'a Access) -> Result<Self> {
        let there = command::probe(access.kubectl().args(["get", "namespace", "shutdown-probe"])).is_some();
        if !there {
            command::read(access.kubectl().args(["create", "namespace", "shutdown-probe"]))?;
        }
        Ok(Self { access, made: !there })
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if self.made {
            let mut delete = self.access.kubectl();
            delete.args(["delete", "namespace", "shutdown-probe", "--wait=false"]);
            if command::probe(&mut delete).is_none() {
                eprintln!("the namespace shutdown-probe could not be removed");
            }
        }
    }
}

/// Strict: a field that the schema does not know is an error, not a warning.
pub(super) fn dry_run(access: &Access, manifests: &str) -> Result<()> {
    feed(
        access,
        &["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"],
        manifests,
    )
}

/// Runs kubectl with manifests as its input.
pub fn feed(access: &Access, arguments: &[&str], manifests: &str) -> Result<()> {
    let mut kubectl = access.kubectl();
    kubectl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = kubectl.spawn().context("kubectl")?;
    child.stdin.take().context("no standard input")?.write_all(manifests.as_bytes())?;
    ensure!(child.wait()?.success(), "kubectl {}: not accepted", arguments.join(" "));
    Ok(())
}
