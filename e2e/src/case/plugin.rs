//! What people see from a terminal: the plugin finds the daemon of a pod's node, and asks it through the API server.

use super::Case;
use crate::manifest::{Kind, Workload};
use crate::stage::{Ending, Stage, Work};
use anyhow::{Context as _, Result, ensure};
use shutdown_probe_common::fate::Fate;
use std::process::Command;
use zoo::expect::{Cause, Disposition, Expected};

pub const CASES: &[Case] = &[Case::new(
    "plugin",
    "kubectl shutdown-probe report: a rollout, a pod, a node, a namesake, nobody",
    plugin,
)];

fn plugin(stage: &mut Stage<'_>) -> Result<()> {
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "exit").replicas(2))?;
    for pod in &pods {
        stage.in_flight(*pod, 3, &Work::Endless)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.await_end(*pod)?;
        let find = |found: Expected| found.signal(Disposition::Handled).severed(Fate::UnansweredRequest, 3);
        stage.expect(*pod, Ending::exits("rollout", Cause::ExitedWithoutDrain).finding(find));
    }
    let summary = "Rollout of Deployment web, revision 1: 2 pods replaced";
    await_words(stage, &["deploy/web", "--rollout"], &[summary, "6 connections severed"])?;
    await_words(stage, &["deployments.apps/web", "--rollout=1"], &[summary])?;
    let first = stage.pod_name(*pods.first().context("no pods")?);
    await_words(stage, &[&format!("pod/{first}")], &[&first, "exited_without_drain", "not safe to retry"])?;
    let node = stage.node()?;
    await_words(stage, &[&format!("node/{node}"), "--since", "10m"], &[&first])?;
    // Another kind of the same name, and one that nobody ever had, are not found: that is no error.
    for nobody in ["sts/web", "deploy/another"] {
        let said = ask(stage, &[nobody])?;
        ensure!(said.contains("know of no termination"), "{nobody}: {said}");
    }
    let lost = ask(stage, &["node/nowhere"]);
    ensure!(
        lost.is_err_and(|error| error.to_string().contains("no daemon runs on node")),
        "a node without a daemon"
    );
    Ok(())
}

fn await_words(stage: &mut Stage<'_>, arguments: &[&str], words: &[&str]) -> Result<()> {
    let mut last = String::new();
    let said = stage.wait_for(&format!("the plugin to say {words:?}"), |stage| {
        last = ask(stage, arguments).unwrap_or_else(|error| error.to_string());
        words.iter().all(|word| last.contains(word))
    });
    said.with_context(|| last)
}

/// What it prints, on either output.
fn ask(stage: &Stage<'_>, arguments: &[&str]) -> Result<String> {
    let plugin = stage.shared.plugin.as_deref().context("this takes the plugin: --plugin")?;
    let mut command = Command::new(plugin);
    command.args(["kubectl", "report"]).args(arguments);
    command
        .args(["--namespace", stage.kubectl.namespace()])
        .arg("--kubeconfig")
        .arg(stage.kubectl.kubeconfig());
    let output = command.output().with_context(|| plugin.display().to_string())?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(said)
}
