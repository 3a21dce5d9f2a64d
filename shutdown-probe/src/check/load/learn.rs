//! What a request costs, learned before anything is measured.

use super::connection::{Attempt, Connection, Request, Seen};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many requests are asked one after the other, at most.
const SAMPLES: usize = 7;
/// For how long, at most.
const BUDGET: Duration = Duration::from_secs(2);
/// A request that takes less can hardly be met while the server works on it: it is with the kernel for as long.
const CATCHABLE: Duration = Duration::from_millis(1);
/// One of several at once that takes longer than this, measured by one alone, had to wait for others.
const QUEUED: f64 = 1.6;
/// Noise of the machine.
const NOISE: Duration = Duration::from_millis(10);

/// What was learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// From sending a request to its last byte: the median.
    pub latency: Duration,
    /// Whether a connection can be used again.
    pub keep_alive: bool,
    /// How many of the requests wanted at once the server works on at once.
    pub at_once: usize,
}

impl Cost {
    /// Whether a request can be met in the server's hands.
    pub fn is_catchable(&self) -> bool {
        self.latency >= CATCHABLE
    }

    /// New connections per second that leave the server half idle, `wanted` at most.
    pub fn affordable_rate(&self, wanted: f64) -> f64 {
        let capacity = self.at_once as f64 / self.latency.as_secs_f64().max(1e-4);
        (capacity / 2.0).clamp(1.0, wanted)
    }
}

/// Asks one after the other, then `wanted` at once.
///
/// # Errors
/// What was seen where the service does not answer any more.
pub async fn learn(address: SocketAddr, request: &Request, wanted: usize) -> Result<Cost, Seen> {
    let began = Instant::now();
    let mut connection: Option<Connection> = None;
    let mut taken = Vec::new();
    let mut keeps_alive = true;
    while taken.len() < SAMPLES && (taken.is_empty() || began.elapsed() < BUDGET) {
        let mut open = match connection.take() {
            Some(open) => open,
            None => connect(address).await?,
        };
        let asked = Instant::now();
        match open.ask(request, || ()).await {
            Seen::Answered { keep_alive, .. } => {
                taken.push(asked.elapsed());
                keeps_alive &= keep_alive;
                connection = keep_alive.then_some(open);
            }
            seen => return Err(seen),
        }
    }
    taken.sort();
    let latency = taken[taken.len() / 2];
    Ok(Cost { latency, keep_alive: keeps_alive, at_once: at_once(address, request, wanted, latency).await })
}

async fn connect(address: SocketAddr) -> Result<Connection, Seen> {
    Attempt::new(address).map_err(|_| Seen::Reset)?.connect(address).await
}

/// How many of so many requests are worked on at once.
async fn at_once(address: SocketAddr, request: &Request, wanted: usize, latency: Duration) -> usize {
    let patience = latency.mul_f64(QUEUED) + NOISE;
    let mut asking = JoinSet::new();
    for _ in 0..wanted {
        let request = request.clone();
        asking.spawn(async move {
            let Ok(mut connection) = connect(address).await else { return false };
            let asked = Instant::now();
            connection.ask(&request, || ()).await.is_answer() && asked.elapsed() <= patience
        });
    }
    let prompt = asking.join_all().await.into_iter().filter(|prompt| *prompt).count();
    prompt.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_service_is_not_overrun() {
        let cost =
            |millis, at_once| Cost { latency: Duration::from_millis(millis), keep_alive: true, at_once };
        assert_eq!(cost(1, 5).affordable_rate(20.0), 20.0);
        assert_eq!(cost(300, 2).affordable_rate(20.0).round(), 3.0);
        assert_eq!(cost(9_000, 1).affordable_rate(20.0), 1.0);
    }
}
