//! One request to find out what speaks on a port.

use crate::check::load::{Request, Seen, exchange_once};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a fresh service may take for an answer before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
const TLS_PATIENCE: Duration = Duration::from_millis(500);
/// A TLS record of type alert or handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];
/// The beginning of a handshake that no server likes: TLS 1.2 with no cipher that exists.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0x00, 0x00, 0x02, 0xff,
    0xfe, 0x01, 0x00, 0x00, 0x00,
];

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// HTTP, with this status.
    Http(u16),
    /// A TLS record.
    Tls,
    /// Something else, or nothing.
    No(Seen),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "answers HTTP with status {status}"),
            Self::Tls => {
                f.write_str("speaks only TLS, which this check does not: give it a plain port (TLS is usually ended in front of it)")
            }
            Self::No(seen) => write!(f, "does not answer HTTP: {}", seen.in_words()),
        }
    }
}

/// Asks.
pub async fn knock(address: SocketAddr, request: &Request) -> Answer {
    match timeout(PATIENCE, exchange_once(address, request)).await {
        Ok(Seen::Answered { status, .. }) => Answer::Http(status),
        Ok(Seen::Refused) => Answer::No(Seen::Refused),
        // One that speaks both has answered the plain request.
        Ok(_) if speaks_tls(address).await => Answer::Tls,
        Ok(seen) => Answer::No(seen),
        Err(_) => Answer::No(Seen::Silence),
    }
}

async fn speaks_tls(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(CLIENT_HELLO).await.ok()?;
        stream.read_u8().await.ok()
    };
    timeout(TLS_PATIENCE, ask).await.ok().flatten().is_some_and(|first| TLS_RECORDS.contains(&first))
}
