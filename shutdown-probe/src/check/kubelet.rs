//! Plays the kubelet: the deletion, the preStop, the stop signal, the grace period, SIGKILL.
//!
//! The requests that are to be in flight are sent so that the server has them in its hands when the signal comes:
//! a little after they were sent, and well before they will be answered.

use super::load::{Cost, Crowd};
use super::observer::Observer;
use super::options::Plan;
use super::sandbox::{Container, send_signal, tree};
use shutdown_probe_core::signal::{Disposition, SIGKILL};
use std::io;
use std::time::{Duration, Instant};
use tokio::time::{interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a signal that nobody heeds is waited for: nothing would change in the rest of the grace period.
const UNHEEDED: Duration = Duration::from_secs(2);
const TURN: Duration = Duration::from_millis(50);
/// The part of a request's time after which the signal follows it.
const IN_HAND: f64 = 0.4;
const IN_HAND_MOST: Duration = Duration::from_secs(1);
/// How many volleys are tried to meet the server with a request in its hands.
const VOLLEYS: u32 = 5;
/// How often it is looked whether the last answers have come.
const GLANCE: Duration = Duration::from_millis(2);
/// How long before that no other request begins, beyond the time that one takes.
const CALM: Duration = Duration::from_millis(20);

/// What happened when.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// The pod was deleted.
    pub deleted: Instant,
    /// The last new connection was sent this way.
    pub unpublished: Instant,
    /// The stop signal was sent.
    pub stopped: Instant,
    /// SIGKILL was sent, if it had to be.
    pub killed: Option<Instant>,
    /// SIGKILL came before the end of the grace period, for nobody heeded the stop signal.
    pub shortened: bool,
    /// The main process had ended.
    pub ended: Instant,
}

/// Those who take part.
pub struct Scene<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// The service.
    pub container: &'a Container,
    /// Its name.
    pub name: &'a str,
    /// The probe.
    pub observer: &'a Observer,
    /// Our own clients and what they know of the service, unless another load runs.
    pub load: Option<(&'a Crowd, Cost, usize)>,
    /// Ends the new connections.
    pub unpublish: CancellationToken,
}

impl Scene<'_> {
    /// Stops the service, and returns when the last new connection has come and it has ended.
    ///
    /// # Errors
    /// Where a signal cannot be sent, or somebody outlives SIGKILL.
    pub async fn play(&self) -> io::Result<Moments> {
        let calm = self.load.filter(|(_, cost, _)| cost.leaves_time_to_think());
        let calm = calm.map_or(CALM, |(_, cost, _)| cost.latency.mul_f64(1.5) + CALM);
        self.calm_down(calm.saturating_sub(self.plan.pre_stop)).await;
        let deleted = Instant::now();
        let unpublished = deleted + self.plan.propagation;
        let (crowd, token) = (self.load.map(|(crowd, ..)| crowd.clone()), self.unpublish.clone());
        let publishing = tokio::spawn(async move {
            sleep_until(unpublished.into()).await;
            token.cancel();
            if let Some(crowd) = crowd {
                crowd.order(|orders| orders.published = false);
            }
        });
        if self.plan.pre_stop > calm {
            self.ask_again();
            sleep(self.plan.pre_stop - calm).await;
            self.calm_down(calm).await;
        } else {
            sleep(self.plan.pre_stop).await;
        }
        if let Some(status) = self.container.status() {
            return Err(io::Error::other(format!("it ended by itself before it was stopped ({status})")));
        }
        self.await_answers().await;
        let stopped = self.strike(self.plan.signal, true).await?;
        if let Some((crowd, ..)) = self.load {
            crowd.order(|orders| orders.stopped = true);
        }
        self.ask_again();
        let (killed, shortened) = self.wait_for_end(stopped, calm).await?;
        let ended = Instant::now();
        self.clear().await?;
        // Whoever is still sent this way finds nobody.
        let _ = publishing.await;
        Ok(Moments { deleted, unpublished, stopped, killed, shortened, ended })
    }

    async fn calm_down(&self, calm: Duration) {
        if let Some((crowd, ..)) = self.load {
            crowd.order(|orders| orders.pools_ask = false);
        }
        sleep(calm).await;
    }

    /// New connections that came before the last proxy had learned of the deletion: on a busy machine they may still
    /// have the places of those that are to be in flight, who would wait in a queue instead.
    async fn await_answers(&self) {
        let Some((crowd, cost, _)) = self.load.filter(|_| self.unpublish.is_cancelled()) else { return };
        let until = Instant::now() + cost.latency.mul_f64(2.0).min(IN_HAND_MOST);
        while crowd.log().has_arrival_in_flight() && Instant::now() < until {
            sleep(GLANCE).await;
        }
    }

    fn ask_again(&self) {
        if let Some((crowd, cost, _)) = self.load {
            crowd.order(|orders| orders.pools_ask = cost.leaves_time_to_think());
        }
    }

    /// Sends requests, if they are to be in flight, and the signal while they are in the server's hands.
    async fn strike(&self, signal: u32, in_flight: bool) -> io::Result<Instant> {
        let Some((crowd, cost, volley)) = self.load.filter(|_| in_flight) else {
            return self
                .send(signal, Duration::ZERO, || true)
                .await
                .map(|sent| sent.unwrap_or_else(Instant::now));
        };
        crowd.order(|orders| orders.stopping = true);
        let catchable = cost.is_catchable();
        let pause = if catchable { cost.latency.mul_f64(IN_HAND).min(IN_HAND_MOST) } else { CALM };
        for volleys_left in (0..VOLLEYS).rev() {
            crowd.volley(volley).await;
            let log = crowd.log().clone();
            // On a busy machine the answers may have come before the signal could be sent.
            let is_time = move || !catchable || volleys_left == 0 || log.has_pooled_in_flight();
            if let Some(sent) = self.send(signal, pause, is_time).await? {
                return Ok(sent);
            }
        }
        Err(io::Error::other("the last volley is always followed by the signal"))
    }

    /// Sends the signal after the pause, if it is time then. On a thread of its own: the timers of the runtime are
    /// too coarse for a request of a few milliseconds.
    async fn send(
        &self,
        signal: u32,
        pause: Duration,
        is_time: impl FnOnce() -> bool + Send + 'static,
    ) -> io::Result<Option<Instant>> {
        let handle = self.container.handle()?;
        let send = move || {
            std::thread::sleep(pause);
            if !is_time() {
                return Ok(None);
            }
            let now = Instant::now();
            send_signal(&handle, signal).map(|()| Some(now))
        };
        tokio::task::spawn_blocking(send).await.map_err(io::Error::other)?
    }

    /// Waits for the end, and brings it about when the grace period is over.
    async fn wait_for_end(&self, stopped: Instant, calm: Duration) -> io::Result<(Option<Instant>, bool)> {
        let deadline = stopped + self.plan.grace_after_stop;
        let mut turns = interval(TURN);
        let mut shortened = false;
        loop {
            tokio::select! {
                () = self.container.ended() => return Ok((None, false)),
                _ = turns.tick() => {}
            }
            shortened |= stopped.elapsed() > UNHEEDED && self.is_unheeded();
            if shortened || Instant::now() + calm >= deadline {
                self.calm_down(calm).await;
                // Clients that have not asked since the stop signal do not begin to now: it would let a server go that
                // waits for idle connections.
                let still_asked =
                    shortened || self.load.is_some_and(|(_, cost, _)| cost.leaves_time_to_think());
                let killed = self.strike(SIGKILL, still_asked).await?;
                self.container.ended().await;
                return Ok((Some(killed), shortened));
            }
        }
    }

    /// Whether the kernel dropped the signal, or its default action, which PID 1 does not get.
    fn is_unheeded(&self) -> bool {
        let stop = self.observer.latest(self.name).and_then(|termination| termination.stop_signal);
        stop.is_some_and(|stop| matches!(stop.disposition, Disposition::Ignored | Disposition::Default))
    }

    /// A runtime kills whoever outlives the main process.
    async fn clear(&self) -> io::Result<()> {
        let directory = self.container.directory().to_owned();
        tokio::task::spawn_blocking(move || tree::kill(&directory)).await.map_err(io::Error::other)?
    }
}
