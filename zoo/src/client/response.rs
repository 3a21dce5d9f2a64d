//! Counts the whole answers in what a server sends, and tells whether another has begun.

use super::http2::Frames;
use super::session::{Ask, Session};
use anyhow::{Result, bail};
use std::collections::VecDeque;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 as a library speaks it, with prior knowledge or by ALPN.
    Http2,
    /// HTTP/2 whose every frame the script writes out.
    Frames,
    /// A question a line, an answer a line.
    Lines,
}

/// An answer that has begun and is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// How much of it is there, head and body, in bytes.
    pub received: usize,
    /// How much it says that there will be, where it does.
    pub expected: Option<usize>,
}

/// The answers on one connection.
#[derive(Debug)]
pub struct Responses {
    framing: Framing,
    complete: usize,
    says_close: bool,
    ended_by_close: bool,
}

#[derive(Debug)]
enum Framing {
    Http1(Messages),
    Http2(Box<Session>),
    /// HTTP/2 before there is a connection.
    Unbegun,
    Frames(Frames),
    Lines(Vec<u8>),
    /// After `101 Switching Protocols` the bytes, so many, are none of HTTP's.
    Upgraded(usize),
}

/// Bytes of HTTP/1 that make no whole answer yet.
#[derive(Debug, Default)]
struct Messages {
    bytes: Vec<u8>,
    /// Which of the requests without an answer are HEAD.
    heads: VecDeque<bool>,
}

impl Messages {
    fn first(&self) -> Message {
        first_message(&self.bytes, self.heads.front() == Some(&true))
    }
}

/// What stands at the beginning of the bytes.
#[derive(Debug, PartialEq)]
enum Message {
    Incomplete { expected: Option<usize> },
    Whole { length: usize, status: u16, says_close: bool },
    UntilClose,
}

impl Responses {
    /// None yet.
    pub fn new(protocol: Protocol) -> Self {
        let framing = match protocol {
            Protocol::Http1 => Framing::Http1(Messages::default()),
            Protocol::Http2 => Framing::Unbegun,
            Protocol::Frames => Framing::Frames(Frames::default()),
            Protocol::Lines => Framing::Lines(Vec::new()),
        };
        Self { framing, complete: 0, says_close: false, ended_by_close: false }
    }

    /// The connection is about to be made.
    pub fn begin(&mut self) -> Result<()> {
        if matches!(self.framing, Framing::Unbegun) {
            self.framing = Framing::Http2(Box::new(Session::new()?));
        }
        Ok(())
    }

    /// Takes bytes from the server.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            Framing::Http1(messages) => {
                messages.bytes.extend(bytes);
                self.take_messages();
            }
            Framing::Http2(session) => {
                session.receive(bytes);
                self.complete = session.answered();
            }
            Framing::Frames(frames) => {
                frames.feed(bytes);
                self.complete = frames.streams_ended();
            }
            Framing::Lines(line) => {
                line.extend(bytes);
                if let Some(end) = line.iter().rposition(|byte| *byte == b'\n') {
                    self.complete += line.drain(..=end).filter(|byte| *byte == b'\n').count();
                }
            }
            Framing::Upgraded(count) => *count += bytes.len(),
            Framing::Unbegun => {}
        }
    }

    fn take_messages(&mut self) {
        while let Framing::Http1(messages) = &mut self.framing
            && let Message::Whole { length, status, says_close } = messages.first()
        {
            messages.bytes.drain(..length);
            self.says_close |= says_close;
            // 1xx announce an answer, but for 101, which is one.
            if status >= 200 || status == 101 {
                messages.heads.pop_front();
                self.complete += 1;
            }
            if status == 101 {
                self.framing = Framing::Upgraded(messages.bytes.len());
            }
        }
    }

    /// The server's FIN is there: it ends an answer that is delimited by nothing else.
    pub fn end_of_stream(&mut self) {
        if let Framing::Http1(messages) = &mut self.framing
            && matches!(messages.first(), Message::UntilClose)
        {
            messages.bytes.clear();
            self.complete += 1;
            self.ended_by_close = true;
        }
    }

    /// So many requests are on their way, of which these are the bytes.
    pub fn expect(&mut self, bytes: &[u8], requests: usize) {
        match &mut self.framing {
            Framing::Http1(messages) => {
                messages.heads.extend(std::iter::repeat_n(bytes.starts_with(b"HEAD "), requests));
            }
            Framing::Frames(frames) => frames.send(bytes),
            _ => {}
        }
    }

    /// Opens a stream of HTTP/2.
    pub fn ask(&mut self, ask: &Ask) -> Result<()> {
        match &mut self.framing {
            Framing::Http2(session) => session.ask(ask),
            _ => bail!("a stream is wanted where there are none"),
        }
    }

    /// Resets a stream of HTTP/2.
    pub fn cancel(&mut self, stream: usize) {
        if let Framing::Http2(session) = &mut self.framing {
            session.cancel(stream);
        }
    }

    /// Bytes the protocol itself wants sent: of requests that were asked for, or acknowledgements.
    pub fn take_owed(&mut self) -> Vec<u8> {
        match &mut self.framing {
            Framing::Http2(session) => session.take_output(),
            Framing::Frames(frames) => frames.take_owed(),
            _ => Vec::new(),
        }
    }

    /// How many answers are whole.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// Whether some answer said that it is the last.
    pub fn says_close(&self) -> bool {
        self.says_close
    }

    /// Whether the last answer was whole only because nothing came after it.
    pub fn ended_by_close(&self) -> bool {
        self.ended_by_close
    }

    /// Bytes that came after the connection was upgraded.
    pub fn bytes_upgraded(&self) -> usize {
        match &self.framing {
            Framing::Upgraded(count) => *count,
            _ => 0,
        }
    }

    /// How many PINGs of HTTP/2 have been acknowledged.
    pub fn pongs(&self) -> usize {
        match &self.framing {
            Framing::Frames(frames) => frames.pongs(),
            _ => 0,
        }
    }

    /// Streams of HTTP/2 that the client has reset, and that the server has.
    pub fn resets(&self) -> (usize, usize) {
        match &self.framing {
            Framing::Http2(session) => (session.cancelled(), session.rejected()),
            Framing::Frames(frames) => (0, frames.streams_reset()),
            _ => (0, 0),
        }
    }

    /// Streams of HTTP/2 that the server has said it does not take.
    pub fn refused(&self) -> usize {
        match &self.framing {
            Framing::Frames(frames) => frames.streams_refused(),
            _ => 0,
        }
    }

    /// Whether bytes of a further answer are there.
    pub fn has_begun_another(&self) -> bool {
        match &self.framing {
            Framing::Http1(messages) => !messages.bytes.is_empty(),
            Framing::Http2(session) => session.begun() > 0,
            Framing::Frames(frames) => frames.has_open_answer(),
            Framing::Lines(line) => !line.is_empty(),
            Framing::Upgraded(_) | Framing::Unbegun => false,
        }
    }

    /// The answer of HTTP/1 that has begun and is not whole.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let Framing::Http1(messages) = &self.framing else { return None };
        let expected = match messages.first() {
            Message::Incomplete { expected } => expected,
            _ => None,
        };
        let received = messages.bytes.len();
        (received > 0).then_some(Unfinished { received, expected })
    }
}

fn first_message(bytes: &[u8], to_head: bool) -> Message {
    const UNKNOWN: Message = Message::Incomplete { expected: None };
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return UNKNOWN };
    let status = head.code.unwrap_or(0);
    if status < 200 {
        return Message::Whole { length, status, says_close: false };
    }
    let value = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let says_close = value("Connection").is_some_and(|value| value.trim().eq_ignore_ascii_case("close"));
    if status == 204 || status == 304 || to_head {
        return Message::Whole { length, status, says_close };
    }
    let body = &bytes[length..];
    if value("Transfer-Encoding").is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked")) {
        return match chunked_length(body) {
            Some(body) => Message::Whole { length: length + body, status, says_close },
            None => UNKNOWN,
        };
    }
    match value("Content-Length").and_then(|value| value.trim().parse::<usize>().ok()) {
        Some(body_length) if body.len() >= body_length => {
            Message::Whole { length: length + body_length, status, says_close }
        }
        Some(body_length) => Message::Incomplete { expected: length.checked_add(body_length) },
        None => Message::UntilClose,
    }
}

/// The length of a chunked body, trailers included, if all of it is there.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let mut position = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(body.get(position..)?)
        else {
            return None;
        };
        position += line;
        if size == 0 {
            return Some(position + trailers_length(&body[position..])?);
        }
        // A chunk's data ends with CRLF.
        position = position.checked_add(usize::try_from(size).ok()?)?.checked_add(2)?;
    }
}

/// The length of the lines up to the empty one, which it includes.
fn trailers_length(bytes: &[u8]) -> Option<usize> {
    let mut position = 0;
    loop {
        let line = bytes[position..].windows(2).position(|pair| pair == b"\r\n")?;
        position += line + 2;
        if line == 0 {
            return Some(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(bytes: &[u8]) -> (usize, bool) {
        let mut responses = Responses::new(Protocol::Http1);
        for byte in bytes {
            responses.feed(std::slice::from_ref(byte));
        }
        (responses.complete(), responses.has_begun_another())
    }

    #[test]
    fn an_unfinished_answer_says_how_long_it_is() {
        let mut responses = Responses::new(Protocol::Http1);
        responses.feed(b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: \t9 \r\n\r\nok");
        assert_eq!(responses.unfinished(), Some(Unfinished { received: 42, expected: Some(49) }));
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let mut responses = Responses::new(Protocol::Http1);
        responses.expect(b"HEAD / HTTP/1.1\r\n\r\n", 1);
        responses.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        assert_eq!((responses.complete(), responses.unfinished()), (1, None));
    }

    #[test]
    fn a_line_is_an_answer() {
        let mut responses = Responses::new(Protocol::Lines);
        responses.feed(b"+OK\r\n+O");
        assert_eq!((responses.complete(), responses.has_begun_another()), (1, true));
    }

    #[test]
    fn content_length_is_obeyed() {
        assert_eq!(after(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), (1, false));
        assert_eq!(after(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), (0, true));
        assert_eq!(after(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTT"), (1, true));
    }

    #[test]
    fn a_chunked_body_ends_with_its_last_chunk() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        assert_eq!(after(&[&head[..], b"3\r\nabc\r\n"].concat()), (0, true));
        assert_eq!(after(&[&head[..], b"3\r\nabc\r\n0\r\n\r\n"].concat()), (1, false));
        let trailers = [&head[..], b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"].concat();
        assert_eq!(after(&trailers), (1, false));
        assert_eq!(after(&trailers[..trailers.len() - 2]), (0, true));
    }

    #[test]
    fn interim_answers_are_none() {
        assert_eq!(after(b"HTTP/1.1 100 Continue\r\n\r\n"), (0, false));
        assert_eq!(after(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw"), (1, false));
    }

    #[test]
    fn an_answer_without_length_ends_with_the_stream() {
        let mut responses = Responses::new(Protocol::Http1);
        responses.feed(b"HTTP/1.0 200 OK\r\n\r\nwhatever");
        assert_eq!((responses.complete(), responses.has_begun_another()), (0, true));
        responses.end_of_stream();
        assert_eq!((responses.complete(), responses.has_begun_another()), (1, false));
        assert!(responses.ended_by_close());
    }
}
