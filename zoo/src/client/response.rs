//! Counts the whole answers in what a server sends, and tells whether another has begun.

use super::http2::Frames;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 over cleartext TCP, with prior knowledge.
    Http2,
}

/// The answers on one connection.
#[derive(Debug)]
pub struct Responses {
    framing: Framing,
    complete: usize,
    says_close: bool,
}

#[derive(Debug)]
enum Framing {
    Http1(Vec<u8>),
    Http2(Frames),
    /// After `101 Switching Protocols` the bytes are none of HTTP's.
    Upgraded,
}

/// What stands at the beginning of the bytes.
enum Message {
    Incomplete,
    Whole { length: usize, status: u16, says_close: bool },
    UntilClose,
}

impl Responses {
    /// None yet.
    pub fn new(protocol: Protocol) -> Self {
        let framing = match protocol {
            Protocol::Http1 => Framing::Http1(Vec::new()),
            Protocol::Http2 => Framing::Http2(Frames::default()),
        };
        Self { framing, complete: 0, says_close: false }
    }

    /// Takes bytes from the server.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            Framing::Http1(buffer) => {
                buffer.extend(bytes);
                self.take_messages();
            }
            Framing::Http2(frames) => {
                frames.feed(bytes);
                self.complete = frames.streams_ended();
            }
            Framing::Upgraded => {}
        }
    }

    fn take_messages(&mut self) {
        while let Framing::Http1(buffer) = &mut self.framing
            && let Message::Whole { length, status, says_close } = first_message(buffer)
        {
            buffer.drain(..length);
            self.says_close |= says_close;
            // 1xx announce an answer, but for 101, which is one.
            if status >= 200 || status == 101 {
                self.complete += 1;
            }
            if status == 101 {
                self.framing = Framing::Upgraded;
            }
        }
    }

    /// The server's FIN is there: it ends an answer that is delimited by nothing else.
    pub fn end_of_stream(&mut self) {
        if let Framing::Http1(buffer) = &mut self.framing
            && matches!(first_message(buffer), Message::UntilClose)
        {
            buffer.clear();
            self.complete += 1;
        }
    }

    /// Bytes the protocol itself wants sent in reply: acknowledgements, never requests.
    pub fn take_owed(&mut self) -> Vec<u8> {
        match &mut self.framing {
            Framing::Http2(frames) => frames.take_owed(),
            Framing::Http1(_) | Framing::Upgraded => Vec::new(),
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

    /// How many PINGs of HTTP/2 have been acknowledged.
    pub fn pongs(&self) -> usize {
        match &self.framing {
            Framing::Http2(frames) => frames.pongs(),
            Framing::Http1(_) | Framing::Upgraded => 0,
        }
    }

    /// Whether bytes of a further answer are there.
    pub fn has_begun_another(&self) -> bool {
        match &self.framing {
            Framing::Http1(buffer) => !buffer.is_empty(),
            Framing::Http2(frames) => frames.has_open_answer(),
            Framing::Upgraded => false,
        }
    }
}

fn first_message(bytes: &[u8]) -> Message {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return Message::Incomplete };
    let status = head.code.unwrap_or(0);
    if status < 200 || status == 204 || status == 304 {
        return Message::Whole { length, status, says_close: false };
    }
    let value = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let says_close = value("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let body = &bytes[length..];
    if value("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return match chunked_length(body) {
            Some(body) => Message::Whole { length: length + body, status, says_close },
            None => Message::Incomplete,
        };
    }
    match value("Content-Length").and_then(|value| value.trim().parse::<usize>().ok()) {
        Some(body_length) if body.len() >= body_length => {
            Message::Whole { length: length + body_length, status, says_close }
        }
        Some(_) => Message::Incomplete,
        None => Message::UntilClose,
    }
}

/// The length of a chunked body, if all of it is there.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let mut position = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&body[position..])
        else {
            return None;
        };
        // A chunk's data ends with CRLF; after the last chunk, of size 0, that is the empty trailer.
        position += line + usize::try_from(size).ok()? + 2;
        if position > body.len() {
            return None;
        }
        if size == 0 {
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
    }
}
