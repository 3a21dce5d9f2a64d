//! One client connection, and what its client sees.

use super::response::Response;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What the client saw of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A complete answer, whatever its status.
    Answered {
        /// Its status.
        status: u16,
        /// Whether the connection can be used again.
        keep_alive: bool,
    },
    /// The connection was refused.
    Refused,
    /// The connection was closed with nothing of an answer.
    Closed,
    /// The connection was reset with nothing of an answer.
    Reset,
    /// An answer was begun and not finished.
    Truncated {
        /// How many bytes of it came.
        bytes: u64,
    },
    /// Nothing came while the client waited.
    Silence,
    /// What came was no HTTP.
    NotHttp,
}

impl Seen {
    /// Whether the client got what it asked for.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Answered { .. })
    }

    /// For people.
    pub fn in_words(self) -> String {
        match self {
            Self::Answered { status, .. } => format!("answered with status {status}"),
            Self::Refused => "connection refused".to_owned(),
            Self::Closed => "closed without an answer".to_owned(),
            Self::Reset => "reset without an answer".to_owned(),
            Self::Truncated { bytes } => format!("answer cut off after {bytes} bytes"),
            Self::Silence => "no answer".to_owned(),
            Self::NotHttp => "something else than HTTP".to_owned(),
        }
    }

    /// For machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Truncated { .. } => "truncated",
            Self::Silence => "silence",
            Self::NotHttp => "not_http",
        }
    }
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Request(Vec<u8>);

impl Request {
    /// A GET of this path. `headers`: lines with their CRLF.
    pub fn new(path: &str, headers: &str, address: SocketAddr, keep_alive: bool) -> Self {
        let mut text = format!("GET {path} HTTP/1.1\r\n{headers}");
        let has = |name: &str| headers.to_ascii_lowercase().lines().any(|line| line.starts_with(name));
        if !has("host:") {
            text.push_str(&format!("Host: {address}\r\n"));
        }
        if !has("user-agent:") {
            text.push_str(concat!("User-Agent: shutdown-probe/", env!("CARGO_PKG_VERSION"), "\r\n"));
        }
        if !keep_alive && !has("connection:") {
            text.push_str("Connection: close\r\n");
        }
        Self((text + "\r\n").into_bytes())
    }
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The client's port.
    pub port: u16,
    /// What the server calls itself, once it has answered.
    software: Option<String>,
}

/// A socket that has its port already, so that a refused attempt is known by it too.
pub struct Attempt {
    socket: TcpSocket,
    /// The client's port.
    pub port: u16,
}

impl Attempt {
    /// A socket of the server's family.
    ///
    /// # Errors
    /// As for socket(2) and bind(2).
    pub fn new(to: SocketAddr) -> io::Result<Self> {
        let (socket, any) = match to {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        socket.bind(any)?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port })
    }

    /// Connects.
    ///
    /// # Errors
    /// What the client saw instead of a connection.
    pub async fn connect(self, to: SocketAddr) -> Result<Connection, Seen> {
        let stream = self.socket.connect(to).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Seen::Refused,
            io::ErrorKind::TimedOut => Seen::Silence,
            _ => Seen::Reset,
        })?;
        // It only costs a little delay where the system does not know it.
        let _ = stream.set_nodelay(true);
        Ok(Connection { stream, port: self.port, software: None })
    }
}

impl Connection {
    /// Sends a request and reads its answer. `sent` is called once it is handed to the kernel.
    pub async fn ask(&mut self, request: &Request, sent: impl FnOnce()) -> Seen {
        let written = self.stream.write_all(&request.0).await;
        sent();
        if written.is_err() {
            return Seen::Reset;
        }
        self.read().await
    }

    async fn read(&mut self) -> Seen {
        let mut response = Response::default();
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer).await {
                Ok(0) => {
                    response.end();
                    self.software = response.software();
                    return concluded(&response).unwrap_or_else(|| lost(&response, Seen::Closed));
                }
                Ok(count) => {
                    response.feed(&buffer[..count]);
                    if let Some(seen) = concluded(&response) {
                        self.software = response.software();
                        return seen;
                    }
                }
                Err(_) => return lost(&response, Seen::Reset),
            }
        }
    }

    /// Ready when the server has closed the connection, or sends what nobody asked for.
    pub async fn closed(&self) {
        // Any answer means that it is of no more use.
        let _ = self.stream.peek(&mut [0]).await;
    }
}

fn concluded(response: &Response) -> Option<Seen> {
    if response.is_broken() {
        return Some(Seen::NotHttp);
    }
    let answered = Seen::Answered { status: response.status(), keep_alive: response.keeps_alive() };
    response.is_complete().then_some(answered)
}

fn lost(response: &Response, without_a_byte: Seen) -> Seen {
    match response.received() {
        0 => without_a_byte,
        bytes => Seen::Truncated { bytes },
    }
}

/// One request on a connection of its own, and what the server calls itself.
pub async fn exchange_once(address: SocketAddr, request: &Request) -> (Seen, Option<String>) {
    let Ok(attempt) = Attempt::new(address) else { return (Seen::Reset, None) };
    match attempt.connect(address).await {
        Ok(mut connection) => (connection.ask(request, || ()).await, connection.software),
        Err(seen) => (seen, None),
    }
}
