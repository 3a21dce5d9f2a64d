//! How long after a client has lost its connection the cluster says so.

use super::Bench;
use crate::manifest::{Kind, Workload};
use crate::stage::{Stage, Work};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::BufReader;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// The daemon writes no more than an Event in five seconds, for long.
const BETWEEN: Duration = Duration::from_secs(6);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub median: Duration,
    pub max: Duration,
}

/// So many times, one pod after the other.
pub fn measure(bench: &Bench<'_>, times: usize) -> Result<Delays> {
    let mut stage = Stage::new(bench.shared, "delay")?;
    let events = Events::watch(&stage)?;
    let mut delays = Vec::new();
    for _ in 0..times {
        delays.push(once(&mut stage, &events)?);
        stage.let_pass(BETWEEN)?;
    }
    delays.sort();
    let median = *delays.get(times / 2).context("nothing was measured")?;
    Ok(Delays { median, max: *delays.last().context("nothing was measured")? })
}

fn once(stage: &mut Stage<'_>, events: &Events) -> Result<Duration> {
    let web = stage.deploy_one(&Workload::node(Kind::Pod, "exit"))?;
    let clients = stage.in_flight(web, 1, &Work::Endless)?;
    let (uid, _) = stage.identity(web);
    stage.delete(web, &[])?;
    stage.await_end(web)?;
    let ended =
        clients.first().and_then(|id| stage.client(*id).record().end).context("a client that lives")?;
    let said = events.about(&uid)?;
    stage.await_removal(web)?;
    Ok(said.saturating_duration_since(ended.0))
}

/// A Deployment of two that lose connections is rolled out, and told of.
pub fn roll_out(bench: &Bench<'_>) -> Result<()> {
    let mut stage = Stage::new(bench.shared, "requests")?;
    let events = Events::watch(&stage)?;
    let pods = stage.deploy(&Workload::node(Kind::Deployment, "exit").replicas(2))?;
    for pod in &pods {
        stage.in_flight(*pod, 1, &Work::Endless)?;
    }
    stage.roll_out(&pods)?;
    for pod in &pods {
        stage.await_end(*pod)?;
        let (uid, _) = stage.identity(*pod);
        events.about(&uid)?;
        stage.await_removal(*pod)?;
    }
    // The watch of EndpointSlices goes on for three seconds.
    stage.let_pass(BETWEEN)
}

/// The Events of a namespace as they come.
struct Events {
    kubectl: Child,
    arrivals: Receiver<(Instant, Value)>,
}

impl Events {
    fn watch(stage: &Stage<'_>) -> Result<Self> {
        let mut command = stage.kubectl.command();
        command.args(["get", "events", "--watch", "-o", "json"]);
        let mut kubectl =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("kubectl get events")?;
        let output = BufReader::new(kubectl.stdout.take().context("no standard output")?);
        let (sender, arrivals) = channel();
        // It ends with kubectl's output.
        std::thread::spawn(move || {
            let events = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
            for event in events.map_while(Result::ok) {
                if sender.send((Instant::now(), event)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { kubectl, arrivals })
    }

    /// When the daemon's first about this object came.
    fn about(&self, uid: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no Event tells of the loss");
            let Ok((at, event)) = self.arrivals.recv_timeout(left) else { continue };
            let is_its = event.pointer("/involvedObject/uid").is_some_and(|found| found == uid);
            if is_its && event["reason"] == "SeveredConnections" {
                return Ok(at);
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // One that has ended needs no ending.
        let _gone = self.kubectl.kill();
        let _status = self.kubectl.wait();
    }
}
