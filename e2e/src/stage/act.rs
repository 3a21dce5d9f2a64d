//! What ends pods.

use super::{LifeId, Stage};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::process::Command;
use std::time::Instant;

impl Stage<'_> {
    /// Notes that what comes now ends these lives.
    pub fn begin_end(&mut self, lives: &[LifeId]) {
        for life in lives {
            self.life_mut(*life).acted = Some(Instant::now());
        }
    }

    /// `kubectl` with these arguments ends these lives. The name of the first one's pod stands for `{pod}`.
    pub fn end_by(&mut self, lives: &[LifeId], arguments: &[&str]) -> Result<()> {
        let first = lives.first().context("nothing to end")?;
        let pod = self.life(*first).pod.name.clone();
        self.begin_end(lives);
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == "{pod}" { pod.as_str() } else { *word }).collect();
        self.kubectl.run(&arguments).map(|_| ())
    }

    /// `kubectl delete pod`.
    pub fn delete(&mut self, life: LifeId, options: &[&str]) -> Result<()> {
        self.end_by(&[life], &[&["delete", "pod", "{pod}", "--wait=false"], options].concat())
    }

    /// Asks for the eviction of a life's pod, as `kubectl drain` and autoscalers do.
    pub fn evict(&mut self, life: LifeId) -> Result<()> {
        let (namespace, pod) = (self.kubectl.namespace().to_owned(), self.life(life).pod.name.clone());
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace},
        });
        self.begin_end(&[life]);
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
        self.kubectl.feed(&["create", "--raw", &path, "-f", "-"], &eviction)
    }

    /// The node that a life's pod is on.
    pub fn node_of(&self, life: LifeId) -> Result<String> {
        self.kubectl.run(&["get", "pod", &self.life(life).pod.name, "-o", "jsonpath={.spec.nodeName}"])
    }

    /// Runs a command in a life's container.
    pub fn exec(&mut self, life: LifeId, command: &[&str]) -> Result<()> {
        let life = self.life(life);
        let words = ["exec", &life.pod.name, "--container", &life.container, "--"];
        self.kubectl.run(&[&words, command].concat()).map(|_| ())
    }

    /// Stops or starts a program of the node, in a cluster that `cargo xtask cluster up` made.
    pub fn component(&mut self, action: &str, program: &str) -> Result<()> {
        let command = self.shared.component_command.as_deref();
        let command = command.context("this takes a cluster of `cargo xtask cluster up`")?;
        self.log_ends_tell = false;
        let mut words = command.split_whitespace().chain([action, program]);
        let name = words.next().context("an empty command")?;
        let status = Command::new(name).args(words).status().context("stopping or starting a program")?;
        ensure!(status.success(), "{command} {action} {program}: {status}");
        Ok(())
    }

    /// Waits until the API server answers again.
    pub fn await_api_server(&mut self) -> Result<()> {
        self.wait_for("the API server", |stage| stage.kubectl.run(&["get", "--raw", "/readyz"]).is_ok())
    }

    /// Replaces the daemon's pods, and waits until the new ones observe.
    pub fn renew_daemon(&mut self) -> Result<()> {
        let daemon = self.kubectl.within("shutdown-probe");
        daemon.run(&["rollout", "restart", "daemonset/shutdown-probe"])?;
        daemon.run(&["rollout", "status", "daemonset/shutdown-probe", "--timeout=60s"]).map(|_| ())
    }

    /// Waits until Kubernetes has announced the end of a life's pod.
    pub fn wait_until_announced(&mut self, life: LifeId) -> Result<()> {
        let uid = self.life(life).pod.uid.clone();
        self.wait_for("the pod's deletion to be announced", |stage| {
            stage.watch.pod(&uid).is_some_and(|pod| pod.announced.is_some())
        })
    }

    /// Has the workload of these lives replaced by a new revision of itself.
    pub fn roll_out(&mut self, lives: &[LifeId]) -> Result<()> {
        let first = lives.first().context("nothing to roll out")?;
        let workload = &self.life(*first).workload;
        let name = format!("{}/{}", workload.kind.as_str().to_lowercase(), workload.name);
        self.end_by(lives, &["set", "env", &name, "REVISION=2"])
    }
}
