//! As much of HTTP/2 (RFC 9113) as a client needs to ask and to count the answers. Header blocks are
//! sent as literals and never looked into.

/// What a client sends first: the preface and its SETTINGS, which are empty.
pub fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// A GET request on this stream (odd, ever greater).
pub fn request(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block("GET", path))
}

/// Two GET requests on streams 1 and 3, the second in as few bytes as clients need for what they repeat (RFC 7541).
pub fn short_requests(paths: [&str; 2]) -> [Vec<u8>; 2] {
    // `:method: GET` and `:scheme: http` of the static table; the authority goes into the dynamic one.
    let authority = [&[0x41, 3][..], b"zoo"].concat();
    let fields = [(1, &authority[..], paths[0]), (3, &[0xbe], paths[1])];
    fields.map(|(stream, authority, path)| {
        let block = [&[0x82, 0x86], authority, &[0x04, path.len() as u8], path.as_bytes()].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
    })
}

/// A request, its header block cut into pieces of so many bytes: HEADERS and CONTINUATION.
pub fn continued_request(stream: u32, path: &str, piece: usize) -> Vec<u8> {
    let block = block("GET", path);
    let pieces = block.chunks(piece).enumerate().map(|(number, part)| {
        let last = if (number + 1) * piece >= block.len() { END_HEADERS } else { 0 };
        match number {
            0 => frame(HEADERS, END_STREAM | last, stream, part),
            _ => frame(CONTINUATION, last, stream, part),
        }
    });
    pieces.flatten().collect()
}

/// The same with a priority, and padding of so many bytes.
pub fn padded_request(stream: u32, path: &str, padding: u8) -> Vec<u8> {
    let mut payload = vec![padding];
    payload.extend(PRIORITY_FIELDS);
    payload.extend(block("GET", path));
    payload.resize(payload.len() + usize::from(padding), 0);
    frame(HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, stream, &payload)
}

/// A POST request whose padded body is ended by an empty frame.
pub fn padded_post(stream: u32, path: &str, padding: u8) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &block("POST", path));
    let mut payload = vec![padding];
    payload.extend(b"body");
    payload.resize(payload.len() + usize::from(padding), 0);
    bytes.extend(frame(DATA, PADDED, stream, &payload));
    bytes.extend(frame(DATA, END_STREAM, stream, &[]));
    bytes
}

/// A PRIORITY frame for this stream, which may be idle.
pub fn priority(stream: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &PRIORITY_FIELDS)
}

/// A frame of a type that nobody knows, which everybody has to ignore.
pub fn unknown_frame() -> Vec<u8> {
    frame(0xfa, 0xff, 0, b"whatever")
}

/// A frame's head alone, of any type and length.
pub fn frame_head(kind: u8, stream: u32, length: u32) -> Vec<u8> {
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, 0]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

fn block(method: &str, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [(":method", method), (":scheme", "http"), (":authority", "zoo"), (":path", path)] {
        // RFC 7541, 6.2.2: literal without indexing, new name; both strings shorter than 127 and plain.
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A PING, which the server has to acknowledge.
pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

/// A WINDOW_UPDATE of the connection, which nobody acknowledges.
pub fn window_update() -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())
}

/// The widest windows there are: SETTINGS_INITIAL_WINDOW_SIZE, and a WINDOW_UPDATE of the connection.
pub fn wide_windows() -> Vec<u8> {
    const WIDEST: u32 = u32::MAX >> 1;
    let setting = [&4_u16.to_be_bytes()[..], &WIDEST.to_be_bytes()].concat();
    let more = (WIDEST - 65_535).to_be_bytes();
    [frame(SETTINGS, 0, 0, &setting), frame(WINDOW_UPDATE, 0, 0, &more)].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;
/// RFC 9113, 6.3: depends on stream 0, not exclusively, weight 16.
const PRIORITY_FIELDS: [u8; 5] = [0, 0, 0, 0, 15];
const HEADER_LENGTH: usize = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The frames that a server sends.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    owed: Vec<u8>,
    begun: Vec<u32>,
    ended: usize,
    reset: usize,
    /// The streams that were asked for in whole frames.
    asked: Vec<u32>,
    /// The last stream that the server takes, once it has said so.
    last: Option<u32>,
    pongs: usize,
}

impl Frames {
    /// Takes bytes from the server.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        while let Some(length) = self.first_frame() {
            let frame: Vec<u8> = self.buffer.drain(..length).collect();
            self.take(&frame);
        }
    }

    fn first_frame(&self) -> Option<usize> {
        let head = self.buffer.get(..HEADER_LENGTH)?;
        let payload = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        (self.buffer.len() >= HEADER_LENGTH + payload).then_some(HEADER_LENGTH + payload)
    }

    fn take(&mut self, bytes: &[u8]) {
        let (kind, flags) = (bytes[3], bytes[4]);
        let stream = u32::from_be_bytes([bytes[5] & 0x7f, bytes[6], bytes[7], bytes[8]]);
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => {
                self.begun.retain(|open| *open != stream);
                self.ended += 1;
            }
            DATA | HEADERS if !self.begun.contains(&stream) => self.begun.push(stream),
            RST_STREAM => {
                self.begun.retain(|open| *open != stream);
                self.reset += 1;
            }
            SETTINGS if flags & ACK == 0 => self.owed.extend(frame(SETTINGS, ACK, 0, &[])),
            GOAWAY => {
                let last =
                    bytes[HEADER_LENGTH..].first_chunk().map(|id| u32::from_be_bytes(*id) & 0x7fff_ffff);
                self.last = last.or(self.last);
            }
            PING if flags & ACK != 0 => self.pongs += 1,
            PING => self.owed.extend(frame(PING, ACK, 0, &bytes[HEADER_LENGTH..])),
            _ => {}
        }
    }

    /// How many answers are whole.
    pub fn streams_ended(&self) -> usize {
        self.ended
    }

    /// Whole frames are on their way to the server.
    pub fn send(&mut self, bytes: &[u8]) {
        let [_, _, _, HEADERS, _, id @ ..] = bytes else { return };
        self.asked.extend(id.first_chunk().map(|id| u32::from_be_bytes(*id)));
    }

    /// How many streams were asked for that the server has said it does not take.
    pub fn streams_refused(&self) -> usize {
        self.asked.iter().filter(|id| self.last.is_some_and(|last| **id > last)).count()
    }

    /// How many streams the server has reset.
    pub fn streams_reset(&self) -> usize {
        self.reset
    }

    /// How many PINGs have been acknowledged.
    pub fn pongs(&self) -> usize {
        self.pongs
    }

    /// Whether some answer has begun and not ended.
    pub fn has_open_answer(&self) -> bool {
        !self.begun.is_empty()
    }

    /// The acknowledgements to send.
    pub fn take_owed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_at_the_end_of_its_stream() {
        let mut frames = Frames::default();
        frames.feed(&frame(SETTINGS, 0, 0, &[]));
        assert_eq!(frames.take_owed(), frame(SETTINGS, ACK, 0, &[]));
        let headers = frame(HEADERS, END_HEADERS, 1, b"x");
        frames.feed(&headers[..5]);
        frames.feed(&headers[5..]);
        assert_eq!((frames.streams_ended(), frames.has_open_answer()), (0, true));
        frames.feed(&frame(DATA, END_STREAM, 1, b"ok"));
        assert_eq!((frames.streams_ended(), frames.has_open_answer()), (1, false));
    }

    #[test]
    fn what_is_above_the_last_stream_is_refused() {
        let mut frames = Frames::default();
        frames.send(&request(1, "/"));
        frames.send(&ping());
        frames.feed(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        frames.send(&request(3, "/"));
        assert_eq!(frames.streams_refused(), 1);
    }
}
