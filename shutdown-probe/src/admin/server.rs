//! The listener and its connections: how many, how large, how slow.
//!
//! Invariants: a client that sends slowly, reads slowly or sends rubbish costs one slot for a bounded time; being
//! asked to stop, the server accepts no more, finishes what it is answering, and is done by a deadline.

use crate::exit::{Exit, Failure, OrExit};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// How long to wait after an accept() that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Bytes of a request's head; hyper takes no less than 8 KiB.
    pub head_bytes: usize,
    /// Time for a request's head, and so also between two requests on a connection.
    pub head_time: Duration,
    /// Time in which a client that is being answered must read something.
    pub write_time: Duration,
    /// Time in which answers are finished when the daemon stops.
    pub stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_bytes: 16 << 10,
            // Unlike any usual scrape interval: a connection that is closed as idle in the very moment of its next
            // use is what this program warns of.
            head_time: Duration::from_secs(22),
            write_time: Duration::from_secs(20),
            stop_time: Duration::from_secs(5),
        }
    }
}

/// Takes the address. `[::]` is every address of either family, also on a machine that has no IPv6.
///
/// # Errors
/// [`Exit::PortBusy`] where another process has it or it is not an address of this machine, [`Exit::Permission`]
/// where the port is a privileged one.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    let bound = std::net::TcpListener::bind(address);
    let bound = bound.or_else(|error| match without_ipv6(address, &error) {
        Some(address) => std::net::TcpListener::bind(address),
        None => Err(error),
    });
    let listener = bound.map_err(|error| {
        let (exit, why) = match error.kind() {
            io::ErrorKind::AddrInUse => {
                (Exit::PortBusy, "another process listens there; choose another --listen")
            }
            io::ErrorKind::AddrNotAvailable => {
                (Exit::PortBusy, "no interface of this machine has that address")
            }
            io::ErrorKind::PermissionDenied => {
                (Exit::Permission, "ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            _ => (Exit::Internal, "the system refuses"),
        };
        let error = anyhow::Error::new(error).context(format!("cannot listen on {address}: {why}"));
        Failure { exit, error }
    })?;
    listener.set_nonblocking(true).or_exit(Exit::Internal, || "cannot set up the listener")?;
    Ok(listener)
}

/// What every address comes to where the kernel was started with `ipv6.disable=1`.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let has_none = error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
    let is_all = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    (has_none && is_all).then(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
}

/// Serves until it is told to stop.
///
/// # Errors
/// [`Exit::Internal`] where the runtime does not take the listener.
pub async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let listener = TcpListener::from_std(listener).or_exit(Exit::Internal, || "cannot serve")?;
    let mut connections = JoinSet::new();
    while let Some(stream) = next(&listener, &mut connections, limits.connections, &stop).await {
        connections.spawn(connection(stream, router.clone(), limits.clone(), stop.clone()));
    }
    drop(listener);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if tokio::time::timeout(limits.stop_time, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "gave up on answers that were not read in time");
        connections.shutdown().await;
    }
    Ok(())
}

/// The next connection, once there is room for it; `None` when told to stop.
async fn next(
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    room: usize,
    stop: &CancellationToken,
) -> Option<TcpStream> {
    loop {
        let is_full = connections.len() >= room;
        tokio::select! {
            () = stop.cancelled() => return None,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((stream, _)) => return Some(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// A connection's own errors are its client's affair; a panic in a handler is ours.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an HTTP handler panicked");
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_either_familys() {
        let listener = bind("[::]:0".parse().expect("valid")).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens to IPv4, too");
    }

    #[test]
    fn a_machine_without_ipv6_has_every_address_of_ipv4() {
        let without = |address: &str, error: Errno| {
            without_ipv6(address.parse().expect("valid"), &error.into()).map(|address| address.to_string())
        };
        assert_eq!(without("[::]:9464", Errno::AFNOSUPPORT).as_deref(), Some("0.0.0.0:9464"));
        assert_eq!(without("[fd00::1]:9464", Errno::AFNOSUPPORT), None, "that address was meant");
        assert_eq!(without("[::]:9464", Errno::ADDRINUSE), None);
    }
}
