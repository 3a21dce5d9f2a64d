//! A client's socket: bound to a port of its own, opened in the network namespace of its target.

use crate::namespace::Network;
use crate::port::Ports;
use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use std::net::{SocketAddr, TcpStream};
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
    /// The size of the client's receive buffer, if it is to be small.
    pub receive_buffer: Option<usize>,
}

/// How far a connection attempt is.
pub(super) enum Connecting {
    Done,
    Pending,
    Refused,
}

impl Target {
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
        let socket = socket_with(family, SocketType::STREAM, flags, None).context("making a socket")?;
        sockopt::set_socket_reuseaddr(&socket, true).context("SO_REUSEADDR")?;
        if let Some(bytes) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(&socket, bytes).context("SO_RCVBUF")?;
        }
        for _ in 0..ATTEMPTS {
            let port = ports.client();
            match bind(&socket, &SocketAddr::new(self.address.ip(), port)) {
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
