//! What a request costs, learned before anything is measured.

use super::connection::{Attempt, Connection, Request, Seen};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many requests are asked one after the other.
const SAMPLES: usize = 7;
/// Only if one takes less than this: of a slow one, the first tells enough.
const QUICK: Duration = Duration::from_millis(200);
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

    /// Whether clients of a pool have the time to think between two requests: of a slow one, the volley is enough.
    pub fn leaves_time_to_think(&self) -> bool {
        self.latency < QUICK
    }

    /// New connections per second that leave the server half idle, `wanted` at most.
    pub fn affordable_rate(&self, wanted: f64) -> f64 {
        let capacity = self.at_once as f64 / self.latency.as_secs_f64().max(1e-4);
        (capacity / 2.0).clamp(1.0, wanted)
    }
}

/// Asks for `wanted` at once, then, where that is quick, for some one after the other.
///
/// # Errors
/// What was seen where the service does not answer any more.
pub async fn learn(address: SocketAddr, request: &Request, wanted: usize) -> Result<Cost, Seen> {
    let mut asking = JoinSet::new();
    for _ in 0..wanted {
        let request = request.clone();
        asking.spawn(async move { ask(address, None, &request).await });
    }
    let mut taken = Vec::new();
    let mut open = None;
    let mut keep_alive = true;
    for asked in asking.join_all().await {
        let (time, connection) = asked?;
        keep_alive &= connection.is_some();
        taken.push(time);
        open = connection;
    }
    let mut latency = taken.iter().min().copied().unwrap_or_default();
    if latency < QUICK {
        latency = alone(address, request, open).await?;
    }
    let patience = latency.mul_f64(QUEUED) + NOISE;
    let at_once = taken.iter().filter(|time| **time <= patience).count().max(1);
    Ok(Cost { latency, keep_alive, at_once })
}

/// The median of some requests one after the other.
async fn alone(address: SocketAddr, request: &Request, open: Option<Connection>) -> Result<Duration, Seen> {
    let mut open = open;
    let mut taken = Vec::new();
    while taken.len() < SAMPLES {
        let (time, connection) = ask(address, open, request).await?;
        taken.push(time);
        open = connection;
    }
    taken.sort();
    Ok(taken[taken.len() / 2])
}

/// Asks once, on a new connection if there is none; gives back one that can be used again.
async fn ask(
    address: SocketAddr,
    open: Option<Connection>,
    request: &Request,
) -> Result<(Duration, Option<Connection>), Seen> {
    let mut connection = match open {
        Some(open) => open,
        None => Attempt::new(address).map_err(|_| Seen::Reset)?.connect(address).await?,
    };
    let asked = Instant::now();
    match connection.ask(request, || ()).await {
        Seen::Answered { keep_alive, .. } => Ok((asked.elapsed(), keep_alive.then_some(connection))),
        seen => Err(seen),
    }
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
