//! Many pods deleted at once, each with a client whose request is in flight.
//!
//! Invariant: each pod is to be told of once, with its own client's address.

use super::Bench;
use crate::manifest::{Kind, PORT, Workload};
use crate::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use zoo::api::Termination;

const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(1_000);
/// Linger, and the time in which a busy machine completes so many.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// A server that reads what it is sent and answers nothing, and a shell that ends at once.
const SERVER: &str = "trap 'exit 0' TERM; nc -ll -p 18080 -e sh -c 'read line; echo read; sleep 600' & wait";

/// One of them, and its client.
struct Pod {
    uid: String,
    address: String,
}

/// How it was told.
#[derive(Debug, Default)]
pub struct Told {
    pods: usize,
    once: usize,
    severed: usize,
    longest: Duration,
}

impl Told {
    /// Each pod once, with its client.
    pub fn is_exact(&self) -> bool {
        self.once == self.pods && self.severed == self.pods
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pods, once, severed, longest } = self;
        let seconds = longest.as_secs_f64();
        write!(f, "{once} of {pods} told once, {severed} severed connections; all over after {seconds:.0} s")
    }
}

/// Makes them, and deletes them.
pub fn measure(bench: &Bench<'_>, pods: usize) -> Result<Told> {
    let stage = Stage::new(bench.shared, "crowd")?;
    let workload = Workload::command(Kind::Deployment, &["sh", "-c", SERVER]).replicas(pods).grace(10);
    stage.kubectl.apply(&workload.object())?;
    let running = await_running(&stage, pods)?;
    let clients: Vec<(Pod, String, TcpStream)> = running.into_iter().map(connect).collect::<Result<_>>()?;
    let begun = Instant::now();
    stage.kubectl.run(&["delete", "pods", "--all", "--wait=false"])?;
    // Their successors would only be in the way.
    stage.kubectl.run(&["scale", "deployment/web", "--replicas=0"])?;
    await_gone(&stage, &clients)?;
    let longest = begun.elapsed();
    let told = await_told(bench, &stage, &clients)?;
    Ok(Told { longest, ..told })
}

fn await_running(stage: &Stage<'_>, wanted: usize) -> Result<Vec<Pod>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let pods = stage.kubectl.json(&["get", "pods"])?;
        let running: Vec<Pod> = pods["items"].as_array().into_iter().flatten().filter_map(running).collect();
        if running.len() >= wanted {
            return Ok(running);
        }
        ensure!(Instant::now() < deadline, "{} of {wanted} pods run", running.len());
        std::thread::sleep(PAUSE);
    }
}

fn running(pod: &Value) -> Option<Pod> {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).map(String::from);
    pod.pointer("/status/containerStatuses/0/state/running")?;
    Some(Pod { uid: text("/metadata/uid")?, address: text("/status/podIP")? })
}

/// Until the server has read the request: it says so on the connection.
fn connect(pod: Pod) -> Result<(Pod, String, TcpStream)> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect((pod.address.as_str(), PORT)) {
            Ok(stream) => break stream,
            Err(error) => ensure!(Instant::now() < deadline, "{}: {error}", pod.address),
        }
        std::thread::sleep(PAUSE);
    };
    let own = stream.local_addr()?.to_string();
    // What is answered is answered: the second line is the one that is owed an answer.
    stream.write_all(b"first\n")?;
    let mut word = [0; 5];
    stream.read_exact(&mut word)?;
    stream.write_all(b"second\n")?;
    Ok((pod, own, stream))
}

fn await_gone(stage: &Stage<'_>, clients: &[(Pod, String, TcpStream)]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = stage.kubectl.run(&["get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"])?;
        let left = clients.iter().filter(|(pod, _, _)| there.contains(&pod.uid)).count();
        if left == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{left} pods do not go");
        std::thread::sleep(PAUSE);
    }
}

fn await_told(bench: &Bench<'_>, stage: &Stage<'_>, clients: &[(Pod, String, TcpStream)]) -> Result<Told> {
    let deadline = Instant::now() + AFTERWARDS;
    loop {
        let mut by_pod: BTreeMap<String, Vec<Termination>> = BTreeMap::new();
        for termination in bench.daemon.terminations(&bench.daemon.addresses()?)? {
            let pod = termination.container.pod.clone().unwrap_or_default();
            if pod.namespace == stage.kubectl.namespace() {
                by_pod.entry(pod.uid).or_default().push(termination);
            }
        }
        let told = compare(clients, &by_pod);
        if told.is_exact() || Instant::now() > deadline {
            return Ok(told);
        }
        std::thread::sleep(PAUSE);
    }
}

fn compare(clients: &[(Pod, String, TcpStream)], by_pod: &BTreeMap<String, Vec<Termination>>) -> Told {
    let mut told = Told { pods: clients.len(), ..Told::default() };
    for (pod, client, _) in clients {
        let [one] = by_pod.get(&pod.uid).map_or(&[][..], Vec::as_slice) else { continue };
        told.once += usize::from(one.is_complete());
        let is_its = one.severed_total == 1 && one.severed.iter().any(|severed| severed.peer == *client);
        told.severed += usize::from(is_its);
    }
    told
}
