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
const REPLY_PATIENCE: Duration = Duration::from_millis(500);
/// A TLS record of type alert or handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];
/// The beginning of a handshake that no server likes: TLS 1.2 with no cipher that exists.
const CLIENT_HELLO: &[u8] = &[
    0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0x00, 0x00, 0x02, 0xff,
    0xfe, 0x01, 0x00, 0x00, 0x00,
];

/// What a client of HTTP/2 begins with (RFC 9113, section 3.4): the preface, and a SETTINGS frame without settings.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of the frame that a server begins with, the fourth byte of its head.
const HTTP2_SETTINGS: u8 = 0x04;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// HTTP, with this status.
    Http(u16),
    /// A TLS record.
    Tls,
    /// A frame of HTTP/2.
    Http2,
    /// Something else, or nothing.
    No(Seen),
}

impl Answer {
    /// A protocol that will not turn into HTTP/1.1 by waiting.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Tls | Self::Http2 | Self::No(Seen::NotHttp))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "answers HTTP with status {status}"),
            Self::Tls => {
                f.write_str("speaks only TLS, which this check does not: give it a plain port (TLS is usually ended in front of it), or ask it with a load of your own (--load-command)")
            }
            Self::Http2 => f.write_str(
                "speaks only HTTP/2, which this check does not: ask it with a load of your own (--load-command)",
            ),
            Self::No(seen) => write!(f, "does not answer HTTP: {}", seen.in_words()),
        }
    }
}

/// Asks. What it calls itself comes with the answer.
pub async fn knock(address: SocketAddr, request: &Request) -> (Answer, Option<String>) {
    let Ok((seen, software)) = timeout(PATIENCE, exchange_once(address, request)).await else {
        return (Answer::No(Seen::Silence), None);
    };
    (understood(address, seen).await, software)
}

async fn understood(address: SocketAddr, seen: Seen) -> Answer {
    match seen {
        Seen::Answered { status, .. } => Answer::Http(status),
        Seen::Refused => Answer::No(Seen::Refused),
        // One that speaks both has answered the plain request.
        _ if reply(address, CLIENT_HELLO).await.is_some_and(|bytes| TLS_RECORDS.contains(&bytes[0])) => {
            Answer::Tls
        }
        _ if reply(address, HTTP2_PREFACE).await.is_some_and(|bytes| bytes[3] == HTTP2_SETTINGS) => {
            Answer::Http2
        }
        seen => Answer::No(seen),
    }
}

/// The first bytes that come back for these: as many as tell a TLS record or a frame of HTTP/2.
async fn reply(address: SocketAddr, bytes: &[u8]) -> Option<[u8; 5]> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(bytes).await.ok()?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply).await.ok()?;
        Some(reply)
    };
    timeout(REPLY_PATIENCE, ask).await.ok().flatten()
}
