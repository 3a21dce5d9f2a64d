//! How long a loss takes to become a metric.

use super::arena::Arena;
use super::daemon::{Daemon, Framing};
use super::http::sum_of;
use super::load::Server;
use super::plan::Plan;
use super::progress;
use super::statistics::Spread;
use super::table::Table;
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::fmt;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SEVERED: &str = "shutdown_probe_severed_connections_total";
const BETWEEN_SCRAPES: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
pub struct Delay {
    /// In seconds, from when the process could be waited for to the end of the first scrape that tells.
    pub after_sigterm: Spread,
    pub after_sigkill: Spread,
}

/// # Errors
/// When a loss is not told within a few seconds.
pub fn measure(arena: &Arena, plan: &Plan) -> Result<Delay> {
    let daemon = Daemon::start(arena, Framing::On)?;
    let upstream = TcpListener::bind(("127.0.0.1", 0))?;
    let series = |signal, name: &str| -> Result<Spread> {
        progress(&format!("delay: {} times {name}", plan.kills));
        let container = |index| format!("{}-{index}", name.to_lowercase());
        let delays: Result<Vec<f64>> =
            (0..plan.kills).map(|index| once(arena, &daemon, &upstream, &container(index), signal)).collect();
        Spread::of(delays?).context("nothing was ended")
    };
    let delay = Delay {
        after_sigterm: series(Signal::TERM, "SIGTERM")?,
        after_sigkill: series(Signal::KILL, "SIGKILL")?,
    };
    daemon.end(Signal::TERM)?;
    Ok(delay)
}

/// A server that has read a request is ended before it can answer.
fn once(
    arena: &Arena,
    daemon: &Daemon,
    upstream: &TcpListener,
    container: &str,
    signal: Signal,
) -> Result<f64> {
    let server = Server::start(arena, container, Some(upstream.local_addr()?))?;
    let mut client = TcpStream::connect(server.address)?;
    client.write_all(b"GET /hang HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    // Once it turns to its upstream, it has read the request.
    let _turned_to = upstream.accept()?;
    let before = sum_of(&daemon.scrape()?, SEVERED);
    server.process.end(signal)?;
    let exited = Instant::now();
    while sum_of(&daemon.scrape()?, SEVERED) <= before {
        ensure!(exited.elapsed() < PATIENCE, "a severed connection was not reported");
        sleep(BETWEEN_SCRAPES);
    }
    Ok(exited.elapsed().as_secs_f64())
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["ended by", "times", "min, ms", "median, ms", "max, ms"]);
        for (name, spread) in [("SIGTERM", &self.after_sigterm), ("SIGKILL", &self.after_sigkill)] {
            let milliseconds = |seconds: f64| format!("{:.0}", seconds * 1e3);
            table.row([
                name.to_owned(),
                spread.count.to_string(),
                milliseconds(spread.min),
                milliseconds(spread.median),
                milliseconds(spread.max),
            ]);
        }
        write!(f, "{table}")
    }
}
