//! Where a case is played: a namespace of the cluster, pods in it, clients outside of them.
//!
//! Invariant: nothing waits for time where it can wait for an event; every wait has a limit and says what it waited
//! for.

mod act;
mod life;
mod pump;
mod roles;

pub use life::{Ending, Life, LifeId, Played, PlayedLife, Witness};
pub use roles::Work;

use crate::kubectl::Kubectl;
use crate::manifest::{APP, Kind, PORT, Workload};
use crate::watch::Watch;
use anyhow::{Context as _, Result};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zoo::client::{Client, Script, Target};
use zoo::port::Ports;

/// How long anything may take that Kubernetes should do soon.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What all cases share.
#[derive(Debug)]
pub struct Shared {
    pub kubectl: Kubectl,
    pub ports: Ports,
    /// Set by Ctrl-C.
    pub interrupted: Arc<AtomicBool>,
    pub keep: bool,
    /// Stops and starts a program of the node.
    pub component_command: Option<String>,
    /// The daemon's program, as people have it.
    pub plugin: Option<PathBuf>,
    /// Where answers are kept.
    pub directory: PathBuf,
    /// Tells this run's namespaces, and so its series, from those of the last.
    pub run: u32,
}

impl Shared {
    /// The namespace of a case.
    pub fn namespace(&self, case: &str) -> String {
        format!("e2e-{case}-{}", self.run)
    }
}

/// One client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(usize);

/// One case being played.
#[derive(Debug)]
pub struct Stage<'a> {
    pub shared: &'a Shared,
    pub kubectl: Kubectl,
    watch: Watch,
    lives: Vec<Life>,
    clients: Vec<(LifeId, Client)>,
    gates: usize,
}

impl<'a> Stage<'a> {
    /// An empty namespace.
    pub fn new(shared: &'a Shared, case: &str) -> Result<Self> {
        let namespace = shared.namespace(case);
        shared.kubectl.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"e2e": "case"}},
        }))?;
        let kubectl = shared.kubectl.within(&namespace);
        let watch = Watch::start(&kubectl)?;
        Ok(Self { shared, kubectl, watch, lives: Vec::new(), clients: Vec::new(), gates: 0 })
    }

    fn is_interrupted(&self) -> bool {
        self.shared.interrupted.load(Ordering::Relaxed)
    }

    /// Makes a workload and waits until its pods say that they listen.
    pub fn deploy(&mut self, workload: &Workload) -> Result<Vec<LifeId>> {
        self.deploy_saying(workload, Some("listening"))
    }

    /// The same, for servers that say nothing: until they run.
    pub fn deploy_saying(&mut self, workload: &Workload, line: Option<&str>) -> Result<Vec<LifeId>> {
        self.kubectl.apply(&workload.object())?;
        self.play_controller(workload)?;
        let wanted = workload.replicas;
        self.wait_for("the pods to run", |stage| stage.running(APP).len() >= wanted)?;
        let pods = self.running(APP);
        let lives =
            pods.iter().map(|(pod, id)| self.follow(pod, APP, id, workload)).collect::<Result<Vec<_>>>()?;
        if let Some(line) = line {
            lives.iter().try_for_each(|life| self.wait_for_line(*life, line))?;
        }
        Ok(lives)
    }

    /// Does what a workload's own controller would do, where that takes its time or is not there.
    fn play_controller(&self, workload: &Workload) -> Result<()> {
        let name = workload.name;
        match workload.kind {
            // It is suspended: nobody can wait for its hour.
            Kind::CronJob => {
                self.kubectl.run(&["create", "job", "now", &format!("--from=cronjob/{name}")]).map(|_| ())
            }
            Kind::Rollout => {
                let uid = self.kubectl.run(&["get", "rollout", name, "-o", "jsonpath={.metadata.uid}"])?;
                self.kubectl.apply(&workload.replica_set(&uid, "1"))
            }
            _ => Ok(()),
        }
    }

    /// The one pod of such a workload.
    pub fn deploy_one(&mut self, workload: &Workload) -> Result<LifeId> {
        self.deploy(workload)?.first().copied().context("a workload without pods")
    }

    /// Waits until the API has a life's pod no more.
    pub fn await_removal(&mut self, life: LifeId) -> Result<()> {
        let uid = self.life(life).pod.uid.clone();
        self.wait_for("the pod's removal", |stage| {
            stage.watch.pod(&uid).is_none_or(|pod| pod.deleted.is_some())
        })
    }

    /// The life of the pod of this name.
    pub fn pod_called(&self, lives: &[LifeId], name: &str) -> Result<LifeId> {
        let found = lives.iter().find(|life| self.life(**life).pod.name == name);
        found.copied().with_context(|| format!("no pod {name}"))
    }

    /// Whether nobody has announced a life's end, and it has not come.
    pub fn lives_on(&self, life: LifeId) -> bool {
        let life = self.life(life);
        let pod = self.watch.pod(&life.pod.uid);
        life.gone.is_none() && pod.is_some_and(|pod| pod.announced.is_none() && pod.deleted.is_none())
    }

    /// The name of a life's pod.
    pub fn pod_name(&self, life: LifeId) -> String {
        self.life(life).pod.name.clone()
    }

    /// A node that the daemon is on.
    pub fn node(&self) -> Result<String> {
        let daemon = self.kubectl.within(crate::daemon::NAMESPACE);
        daemon.run(&["get", "pods", "-o", "jsonpath={.items[0].spec.nodeName}"])
    }

    /// The uid of a life's pod, and the runtime's id of its container.
    pub fn identity(&self, life: LifeId) -> (String, String) {
        let life = self.life(life);
        (life.pod.uid.clone(), life.id.clone())
    }

    /// Another container of a life's pod, as a life of its own.
    pub fn other_container(&mut self, of: LifeId, container: &str) -> Result<LifeId> {
        let (pod, workload) = (self.life(of).pod.clone(), self.life(of).workload.clone());
        let running = |stage: &Self| {
            let pod = stage.watch.pod(&pod.uid)?;
            pod.container(container).filter(|found| found.running).map(|found| found.id.clone())
        };
        self.wait_for(&format!("container {container} to run"), |stage| running(stage).is_some())?;
        let id = running(self).context("it has gone again")?;
        self.follow(&pod, container, &id, &workload)
    }

    /// The life that follows another in the same container, once it listens.
    pub fn next_life(&mut self, of: LifeId) -> Result<LifeId> {
        let life = self.life(of);
        let (pod, workload, name, old) =
            (life.pod.clone(), life.workload.clone(), life.container.clone(), life.id.clone());
        let next = |stage: &Self| {
            let pod = stage.watch.pod(&pod.uid)?;
            pod.container(&name)
                .filter(|found| found.running && found.id != old)
                .map(|found| found.id.clone())
        };
        self.wait_for("the container to be started again", |stage| next(stage).is_some())?;
        let id = next(self).context("it has gone again")?;
        let life = self.follow(&pod, &name, &id, &workload)?;
        self.wait_for_line(life, "listening")?;
        Ok(life)
    }

    /// Pods that are not to end and whose container of this name runs, with its id.
    fn running(&self, container: &str) -> Vec<(crate::watch::Pod, String)> {
        let pods =
            self.watch.pods().into_iter().filter(|pod| pod.announced.is_none() && pod.deleted.is_none());
        pods.filter_map(|pod| {
            let running = pod.container(container).filter(|found| found.running)?.id.clone();
            (!pod.addresses.is_empty()).then_some((pod, running))
        })
        .collect()
    }

    fn life(&self, id: LifeId) -> &Life {
        &self.lives[id.0]
    }

    fn life_mut(&mut self, id: LifeId) -> &mut Life {
        &mut self.lives[id.0]
    }

    /// Where a life listens, as most clients find it.
    pub fn target(&self, life: LifeId) -> Result<Target> {
        let address = self.life(life).pod.addresses.first().context("a pod without an address")?;
        self.target_at(life, *address)
    }

    /// Where it listens for clients of IPv6.
    pub fn target_6(&self, life: LifeId) -> Result<Target> {
        let address = self.life(life).pod.addresses.iter().find(|address| address.is_ipv6());
        self.target_at(life, *address.context("this takes a cluster whose pods have an address of IPv6")?)
    }

    fn target_at(&self, life: LifeId, ip: IpAddr) -> Result<Target> {
        Ok(Target { source: Some(way_to(ip)?), ..Target::new(SocketAddr::new(ip, self.life(life).port)) })
    }

    /// A client that plays a script.
    pub fn open(&mut self, life: LifeId, script: Script) -> Result<ClientId> {
        let target = self.target(life)?;
        Ok(self.open_to(life, target, script))
    }

    /// A client that connects elsewhere, but is counted with this life.
    pub fn open_to(&mut self, life: LifeId, target: Target, script: Script) -> ClientId {
        self.clients.push((life, Client::new(target, script)));
        ClientId(self.clients.len() - 1)
    }

    pub fn client(&self, id: ClientId) -> &Client {
        &self.clients[id.0].1
    }

    /// The same, to give it more to do.
    pub fn client_mut(&mut self, id: ClientId) -> &mut Client {
        &mut self.clients[id.0].1
    }

    /// Says how a life ended and what the daemon is to find.
    pub fn expect(&mut self, life: LifeId, ending: Ending) {
        self.life_mut(life).ending = Some(ending);
    }
}

/// The address that this machine speaks from to that one.
pub fn way_to(ip: IpAddr) -> Result<IpAddr> {
    let any: IpAddr = if ip.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).context("making a socket")?;
    // Nothing is sent: the kernel only chooses its way.
    socket
        .connect((ip, PORT))
        .with_context(|| format!("no way to {ip}: the cases talk to pods by their addresses"))?;
    Ok(socket.local_addr()?.ip())
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if self.shared.keep {
            return;
        }
        let delete = ["delete", "namespace", self.kubectl.namespace(), "--wait=false"];
        if let Err(error) = self.shared.kubectl.run(&delete) {
            eprintln!("e2e: {error:#}");
        }
    }
}
