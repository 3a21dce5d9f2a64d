//! What ends pods.

use super::{LifeId, Stage};
use crate::daemon::{DAEMON_SET, NAMESPACE};
use crate::manifest::IMAGE;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What container logs come through: when one of them goes, the end of those that are followed tells nothing.
const BEARERS_OF_LOGS: [&str; 3] = ["kube-apiserver", "kubelet", "containerd"];

/// The controllers look at nodes every five seconds.
const NOTICED: Duration = Duration::from_secs(6);

/// Somebody's session in a container.
#[derive(Debug)]
pub struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

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

    /// The same, where a budget forbids it: waits until the API server refuses for that reason.
    pub fn await_refused_eviction(&mut self, life: LifeId) -> Result<()> {
        // Until the controller has counted the pods, none may go, and it says so otherwise.
        self.wait_for("the disruption budget to count its pods", |stage| {
            let counted = ["get", "poddisruptionbudget", "web", "-o", "jsonpath={.status.currentHealthy}"];
            stage.kubectl.run(&counted).is_ok_and(|counted| counted == "1")
        })?;
        let refused = self.evict(life).err().context("the budget does not hold")?;
        let said = refused.to_string();
        ensure!(said.contains("disruption budget"), "refused for another reason: {said}");
        Ok(())
    }

    /// Somebody's session in a life's container, until it is dropped.
    pub fn log_in(&mut self, life: LifeId, command: &[&str]) -> Result<Session> {
        let (pod, container) = (self.life(life).pod.name.clone(), self.life(life).container.clone());
        let mut kubectl = self.kubectl.command();
        kubectl.args(["exec", &pod, "--container", &container, "--", "sh", "-c"]);
        kubectl.arg(format!("echo in; exec {}", command.join(" ")));
        let mut child =
            kubectl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("kubectl exec")?;
        let mut word = [0; 3];
        child.stdout.take().context("no standard output")?.read_exact(&mut word).context("kubectl exec")?;
        Ok(Session(child))
    }

    /// Adds an ephemeral container, as `kubectl debug` does, and waits until it runs.
    pub fn attach_debugger(&mut self, life: LifeId, name: &str, command: &[&str]) -> Result<()> {
        let pod = self.life(life).pod.name.clone();
        let container = json!({"name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": command});
        let patch = json!({"spec": {"ephemeralContainers": [container]}}).to_string();
        self.kubectl.run(&["patch", "pod", &pod, "--subresource=ephemeralcontainers", "--patch", &patch])?;
        self.wait_for("the ephemeral container to run", |stage| {
            let state = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}";
            stage.kubectl.run(&["get", "pod", &pod, "-o", state]).is_ok_and(|since| !since.is_empty())
        })
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
        if BEARERS_OF_LOGS.contains(&program) {
            self.lives.iter_mut().for_each(|life| life.log_tells = false);
        }
        let mut words = command.split_whitespace().chain([action, program]);
        let name = words.next().context("an empty command")?;
        let status = Command::new(name).args(words).status().context("stopping or starting a program")?;
        ensure!(status.success(), "{command} {action} {program}: {status}");
        Ok(())
    }

    /// Waits until the API server answers again, and pods are scheduled again: a node that could not report is tainted.
    pub fn await_api_server(&mut self) -> Result<()> {
        self.wait_for("the API server", |stage| stage.kubectl.run(&["get", "--raw", "/readyz"]).is_ok())?;
        self.await_nodes()
    }

    /// The same of the nodes.
    pub fn await_nodes(&mut self) -> Result<()> {
        // The controllers notice late that something was away, and late that it is back.
        self.let_pass(NOTICED)?;
        let ready = ["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s"];
        self.kubectl.run(&ready)?;
        self.wait_for("the nodes to take pods", |stage| {
            let taints = ["get", "nodes", "-o", "jsonpath={.items[*].spec.taints[*].effect}"];
            stage.kubectl.run(&taints).is_ok_and(|taints| !taints.contains("NoSchedule"))
        })
    }

    /// Replaces the daemon's pods, and waits until the new ones observe.
    pub fn renew_daemon(&mut self) -> Result<()> {
        self.kubectl.within(NAMESPACE).run(&["rollout", "restart", DAEMON_SET])?;
        self.await_daemon()
    }

    /// Waits until the daemon's pods are as its DaemonSet says, and observe.
    pub fn await_daemon(&self) -> Result<()> {
        let status = ["rollout", "status", DAEMON_SET, "--timeout=60s"];
        self.kubectl.within(NAMESPACE).run(&status).map(|_| ())
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
