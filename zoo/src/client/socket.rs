//! A client's socket: bound to a port of its own, opened in the network namespace of its target.

use crate::namespace::Network;
use crate::port::Ports;
use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with, sockopt};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How many ports are tried before the zoo gives up.
const ATTEMPTS: usize = 50;

/// What a client connects to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// The network namespace it lives in; `None`: the host's.
    pub network: Option<Arc<Network>>,
    /// The address to come from; `None`: the server's, as on the loopback everybody has the same.
    pub source: Option<IpAddr>,
    /// Whether it is asked for MPTCP.
    pub multipath: bool,
    /// How TLS is spoken, if it is.
    pub security: Option<Security>,
}

/// How a client speaks TLS.
#[derive(Clone, Debug)]
pub struct Security {
    /// The certificate to trust; its key is beside it.
    pub certificate: PathBuf,
    /// Whether TLS 1.2 is the newest it knows.
    pub old: bool,
    /// Whether the client shows the certificate too.
    pub mutual: bool,
}

impl Security {
    /// The newest TLS, with this certificate for the server alone.
    pub fn new(certificate: PathBuf) -> Self {
        Self { certificate, old: false, mutual: false }
    }
}

/// Whether the kernel has MPTCP and lets it be used.
pub fn has_multipath() -> bool {
    std::fs::read_to_string("/proc/sys/net/mptcp/enabled").is_ok_and(|text| text.trim() == "1")
}

/// How far a connection attempt is.
pub(super) enum Connecting {
    Done,
    Pending,
    Refused,
    Unreachable,
    /// It was established, and reset before anybody looked.
    Reset,
}

impl Target {
    /// This address, in the host's network namespace, by plain TCP.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, network: None, source: None, multipath: false, security: None }
    }

    /// A socket bound to a port of its own, and that port.
    pub(super) fn open(&self, ports: &Ports) -> Result<(TcpStream, u16)> {
        match &self.network {
            Some(network) => network.within(|| self.bind(ports))?,
            None => self.bind(ports),
        }
    }

    fn bind(&self, ports: &Ports) -> Result<(TcpStream, u16)> {
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let protocol = self.multipath.then_some(ipproto::MPTCP);
        let socket = socket_with(family, SocketType::STREAM, flags, protocol).context("making a socket")?;
        sockopt::set_socket_reuseaddr(&socket, true).context("SO_REUSEADDR")?;
        // What is sent byte by byte is to travel byte by byte.
        sockopt::set_tcp_nodelay(&socket, true).context("TCP_NODELAY")?;
        for _ in 0..ATTEMPTS {
            let port = ports.client();
            match bind(&socket, &SocketAddr::new(self.source.unwrap_or(self.address.ip()), port)) {
                Ok(()) => return Ok((TcpStream::from(socket), port)),
                Err(Errno::ADDRINUSE) => {}
                Err(error) => return Err(error).context("binding a client's port"),
            }
        }
        anyhow::bail!("no free port for a client in {ATTEMPTS} attempts")
    }

    /// Begins the connection, or looks how far it is.
    pub(super) fn connect(&self, stream: &TcpStream, port: u16) -> Result<Connecting> {
        match connect(stream, &self.address) {
            Ok(()) | Err(Errno::ISCONN) => Ok(Connecting::Done),
            Err(Errno::INPROGRESS | Errno::ALREADY) => Ok(Connecting::Pending),
            Err(Errno::CONNREFUSED) => Ok(Connecting::Refused),
            Err(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT) => Ok(Connecting::Unreachable),
            Err(Errno::CONNRESET) => Ok(Connecting::Reset),
            Err(error) => {
                Err(error).with_context(|| format!("connecting to {} from port {port}", self.address))
            }
        }
    }
}

/// Makes the socket answer its own close() by a reset.
pub(super) fn reset_on_close(stream: &TcpStream) -> Result<()> {
    sockopt::set_socket_linger(stream, Some(Duration::ZERO)).context("SO_LINGER")
}
