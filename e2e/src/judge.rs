//! Waits for the daemon's answer about each life that ended, and compares it with what the clients saw and what
//! Kubernetes said.

use crate::daemon::Daemon;
use crate::prometheus::Prometheus;
use crate::report::Verdict;
use crate::stage::{Played, PlayedLife, Witness};
use anyhow::Result;
use serde_json::Value;
use shutdown_probe_common::fate::Fate;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use zoo::api::Termination;
use zoo::framing::Framing;
use zoo::truth::{LINGER, Window, fates};
use zoo::{PlayedClient, PlayedRun, compare};

/// How long after the linger the daemon may take to complete a termination.
const COMPLETION: Duration = Duration::from_secs(8);
/// How long Events, and a scrape, may take to tell of it.
const TOLD: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(300);
/// How much later than the kernel a client's machine may see something.
const SIGHT: f64 = 1.0;

/// What it takes to judge.
pub struct Judge<'a> {
    pub daemon: &'a Daemon,
    pub prometheus: &'a Prometheus,
    /// The daemon runs without Kubernetes.
    pub standalone: bool,
}

impl Judge<'_> {
    /// Compares all of a case.
    pub fn judge(&self, played: &Played, verdict: &mut Verdict) -> Result<()> {
        let mut reported: BTreeMap<String, u64> = BTreeMap::new();
        for life in &played.lives {
            let found = self.await_termination(life)?;
            let [termination] = found.as_slice() else {
                let name = &life.pod.name;
                verdict.differ(format!(
                    "{name}/{}: {} terminations, expected 1",
                    life.container,
                    found.len()
                ));
                continue;
            };
            verdict.keep_answer(termination);
            for (evidence, count) in termination.severed_by_evidence.iter().filter(|(_, count)| **count > 0) {
                *reported.entry(evidence.clone()).or_default() += count;
            }
            let mut run = run_of(life, termination, verdict);
            if self.standalone && run.expected.trigger != Some("oom_killed") {
                run.expected.trigger = None;
            }
            for difference in compare::with_truth(&run, termination) {
                verdict.differ(format!("{}/{}: {difference}", life.pod.name, life.container));
            }
            for difference in compare::with_design(&run) {
                verdict.differ(format!("{}/{}: {difference}", life.pod.name, life.container));
            }
            verdict.count(&run, termination);
            if !self.standalone {
                identity(life, termination, verdict);
                if let Some(wrong) = life.ending.told.and_then(|wrong| wrong(termination)) {
                    verdict.differ(format!("{}/{}: {wrong}", life.pod.name, life.container));
                }
            }
        }
        if self.standalone {
            return Ok(());
        }
        self.series(played, &reported, verdict)?;
        self.events(played, verdict)
    }

    /// The terminations of this life, once they are complete or had time enough.
    fn await_termination(&self, life: &PlayedLife) -> Result<Vec<Termination>> {
        loop {
            let late = Instant::now() > life.gone + LINGER + COMPLETION;
            let mut found = self.daemon.terminations(&self.daemon.addresses()?)?;
            // The directory of a container is named by its id, whatever the runtime puts around it.
            found.retain(|termination| termination.container.cgroup.contains(&life.id));
            if late || (!found.is_empty() && found.iter().all(Termination::is_complete)) {
                return Ok(found);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// A real Prometheus has scraped what the reports come to.
    fn series(&self, played: &Played, reported: &BTreeMap<String, u64>, verdict: &mut Verdict) -> Result<()> {
        let namespace = &played.namespace;
        let query = format!(
            "sum by (evidence) (shutdown_probe_severed_connections_total{{namespace=\"{namespace}\"}}) > 0"
        );
        let deadline = Instant::now() + TOLD;
        loop {
            self.prometheus.look_at(&self.daemon.addresses()?)?;
            let scraped = self.prometheus.counts(&query, "evidence")?;
            if scraped == *reported {
                return Ok(());
            }
            if Instant::now() > deadline {
                verdict.differ(format!("Prometheus has {scraped:?}, the reports {reported:?}"));
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether a namespace is there to stay: one that is being deleted takes no Events, and loses those it has.
    fn stays(&self, namespace: &str) -> bool {
        let phase = ["get", "namespace", namespace, "-o", "jsonpath={.status.phase}"];
        self.daemon.kubectl().run(&phase).is_ok_and(|phase| phase == "Active")
    }

    /// Whoever lost connections is told so where people look.
    fn events(&self, played: &Played, verdict: &mut Verdict) -> Result<()> {
        if !self.stays(&played.namespace) {
            return Ok(());
        }
        let deadline = Instant::now() + TOLD;
        let losers = played.lives.iter().filter(|life| !life.ending.expected.severed.is_empty());
        let mut waiting: Vec<&str> = losers.map(|life| life.pod.name.as_str()).collect();
        while !waiting.is_empty() {
            let events = self.daemon.kubectl().within(&played.namespace).json(&["get", "events"])?;
            let ours = events["items"].as_array().into_iter().flatten().filter(|event| is_ours(event));
            let told: Vec<&str> =
                ours.filter_map(|event| event.pointer("/involvedObject/name")?.as_str()).collect();
            waiting.retain(|pod| !told.contains(pod));
            if Instant::now() > deadline {
                verdict.differ(format!("no Event tells of the losses of {}", waiting.join(", ")));
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

fn is_ours(event: &Value) -> bool {
    let says = |pointer: &str| {
        event.pointer(pointer).and_then(Value::as_str).is_some_and(|by| by.contains("shutdown-probe"))
    };
    event["type"] == "Warning" && (says("/reportingComponent") || says("/source/component"))
}

/// The life as the zoo's comparison knows it.
fn run_of(life: &PlayedLife, found: &Termination, verdict: &mut Verdict) -> PlayedRun {
    let window = window(life, found, verdict);
    let tried = life.clients.iter().filter(|witness| witness.record.port != 0);
    let clients = tried.map(|witness| PlayedClient {
        peer: witness.peer.to_string(),
        ended: witness.record.end.map(|(at, _)| at),
        fates: fates_of(life, witness, window),
        framing: witness.framing.clone(),
        late: is_late(&witness.record, window),
    });
    // Known by the answers that came out of it in the end.
    let within = (0..life.ending.drained_within).map(|number| PlayedClient {
        peer: format!("another container, {number}"),
        ended: None,
        fates: vec![Fate::Drained],
        framing: Framing::of(None),
        late: false,
    });
    let clients = clients.chain(within);
    PlayedRun {
        window,
        stop_signal: life.ending.stop_signal,
        killed: life.ending.killed,
        rest_killed: life.ending.rest_killed,
        code: life.ending.code,
        signal: life.ending.killing_signal.or(life.ending.killed.then_some(9)),
        expected: life.ending.expected.clone(),
        clients: clients.collect(),
    }
}

/// A termination begins when it is announced, and a shutdown with its stop signal. The contract leaves open what a
/// connection is whose last answer came between the two.
fn fates_of(life: &PlayedLife, witness: &Witness, window: Window) -> Vec<Fate> {
    let fates = fates(&witness.record, witness.said, window, life.ending.expected.construction);
    let answered_since = witness.record.last_answer.is_some_and(|at| at >= life.acted);
    match fates.as_slice() {
        [Fate::ClosedIdle] if answered_since => vec![Fate::Drained, Fate::ClosedIdle],
        // It leaves with its answer, and the server, which is going, after it: either may be first.
        [Fate::PeerClosed] if answered_since => vec![Fate::PeerClosed, Fate::Drained],
        _ => fates,
    }
}

/// It came in the window, and found somebody, or his closed door: not an empty address.
fn is_late(record: &zoo::client::Record, window: Window) -> bool {
    let reached = !matches!(record.end, Some((_, zoo::client::End::Unreachable)));
    reached && record.started.is_some_and(|at| at >= window.begin && at <= window.gone + LINGER)
}

/// No client sees when the runtime sends its signal: the daemon says when, and is believed if that is between the
/// moment at which the end was asked for and the one at which it was seen.
fn window(life: &PlayedLife, found: &Termination, verdict: &mut Verdict) -> Window {
    let told = found.stop_signal.as_ref().map(|signal| signal.at);
    if let Some(at) = told {
        let (acted, gone) = (wall(life.acted), wall(life.gone));
        if !(acted..gone + SIGHT).contains(&at) {
            verdict.differ(format!("the stop signal came at {at}, not between {acted} and {gone}"));
        }
    }
    let begin = told.map_or(life.acted, instant);
    Window { begin, gone: life.gone.max(begin) }
}

/// Seconds since 1970.
fn wall(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    now - at.elapsed().as_secs_f64()
}

fn instant(seconds: f64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let ago = Duration::from_secs_f64((now - seconds).max(0.0));
    Instant::now().checked_sub(ago).unwrap_or_else(Instant::now)
}

fn identity(life: &PlayedLife, found: &Termination, verdict: &mut Verdict) {
    let container = &found.container;
    let namespace = container.pod.as_ref().map(|pod| pod.namespace.clone());
    let name = container.pod.as_ref().map(|pod| pod.name.as_str());
    let uid = container.pod.as_ref().map(|pod| pod.uid.as_str());
    let kind = container.workload.as_ref().map(|workload| workload.kind.as_str());
    let workload = container.workload.as_ref().map(|workload| workload.name.as_str());
    let wanted_workload =
        if life.workload.kind == crate::manifest::Kind::Pod { &life.pod.name } else { life.workload.name };
    let pairs = [
        ("container.name", Some(life.container.as_str()), container.name.as_deref()),
        ("pod.namespace", Some(verdict.namespace.as_str()), namespace.as_deref()),
        ("pod.name", Some(life.pod.name.as_str()), name),
        ("pod.uid", Some(life.pod.uid.as_str()), uid),
        ("workload.kind", Some(life.workload.kind.as_str()), kind),
        ("workload.name", Some(wanted_workload), workload),
    ];
    let wrong = pairs.iter().filter(|(_, wanted, found)| wanted != found);
    let differences: Vec<_> =
        wrong.map(|(what, wanted, found)| format!("{what}: expected {wanted:?}, found {found:?}")).collect();
    differences.into_iter().for_each(|difference| verdict.differ(difference));
}
