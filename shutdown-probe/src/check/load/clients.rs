//! The clients of a run, each a task with a connection of its own.
//!
//! What they are like is what a service meets in a deploy: pools that keep using their connections whatever is
//! published, silent connections, connections that still come while proxies learn of the deletion, streams.

use super::connection::{Attempt, Connection, Request, Seen};
use super::log::{Kind, Log};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a pool's client waits between two requests: long beside the time in which a server could close the
/// connection unseen, so that the two hardly ever cross.
const THINK: Duration = Duration::from_millis(400);
/// How long the kubelet waits for requests to be on their way.
const ON_THEIR_WAY: Duration = Duration::from_millis(500);

/// What the clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Pools ask by themselves.
    pub pools_ask: bool,
    /// Who lost its connection may make another: the service is published.
    pub published: bool,
    /// The stop signal is about to be sent: whoever is idle looks for a connection only when it needs one.
    pub stopping: bool,
    /// It was sent: nobody of a volley makes a connection for it.
    pub stopped: bool,
    /// Raised to have each pool's client send one request now.
    pub volley: u32,
}

/// All that clients share.
#[derive(Clone, Debug)]
pub struct Crowd {
    address: SocketAddr,
    keeping: Arc<Request>,
    closing: Arc<Request>,
    streaming: Option<Arc<Request>>,
    log: Log,
    orders: watch::Sender<Orders>,
    /// One for each request of a volley that is on its way, or cannot be sent.
    on_their_way: Arc<Semaphore>,
    over: CancellationToken,
}

impl Crowd {
    /// Clients of this service.
    pub fn new(address: SocketAddr, path: &str, stream_path: Option<&str>, headers: &str) -> Self {
        let request = |path: &str, keep_alive| Arc::new(Request::new(path, headers, address, keep_alive));
        Self {
            address,
            keeping: request(path, true),
            closing: request(path, false),
            streaming: stream_path.map(|path| request(path, true)),
            log: Log::default(),
            orders: watch::Sender::new(Orders {
                pools_ask: true,
                published: true,
                stopping: false,
                stopped: false,
                volley: 0,
            }),
            on_their_way: Arc::new(Semaphore::new(0)),
            over: CancellationToken::new(),
        }
    }

    /// What most of them ask.
    pub fn asking(&self) -> Arc<Request> {
        Arc::clone(&self.keeping)
    }

    /// What they saw.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Tells them something else.
    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }

    /// Has each of so many pooled clients send a request, and waits until all are on their way.
    pub async fn volley(&self, clients: usize) {
        self.on_their_way.forget_permits(usize::MAX);
        self.order(|orders| orders.volley += 1);
        let all = u32::try_from(clients).unwrap_or(u32::MAX);
        // One that cannot send in time is not waited for: it will be seen not to have been in flight.
        if let Ok(Ok(permits)) = timeout(ON_THEIR_WAY, self.on_their_way.acquire_many(all)).await {
            permits.forget();
        }
    }

    /// Sends them home.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// A pool's connection.
    pub async fn pooled(self, keeps_alive: bool, number: usize, of: usize) {
        let mut orders = self.orders.subscribe();
        let mut connection = None;
        let mut volley = 0;
        // Spread, so that they do not march in step.
        let mut pause = THINK.mul_f64(number as f64 / of.max(1) as f64);
        loop {
            let now = *orders.borrow_and_update();
            if now.volley > volley {
                volley = now.volley;
                if connection.is_some() || now.published || !now.stopped {
                    connection = self.ask(connection.take(), Kind::Pooled, true).await;
                } else {
                    self.on_their_way.add_permits(1);
                }
                pause = THINK;
                continue;
            }
            let may_ask = now.pools_ask && keeps_alive && (connection.is_some() || now.published);
            tokio::select! {
                () = self.over.cancelled() => return,
                _ = orders.changed() => {}
                () = closed(connection.as_ref()) => connection = None,
                () = sleep(pause), if may_ask => {
                    connection = self.ask(connection.take(), Kind::Pooled, false).await;
                    pause = THINK;
                }
            }
        }
    }

    /// A silent connection. It has asked once; if it is closed before the stop signal, another is made.
    pub async fn idle(self) {
        while !self.orders.borrow().stopping {
            let connection = self.ask(None, Kind::Idle, false).await;
            if connection.is_none() {
                return;
            }
            tokio::select! {
                () = self.over.cancelled() => return,
                () = closed(connection.as_ref()) => {}
            }
        }
    }

    /// New connections, so many a second, for as long as the service is published to anyone.
    pub async fn arrivals(self, per_second: f64, until: CancellationToken) {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = until.cancelled() => return,
                _ = ticks.tick() => {
                    let one = self.clone();
                    tokio::spawn(async move { one.ask(None, Kind::Arrival, false).await });
                }
            }
        }
    }

    /// A long response; another, if it ends before the stop signal.
    pub async fn stream(self) {
        while !self.orders.borrow().stopping && !self.over.is_cancelled() {
            if self.ask(None, Kind::Stream, false).await.is_none() {
                sleep(THINK).await;
            }
        }
    }

    /// Sends a request, on a new connection if there is none, and gives back one that can be used again.
    async fn ask(&self, open: Option<Connection>, kind: Kind, in_volley: bool) -> Option<Connection> {
        let on_its_way = || {
            if in_volley {
                self.on_their_way.add_permits(1);
            }
        };
        let request = match kind {
            Kind::Arrival => &self.closing,
            Kind::Stream => self.streaming.as_ref()?,
            Kind::Pooled | Kind::Idle => &self.keeping,
        };
        let (entry, connection) = match open {
            Some(connection) => (self.log.begin(kind, connection.port), Ok(connection)),
            None => {
                let attempt = Attempt::new(self.address).ok()?;
                (self.log.begin(kind, attempt.port), attempt.connect(self.address).await)
            }
        };
        let asked = async {
            match connection {
                Ok(mut connection) => {
                    let sent = || {
                        self.log.sent(entry);
                        on_its_way();
                    };
                    (connection.ask(request, sent).await, Some(connection))
                }
                Err(seen) => {
                    on_its_way();
                    (seen, None)
                }
            }
        };
        let (seen, connection) = tokio::select! {
            () = self.over.cancelled() => return None,
            outcome = asked => outcome,
        };
        self.log.ended(entry, seen);
        match seen {
            Seen::Answered { keep_alive: true, .. } if kind != Kind::Arrival => connection,
            _ => None,
        }
    }
}

async fn closed(connection: Option<&Connection>) {
    match connection {
        Some(connection) => connection.closed().await,
        None => std::future::pending().await,
    }
}
