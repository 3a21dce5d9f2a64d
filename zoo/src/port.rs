//! Ports that nobody else uses: each is handed out once in a run, so that a client's port names its
//! connection wherever it turns up.

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that kernels give to sockets which ask for none (32768 and up by default).
const SERVERS: std::ops::Range<u16> = 10_000..14_000;
const CLIENTS: std::ops::Range<u16> = 14_000..32_000;

/// Hands out ports.
#[derive(Debug)]
pub struct Ports {
    servers: AtomicU16,
    clients: AtomicU16,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl Ports {
    /// Each process begins elsewhere: the last run's connections may still be in TIME_WAIT.
    pub fn new() -> Self {
        let seed = std::process::id().wrapping_mul(977);
        let start = |range: &std::ops::Range<u16>| AtomicU16::new((seed % range.len() as u32) as u16);
        Self { servers: start(&SERVERS), clients: start(&CLIENTS) }
    }

    /// A port to listen on.
    pub fn server(&self) -> Result<u16> {
        (0..SERVERS.len())
            .map(|_| next(&self.servers, &SERVERS))
            .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .context("no free port to listen on")
    }

    /// A port to connect from; the caller takes the next one if somebody else has it.
    pub fn client(&self) -> u16 {
        next(&self.clients, &CLIENTS)
    }

    /// A port that a program of others can bind, which does not try another one.
    pub fn free_client(&self) -> Result<u16> {
        (0..CLIENTS.len())
            .map(|_| self.client())
            .find(|port| is_free(*port).unwrap_or(false))
            .context("no free port to connect from")
    }
}

/// Whether a socket can be bound to it that asks for no favour, not even among the remains of others.
fn is_free(port: u16) -> rustix::io::Result<bool> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(bind(&socket, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).is_ok())
}

fn next(counter: &AtomicU16, range: &std::ops::Range<u16>) -> u16 {
    let length = range.end - range.start;
    range.start + counter.fetch_add(1, Ordering::Relaxed) % length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_in_range() {
        let ports = Ports::new();
        let mut seen: Vec<u16> = (0..1000).map(|_| ports.client()).collect();
        assert!(seen.iter().all(|port| CLIENTS.contains(port)));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
