//! What a client saw of its connection: the truth.

use super::response::Unfinished;
use std::time::Instant;

/// How a connection ended, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed: FIN.
    Fin,
    /// The server reset.
    Reset,
    /// The attempt to connect was reset.
    Refused,
    /// Nobody answered the attempt to connect, or there was no way.
    Unreachable,
    /// The client closed first, by FIN.
    Left,
    /// The client gave up first, by RST.
    Aborted,
}

/// Everything that one client saw.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The client's own port, which names the connection. 0: it never tried.
    pub port: u16,
    /// When it sent its SYN.
    pub started: Option<Instant>,
    /// When the handshake was complete.
    pub connected: Option<Instant>,
    /// Whether a TLS handshake is over.
    pub secured: bool,
    /// Whole requests handed to the kernel.
    pub requests: usize,
    /// Whether some bytes of a request went out that is not whole.
    pub half_sent: bool,
    /// Bytes handed to the kernel.
    pub bytes_sent: usize,
    /// Whether a request was sent after the server's FIN had arrived, unseen.
    pub crossed_fin: bool,
    /// Whole answers received. 1xx are none.
    pub answered: usize,
    /// When the last whole answer was there.
    pub last_answer: Option<Instant>,
    /// Whether another answer had begun.
    pub answer_begun: bool,
    /// That answer, where it is one of HTTP/1.
    pub unfinished: Option<Unfinished>,
    /// Whether the last answer was whole only because the server closed.
    pub ended_by_close: bool,
    /// Streams of HTTP/2 that the client has reset.
    pub cancelled: usize,
    /// Streams of HTTP/2 that the server has reset.
    pub rejected: usize,
    /// Streams of HTTP/2 that the server has said, by its GOAWAY, it does not take.
    pub refused: usize,
    /// When it reset one last.
    pub last_rejection: Option<Instant>,
    /// Whether what has arrived ends in the middle of a record of TLS.
    pub cut_record: bool,
    /// PINGs of HTTP/2 that the server has acknowledged.
    pub pongs: usize,
    /// Bytes received since the connection was upgraded.
    pub bytes_upgraded: usize,
    /// Whether bytes were seen to lie there unread, while it was looking away.
    pub arrived: bool,
    /// Whether the server's FIN or RST has arrived, read or not.
    pub fin_noticed: bool,
    /// Whether the client closed its own direction and went on listening.
    pub half_closed: bool,
    /// Whether the client may close at the very moment when the server does, as one does that is told
    /// to go away.
    pub leaves_politely: bool,
    /// How it ended. `None`: it was open to the last.
    pub end: Option<(Instant, End)>,
}

impl Record {
    /// Requests without a whole answer, and not taken back or refused either.
    pub fn outstanding(&self) -> usize {
        self.requests.saturating_sub(self.answered + self.cancelled + self.rejected)
    }
}
