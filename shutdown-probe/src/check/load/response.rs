//! Where an HTTP/1 response ends (RFC 9112, section 6): the one thing that a client must know to say whether it
//! got all of it.

/// The longest head that is taken, in bytes.
const HEAD_MOST: usize = 64 << 10;
const HEADERS_MOST: usize = 100;
/// The longest line that gives the size of a chunk, in bytes.
const CHUNK_LINE_MOST: usize = 4096;

/// A response as its bytes come in.
#[derive(Debug, Default)]
pub struct Response {
    state: State,
    received: u64,
    status: u16,
    keep_alive: bool,
    software: Option<String>,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    /// So many bytes are missing.
    Length(u64),
    Chunked(Chunk),
    /// The end of the connection ends it.
    UntilClose,
    Complete,
    Broken,
}

#[derive(Debug)]
enum Chunk {
    Size(Vec<u8>),
    /// The data, and the CRLF behind it.
    Data(u64),
    /// The lines behind the last chunk, of which the current one is so long.
    Trailer(usize),
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Response {
    /// Takes what came; what lies behind the end is left.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.received += bytes.len() as u64;
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            if taken == 0 {
                return;
            }
            bytes = &bytes[taken..];
        }
    }

    /// The server has closed the connection.
    pub fn end(&mut self) {
        if matches!(self.state, State::UntilClose) {
            self.state = State::Complete;
        }
    }

    /// Nothing of it is missing.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// It is no HTTP.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// How many bytes came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Its status; 0 before its head is complete.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What the server calls itself.
    pub fn software(&self) -> Option<String> {
        self.software.clone()
    }

    /// Whether the connection can be used again.
    pub fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Takes some of the bytes and says how many; none at its end.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.state {
            State::Head(_) => self.head(bytes),
            State::Length(missing) => {
                let taken = clamp(*missing, bytes.len());
                *missing -= taken as u64;
                if *missing == 0 {
                    self.state = State::Complete;
                }
                taken
            }
            State::Chunked(chunk) => {
                let (taken, next) = chunk.step(bytes);
                match next {
                    Next::Same => {}
                    Next::Chunk(next) => *chunk = next,
                    Next::Complete => self.state = State::Complete,
                    Next::Broken => self.state = State::Broken,
                }
                taken
            }
            State::UntilClose => bytes.len(),
            State::Complete | State::Broken => 0,
        }
    }

    fn head(&mut self, bytes: &[u8]) -> usize {
        let State::Head(head) = &mut self.state else { return 0 };
        let before = head.len();
        head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MOST];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) => {
                let body = body(&parsed);
                (self.status, self.keep_alive) =
                    (parsed.code.unwrap_or_default(), keeps_alive(&parsed, &body));
                self.software = software(&parsed);
                self.state = body;
                length.saturating_sub(before)
            }
            Ok(httparse::Status::Partial) if head.len() <= HEAD_MOST => bytes.len(),
            _ => {
                self.state = State::Broken;
                0
            }
        }
    }
}

fn clamp(missing: u64, available: usize) -> usize {
    usize::try_from(missing).unwrap_or(usize::MAX).min(available)
}

/// How the body ends. We ask with GET only: the request's method makes no difference.
fn body(head: &httparse::Response<'_, '_>) -> State {
    let status = head.code.unwrap_or_default();
    if (100..200).contains(&status) && status != 101 {
        // An interim response: the answer is yet to come.
        return State::Head(Vec::new());
    }
    if matches!(status, 204 | 304) {
        return State::Complete;
    }
    let last = |name: &str| {
        head.headers.iter().rev().find(|header| header.name.eq_ignore_ascii_case(name)).map(|it| it.value)
    };
    if let Some(coding) = last("transfer-encoding") {
        let coding = coding.to_ascii_lowercase();
        let is_chunked = coding.trim_ascii().ends_with(b"chunked");
        return if is_chunked { State::Chunked(Chunk::Size(Vec::new())) } else { State::UntilClose };
    }
    match last("content-length").map(|value| std::str::from_utf8(value).ok()?.trim().parse().ok()) {
        Some(Some(0)) => State::Complete,
        Some(Some(length)) => State::Length(length),
        Some(None) => State::Broken,
        None => State::UntilClose,
    }
}

fn keeps_alive(head: &httparse::Response<'_, '_>, body: &State) -> bool {
    let says = |word: &str| {
        let connection = head.headers.iter().filter(|it| it.name.eq_ignore_ascii_case("connection"));
        let mut tokens = connection.flat_map(|it| it.value.split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let by_default = head.version == Some(1);
    !matches!(body, State::UntilClose) && !says("close") && (by_default || says("keep-alive"))
}

fn software(head: &httparse::Response<'_, '_>) -> Option<String> {
    let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("server"))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}

enum Next {
    Same,
    Chunk(Chunk),
    Complete,
    Broken,
}

impl Chunk {
    fn step(&mut self, bytes: &[u8]) -> (usize, Next) {
        match self {
            Self::Size(line) => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    line.extend_from_slice(&bytes[..end]);
                    let next = match size(line) {
                        Some(0) => Next::Chunk(Self::Trailer(0)),
                        Some(size) => Next::Chunk(Self::Data(size.saturating_add(2))),
                        None => Next::Broken,
                    };
                    (end + 1, next)
                }
                None if line.len() + bytes.len() > CHUNK_LINE_MOST => (0, Next::Broken),
                None => {
                    line.extend_from_slice(bytes);
                    (bytes.len(), Next::Same)
                }
            },
            Self::Data(missing) => {
                let taken = clamp(*missing, bytes.len());
                *missing -= taken as u64;
                (taken, if *missing == 0 { Next::Chunk(Self::Size(Vec::new())) } else { Next::Same })
            }
            Self::Trailer(length) => {
                let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                    *length += bytes.iter().filter(|byte| **byte != b'\r').count();
                    return (bytes.len(), Next::Same);
                };
                let is_empty = *length == 0 && bytes[..end].iter().all(|byte| *byte == b'\r');
                (end + 1, if is_empty { Next::Complete } else { Next::Chunk(Self::Trailer(0)) })
            }
        }
    }
}

/// The size that a line such as `1a;name=value` gives.
fn size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    u64::from_str_radix(text.split(';').next()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bytes: &[u8], piece: usize) -> Response {
        let mut response = Response::default();
        bytes.chunks(piece).for_each(|piece| response.feed(piece));
        response
    }

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let whole: [&[u8]; 6] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
            b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDigest: x\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        ];
        for bytes in whole {
            for piece in [1, 2, 7, bytes.len()] {
                let response = fed(bytes, piece);
                assert!(response.is_complete(), "{:?} by {piece}", String::from_utf8_lossy(bytes));
                assert!(response.keeps_alive());
            }
            for cut in 0..bytes.len() {
                let mut response = fed(&bytes[..cut], 5);
                response.end();
                assert!(!response.is_complete(), "{cut} of {:?}", String::from_utf8_lossy(bytes));
            }
        }
    }

    #[test]
    fn a_close_ends_what_has_no_length() {
        let mut response = fed(b"HTTP/1.0 200 OK\r\n\r\nbody", 3);
        assert!(!response.is_complete() && !response.keeps_alive());
        response.end();
        assert!(response.is_complete());
    }

    #[test]
    fn the_connection_header_is_a_list() {
        let response = fed(b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n", 99);
        assert!(response.is_complete() && !response.keeps_alive());
        let old = fed(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 99);
        assert!(old.keeps_alive());
    }

    #[test]
    fn what_is_no_http_is_broken() {
        let wrong: [&[u8]; 4] = [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &[0x15, 0x03, 0x01],
        ];
        for bytes in wrong {
            assert!(fed(bytes, 4).is_broken(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
