//! The parts that clients play. Each returns once the scene is set: the server has read what it is to have read, the
//! client has received what it is to have received.

use super::{ClientId, LifeId, PATIENCE, Stage};
use crate::manifest::SERVICE_PORT;
use anyhow::{Context as _, Result, bail};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use zoo::client::{End, Script, Step, Target, get};

/// Longer than any case lasts, in milliseconds: such a request is never answered in time.
const NEVER: u64 = 600_000;

/// How long a client of a Service may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long the server works on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Longer than the case lasts.
    Endless,
    /// Until this gate is opened.
    Until(String),
}

impl Stage<'_> {
    /// A gate of its own: requests wait for it.
    pub fn gate(&mut self) -> Work {
        self.gates += 1;
        Work::Until(format!("gate-{}", self.gates))
    }

    /// Lets the requests go on that wait for it in this pod.
    pub fn open_gate(&mut self, life: LifeId, gate: &Work) -> Result<()> {
        let Work::Until(name) = gate else { return Ok(()) };
        let (pod, container) = (self.life(life).pod.name.clone(), self.life(life).container.clone());
        let path = format!("/gates/{name}");
        self.kubectl.run(&["exec", &pod, "--container", &container, "--", "touch", &path]).map(|_| ())
    }

    /// Opens the gate that a service waits for to end by itself.
    pub fn let_end(&mut self, life: LifeId) -> Result<()> {
        self.begin_end(&[life]);
        self.open_gate(life, &Work::Until("end".into()))
    }

    /// Clients whose request the server has read and works on.
    pub fn in_flight(&mut self, life: LifeId, count: usize, work: &Work) -> Result<Vec<ClientId>> {
        let way = self.target(life)?;
        self.in_flight_by(life, &way, count, work)
    }

    /// The same, of clients that come by another way.
    pub fn in_flight_by(
        &mut self,
        life: LifeId,
        way: &Target,
        count: usize,
        work: &Work,
    ) -> Result<Vec<ClientId>> {
        let request = match work {
            Work::Endless => get(&format!("/slow?ms={NEVER}")),
            Work::Until(gate) => get(&format!("/slow?gate={gate}")),
        };
        let script = || Script::now(vec![request.clone()]);
        let clients: Vec<_> = (0..count).map(|_| self.open_to(life, way.clone(), script())).collect();
        self.wait_for("the server to read the requests", |stage| {
            clients.iter().all(|id| {
                let port = stage.client(*id).record().port;
                port != 0 && stage.said(port).reads > 0
            })
        })?;
        Ok(clients)
    }

    /// Clients with a kept-alive connection on which one request was answered.
    pub fn idle(&mut self, life: LifeId, count: usize) -> Result<Vec<ClientId>> {
        let way = self.target(life)?;
        self.idle_by(life, &way, count)
    }

    /// The same, of clients that come by another way.
    pub fn idle_by(&mut self, life: LifeId, way: &Target, count: usize) -> Result<Vec<ClientId>> {
        let script = || Script::now(vec![get("/"), Step::AwaitAnswers]);
        let clients: Vec<_> = (0..count).map(|_| self.open_to(life, way.clone(), script())).collect();
        self.wait_for("answers", |stage| clients.iter().all(|id| stage.client(*id).record().answered > 0))?;
        Ok(clients)
    }

    /// Waits until a first client of this life has its answer.
    pub fn wait_until_served(&mut self, life: LifeId) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let script = Script::now(vec![get("/"), Step::AwaitAnswers, Step::Leave]);
            let client = self.open(life, script)?;
            self.wait_for("a first client's end", |stage| stage.client(client).has_ended())?;
            if self.client(client).record().answered > 0 {
                return Ok(());
            }
        }
        bail!("nobody answers at {}", self.life(life).pod.name)
    }

    /// Waits until a client of the Service is led to this life.
    pub fn wait_until_routed(&mut self, life: LifeId, target: &Target) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let script = Script::now(vec![get("/"), Step::AwaitAnswers, Step::Leave]);
            let client = self.open_to(life, target.clone(), script);
            // One that comes before its way is made never finds it: the kernel remembers where the first packet went.
            let patience = Instant::now() + ATTEMPT;
            self.pump_until(patience, |stage| stage.client(client).has_ended())?;
            if self.life(life).log.reads(self.client(client).record().port) > 0 {
                return Ok(());
            }
        }
        bail!("the Service leads nobody to {}", self.life(life).pod.name)
    }

    /// Where a Service is reached in the family of this way to a pod, from an address that kube-proxy takes for one of
    /// the cluster: it leaves that and the port as they are.
    pub fn service_target(&self, name: &str, pod: &Target) -> Result<Target> {
        let service = self.kubectl.run(&["get", "service", name, "-o", "jsonpath={.spec.clusterIPs[*]}"])?;
        let mut addresses = service.split_whitespace().filter_map(|address| address.parse::<IpAddr>().ok());
        let address = addresses.find(|address| address.is_ipv6() == pod.address.is_ipv6());
        let address = SocketAddr::new(address.context("a Service without such an address")?, SERVICE_PORT);
        Ok(Target { source: pod.source, ..Target::new(address) })
    }

    /// Where a port of the node is reached that leads to this life.
    pub fn host_target(&self, life: LifeId, port: u16) -> Result<Target> {
        let pod = &self.life(life).pod.name;
        let node = self.kubectl.run(&["get", "pod", pod, "-o", "jsonpath={.status.hostIP}"])?;
        let address = SocketAddr::new(node.parse().context("a node without an address")?, port);
        Ok(Target { source: self.target(life)?.source, ..Target::new(address) })
    }

    /// Waits until each of these clients has an answer to everything it asked.
    pub fn wait_until_answered(&mut self, clients: &[ClientId]) -> Result<()> {
        self.wait_for("answers", |stage| {
            clients.iter().all(|id| {
                let record = stage.client(*id).record();
                record.answered > 0 && record.outstanding() == 0
            })
        })
    }

    /// One more answered request on each of these connections.
    pub fn ask_again(&mut self, clients: &[ClientId]) -> Result<()> {
        for id in clients {
            self.client_mut(*id).tell([get("/"), Step::AwaitAnswers]);
        }
        self.wait_for("second answers", |stage| {
            clients.iter().all(|id| stage.client(*id).record().answered > 1)
        })
    }

    /// How many clients of this life were refused.
    pub fn refused(&self, life: LifeId) -> usize {
        let of_this = self.clients.iter().filter(|(owner, _)| *owner == life).map(|(_, client)| client);
        of_this.filter(|client| matches!(client.record().end, Some((_, End::Refused)))).count()
    }
}
