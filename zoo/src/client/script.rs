//! What a client is to do, step by step.

use super::record::Record;
use super::response::Protocol;
use super::session::Ask;
use std::time::{Duration, Instant};

/// When a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// So long after the server's stop signal, or SIGKILL if it gets none.
    AfterStop(Duration),
    /// So long after the container's last process has exited.
    AfterExit(Duration),
    /// As soon as the server's log says this.
    AfterLine(&'static str),
}

/// One step of a script. A step that cannot be taken yet holds up those behind it.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Sends one or more whole requests.
    Request(Vec<u8>, usize),
    /// Sends the beginning of a request.
    Half(Vec<u8>),
    /// Opens a stream of HTTP/2, by the library.
    Ask(Ask),
    /// Resets the stream of this number, the first being 0.
    Cancel(usize),
    /// Sends words of the protocol that are no request and want no answer of a server's application.
    Control(Vec<u8>),
    /// Waits until every request has its answer.
    AwaitAnswers,
    /// Waits until the server's FIN is there, without reading it: looks away until told to look back.
    AwaitFin,
    /// Waits until bytes are there to be read, without reading them, looking away.
    AwaitArrival,
    /// Waits until the server has acknowledged a PING of HTTP/2.
    AwaitPong,
    /// Waits until the TLS handshake is over.
    AwaitSecurity,
    /// Waits so long.
    Wait(Duration),
    /// Waits until then.
    WaitUntil(Instant),
    /// Stops reading.
    LookAway,
    /// Reads again.
    LookBack,
    /// Reads at most so many of the bytes that are there, looking away or not.
    Glance(usize),
    /// Closes its own direction only.
    HalfClose,
    /// Closes: FIN.
    Leave,
    /// Gives up: RST.
    Abort,
}

/// A whole script.
#[derive(Clone, Debug)]
pub struct Script {
    /// When it begins.
    pub start: Start,
    /// What is spoken.
    pub protocol: Protocol,
    /// What is done.
    pub steps: Vec<Step>,
    /// Whether the client breaks the protocol: then nobody can say what it is owed.
    pub hostile: bool,
}

impl Script {
    /// HTTP/1, begun at once.
    pub fn now(steps: Vec<Step>) -> Self {
        Self::speaking(Protocol::Http1, steps)
    }

    /// HTTP/1, begun later.
    pub fn at(start: Start, steps: Vec<Step>) -> Self {
        Self { start, ..Self::now(steps) }
    }

    /// HTTP/2 by the library, begun at once.
    pub fn http2(steps: Vec<Step>) -> Self {
        Self::speaking(Protocol::Http2, steps)
    }

    /// HTTP/2 frame by frame, begun at once.
    pub fn frames(steps: Vec<Step>) -> Self {
        Self::speaking(Protocol::Frames, steps)
    }

    /// Lines, begun at once.
    pub fn lines(steps: Vec<Step>) -> Self {
        Self::speaking(Protocol::Lines, steps)
    }

    /// Bytes that break HTTP, begun at once.
    pub fn hostile(steps: Vec<Step>) -> Self {
        Self { hostile: true, ..Self::now(steps) }
    }

    fn speaking(protocol: Protocol, steps: Vec<Step>) -> Self {
        Self { start: Start::Now, protocol, steps, hostile: false }
    }
}

/// A GET request on a connection that is to be kept alive.
pub fn get(path: &str) -> Step {
    get_with(path, "")
}

/// A GET request with more header lines, each ended by CRLF.
pub fn get_with(path: &str, headers: &str) -> Step {
    Step::Request(format!("GET {path} HTTP/1.1\r\nHost: zoo\r\n{headers}\r\n").into_bytes(), 1)
}

/// Sends one request byte by byte, each in a packet of its own.
pub fn bytewise(request: &[u8]) -> Vec<Step> {
    let Some((last, rest)) = request.split_last() else { return Vec::new() };
    let pieces = rest.iter().map(|byte| Step::Control(vec![*byte]));
    pieces.chain([Step::Request(vec![*last], 1)]).collect()
}

/// What taking a step means.
pub(super) enum Playing {
    /// It cannot be taken yet.
    Later,
    /// There was nothing to do.
    Done,
    /// Bytes go out.
    Send {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many whole requests they make.
        requests: usize,
        /// Whether they begin one more.
        half: bool,
    },
    /// A stream is opened.
    Ask(Ask),
    /// A stream is reset.
    Cancel(usize),
    /// The client stops reading, or reads again.
    LookAway(bool),
    /// It reads so many bytes.
    Glance(usize),
    /// This step stands in its place.
    Replace(Step),
    /// Its own direction is closed.
    HalfClose,
    /// It closes.
    Leave,
    /// It resets.
    Abort,
}

/// What becomes of a step now. `flushed`: all bytes of earlier steps are with the kernel.
pub(super) fn play(step: &Step, now: Instant, record: &Record, flushed: bool) -> Playing {
    match step {
        Step::Request(bytes, requests) => {
            Playing::Send { bytes: bytes.clone(), requests: *requests, half: false }
        }
        Step::Half(bytes) => Playing::Send { bytes: bytes.clone(), requests: 0, half: true },
        Step::Ask(ask) => Playing::Ask(ask.clone()),
        Step::Cancel(stream) => Playing::Cancel(*stream),
        Step::Control(bytes) => Playing::Send { bytes: bytes.clone(), requests: 0, half: false },
        Step::AwaitAnswers => later_unless(record.outstanding() == 0),
        Step::AwaitFin => later_unless(record.fin_noticed),
        Step::AwaitArrival => later_unless(record.arrived),
        Step::AwaitPong => later_unless(record.pongs > 0),
        Step::AwaitSecurity => later_unless(record.secured),
        Step::Wait(time) => Playing::Replace(Step::WaitUntil(now + *time)),
        Step::WaitUntil(at) => later_unless(now >= *at),
        Step::LookAway => Playing::LookAway(true),
        Step::LookBack => Playing::LookAway(false),
        Step::Glance(most) => Playing::Glance(*most),
        // What was sent before goes first.
        Step::HalfClose | Step::Leave | Step::Abort if !flushed => Playing::Later,
        Step::HalfClose => Playing::HalfClose,
        Step::Leave => Playing::Leave,
        Step::Abort => Playing::Abort,
    }
}

fn later_unless(reached: bool) -> Playing {
    if reached { Playing::Done } else { Playing::Later }
}
