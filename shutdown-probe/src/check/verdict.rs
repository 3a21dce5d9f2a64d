//! What follows from the runs: what clients lost, whether the probe says the same, and how sure that is.
//!
//! Truth is what the clients saw; the probe says why. Where the two disagree, that is said.

use super::load::{Exchange, Kind, Seen};
use super::options::Plan;
use super::round::Round;
use shutdown_probe_core::cause::Cause;
use shutdown_probe_core::report::{Severed, Termination};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Two runs that agree are enough, where nobody says otherwise.
const AGREEING: usize = 2;
const ROUNDS_MOST: usize = 5;
/// No further run is begun after this, once there is one: whoever waits has waited enough.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one or all runs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing was lost.
    Clean,
    /// Nothing was lost, but only by luck.
    ByLuck,
    /// Clients lost something.
    Severed,
}

/// One request that a client lost.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Its client.
    pub client: Exchange,
    /// From the stop signal to the loss, in seconds.
    pub after_seconds: f64,
    /// What the probe says of it.
    pub probe: Option<Severed>,
}

/// One run, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it came to.
    pub outcome: Outcome,
    /// Why, as the probe has it; clean if clients lost nothing, and not by luck.
    pub cause: Cause,
    /// What clients lost by the shutdown.
    pub losses: Vec<Loss>,
    /// How many connections were severed, as the clients say; the probe, where the clients are somebody else's.
    pub severed: u64,
    /// Requests that failed before the stop signal: not its doing.
    pub failed_before: usize,
    /// Requests in flight when the stop signal came.
    pub in_flight: usize,
    /// Requests answered after it.
    pub answered_after: usize,
    /// Where clients and probe say different things.
    pub disagreements: Vec<String>,
    /// What the probe calls severed on other ports than the one that was checked, by port.
    pub elsewhere: Vec<u16>,
}

/// Judges one run.
pub fn judge(round: &Round) -> Judged {
    let stopped = round.moments.stopped;
    let termination = round.termination.as_ref();
    let severed = || termination.iter().flat_map(|termination| &termination.severed);
    // Elsewhere in the container its own processes are one another's clients, such as nginx of PHP-FPM.
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        severed().partition(|one| port(&one.local) == Some(round.service.address.port()));
    let by_port: BTreeMap<u16, &Severed> =
        here.into_iter().filter_map(|severed| Some((port(&severed.peer)?, severed))).collect();
    let elsewhere = elsewhere.into_iter().filter_map(|severed| port(&severed.local)).collect();
    let (before, after): (Vec<_>, Vec<_>) = round
        .exchanges
        .iter()
        .filter(|one| one.is_lost())
        .partition(|one| one.ended.is_some_and(|(ended, _)| ended < stopped));
    let losses: Vec<Loss> = after
        .into_iter()
        .map(|client| Loss {
            after_seconds: seconds(client.ended.map_or(client.begun, |(ended, _)| ended), stopped),
            probe: by_port.get(&client.port).map(|severed| (*severed).clone()),
            client: client.clone(),
        })
        .collect();
    let probed = termination.map_or(Cause::Clean, |termination| termination.cause);
    let severed = match round.cost {
        Some(_) => losses.len() as u64,
        None => termination.map_or(0, |termination| termination.severed_total),
    };
    let outcome = match severed {
        0 if probed.holds_without_loss() => Outcome::ByLuck,
        0 => Outcome::Clean,
        _ => Outcome::Severed,
    };
    let cause = if outcome == Outcome::Clean { Cause::Clean } else { probed };
    let answered =
        |one: &&Exchange| one.ended.is_some_and(|(ended, seen)| ended > stopped && seen.is_answer());
    Judged {
        outcome,
        cause,
        severed,
        failed_before: before.len(),
        in_flight: round.exchanges.iter().filter(|one| one.was_in_flight(stopped)).count(),
        answered_after: round.exchanges.iter().filter(answered).count(),
        disagreements: termination.filter(|_| round.cost.is_some()).map_or_else(Vec::new, |termination| {
            disagreements(&losses, &round.exchanges, termination, &by_port)
        }),
        losses,
        elsewhere,
    }
}

fn disagreements(
    losses: &[Loss],
    exchanges: &[Exchange],
    termination: &Termination,
    by_port: &BTreeMap<u16, &Severed>,
) -> Vec<String> {
    let mut found = Vec::new();
    let lost: BTreeSet<u16> = losses.iter().map(|loss| loss.client.port).collect();
    // A cut list of the probe's proves nothing about what is not in it.
    if termination.severed_total <= termination.severed.len() as u64 {
        for loss in losses.iter().filter(|loss| loss.probe.is_none()) {
            let (port, seen) = (loss.client.port, loss.client.seen().in_words());
            found.push(format!("the client on port {port} saw: {seen}; the probe blames nothing on it"));
        }
    }
    for (port, severed) in by_port.iter().filter(|(port, _)| !lost.contains(port)) {
        let saw = exchanges
            .iter()
            .rev()
            .find(|one| one.port == *port)
            .map_or_else(|| "is none of ours".to_owned(), |one| format!("saw: {}", one.seen().in_words()));
        found.push(format!("the probe calls port {port} {}; its client {saw}", severed.evidence));
    }
    found
}

/// Whether another run would tell more.
pub fn needs_another(judged: &[Judged], plan: &Plan, began: Instant) -> bool {
    if let Some(runs) = plan.args.runs {
        return judged.len() < usize::from(runs);
    }
    let agree = judged.windows(AGREEING).last().is_some_and(|last| {
        last.iter().all(|one| (one.outcome, one.cause) == (last[0].outcome, last[0].cause))
    });
    !agree && judged.len() < ROUNDS_MOST && (judged.is_empty() || began.elapsed() < PATIENCE)
}

/// The run that says most: the one with the worst outcome, of these the one that lost most.
pub fn worst(judged: &[Judged]) -> Option<usize> {
    (0..judged.len()).max_by_key(|&index| {
        let one = &judged[index];
        (one.outcome, one.severed, std::cmp::Reverse(index))
    })
}

/// How sure the verdict is, in a sentence.
pub fn sureness(judged: &[Judged], outcome: Outcome, cause: Cause) -> String {
    let agreeing = judged.iter().filter(|one| (one.outcome, one.cause) == (outcome, cause)).count();
    let bad = judged.iter().filter(|one| one.outcome != Outcome::Clean).count();
    let total = judged.len();
    let mut text = match total {
        1 => "one run; --runs 2 repeats it".to_owned(),
        _ if agreeing == total => format!("{total} of {total} runs agree"),
        _ if bad < total => format!("it does not happen each time: {bad} of {total} runs went wrong"),
        _ => format!("{total} of {total} runs went wrong, {agreeing} of them in this way"),
    };
    let disagreeing = judged.iter().filter(|one| !one.disagreements.is_empty()).count();
    if disagreeing > 0 {
        text.push_str(&format!("; in {disagreeing} of them clients and probe disagree, see below"));
    }
    text
}

/// Losses of one kind.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What the client saw.
    pub seen: &'static str,
    /// The same in words.
    pub words: String,
    /// What client it was.
    pub kind: Kind,
    /// The fate that the probe gives; empty where it knows nothing of it.
    pub evidence: &'a str,
    /// Whether the request can be sent again.
    pub retry_safe: Option<bool>,
    /// How many.
    pub count: usize,
    /// The first and the last, in seconds from the stop signal.
    pub span: (f64, f64),
}

/// The losses, those of one kind together.
pub fn groups(losses: &[Loss]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for loss in losses {
        let (seen, kind, at) = (loss.client.seen(), loss.client.kind, loss.after_seconds);
        let evidence = loss.probe.as_ref().map_or("", |probe| probe.evidence.as_str());
        let same = |group: &&mut Group<'_>| {
            (group.seen, group.kind, group.evidence) == (seen.as_str(), kind, evidence)
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                group.count += 1;
                group.span = (group.span.0.min(at), group.span.1.max(at));
            }
            None => groups.push(Group {
                seen: seen.as_str(),
                words: plain(seen),
                kind,
                evidence,
                retry_safe: loss.probe.as_ref().map(|probe| probe.retry_safe),
                count: 1,
                span: (at, at),
            }),
        }
    }
    groups.sort_by(|a, b| a.retry_safe.cmp(&b.retry_safe).then(b.count.cmp(&a.count)));
    groups
}

fn plain(seen: Seen) -> String {
    match seen {
        Seen::Truncated { .. } => "answer cut off".to_owned(),
        other => other.in_words(),
    }
}

/// From the stop signal to this moment, in seconds; negative before.
pub fn seconds(at: Instant, stopped: Instant) -> f64 {
    match at.checked_duration_since(stopped) {
        Some(after) => after.as_secs_f64(),
        None => -stopped.duration_since(at).as_secs_f64(),
    }
}

fn port(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests;
