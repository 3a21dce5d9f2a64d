//! HTTP/2: what is in hand after so many frames of each direction.

use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed, framing_flag, protocol};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A connection, fed whole and byte by byte.
struct Talk {
    whole: Framing,
    bytewise: Framing,
}

impl Talk {
    fn fresh() -> Self {
        let mut framing = Framing::default();
        framing.begin(1, 2, false);
        Self { whole: framing, bytewise: framing }
    }

    fn begun() -> Self {
        let mut talk = Self::fresh();
        talk.feed(Inbound, PREFACE);
        talk.say(Inbound, SETTINGS, 0, 0, &[0; 12]);
        talk.say(Outbound, SETTINGS, 0, 0, &[]);
        talk
    }

    fn feed(&mut self, direction: Direction, bytes: &[u8]) {
        feed(&mut self.whole, direction, bytes);
        for byte in bytes {
            feed(&mut self.bytewise, direction, &[*byte]);
        }
    }

    fn say(&mut self, direction: Direction, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.feed(direction, &frame(kind, flags, stream, payload));
    }

    fn framed(&self) -> Framed {
        assert_eq!(self.whole.is_followed(), self.bytewise.is_followed());
        if self.whole.is_followed() {
            assert_eq!(self.whole, self.bytewise, "fed whole and byte by byte");
        }
        let mut framed = Framed::default();
        self.whole.frame(&mut framed);
        framed
    }

    #[track_caller]
    fn expect(&self, hand: Hand, streams: u32) -> Framed {
        let framed = self.framed();
        assert_eq!((framed.hand, framed.streams), (hand as u8, streams), "{framed:?}");
        framed
    }
}

#[test]
fn control_frames_are_no_requests() {
    let mut talk = Talk::begun();
    assert_eq!(talk.expect(Hand::Nothing, 0).protocol, protocol::HTTP2);
    for (kind, stream, payload) in [
        (SETTINGS, 0, &[][..]),
        (PING, 0, &[0; 8]),
        (WINDOW_UPDATE, 0, &[0, 0, 1, 0]),
        (WINDOW_UPDATE, 1, &[0, 0, 1, 0]),
        (PRIORITY, 3, &[0; 5]),
        (GOAWAY, 0, &[0; 8]),
        (0xbe, 7, &[1; 300]),
    ] {
        talk.say(Inbound, kind, 0, stream, payload);
        talk.say(
            Outbound,
            if kind == GOAWAY { PING } else { kind },
            0,
            stream & !1,
            &payload[..payload.len().min(8)],
        );
        talk.expect(Hand::Nothing, 0);
    }
}

#[test]
fn a_stream_is_in_hand_from_the_end_of_its_headers_to_the_end_of_its_answer() {
    let mut talk = Talk::begun();
    let headers = frame(HEADERS, END | 4, 1, &[0; 20]);
    talk.feed(Inbound, &headers[..12]);
    talk.expect(Hand::HalfRequest, 0);
    talk.feed(Inbound, &headers[12..]);
    talk.expect(Hand::Request, 1);
    talk.say(Outbound, HEADERS, 4, 1, &[0; 10]);
    talk.expect(Hand::Answer, 1);
    let data = frame(DATA, END, 1, &[0; 10]);
    talk.feed(Outbound, &data[..data.len() - 1]);
    talk.expect(Hand::Answer, 1);
    talk.feed(Outbound, &data[data.len() - 1..]);
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn headers_alone_can_be_a_whole_answer_and_trailers_end_one() {
    let mut talk = Talk::begun();
    talk.say(Inbound, HEADERS, END | 4, 1, &[0; 20]);
    talk.say(Outbound, HEADERS, END | 4, 1, &[0; 20]);
    talk.expect(Hand::Nothing, 0);
    talk.say(Inbound, HEADERS, 4, 3, &[0; 20]);
    talk.say(Inbound, DATA, 0, 3, &[0; 20]);
    // The client's own trailers open nothing.
    talk.say(Inbound, HEADERS, END | 4, 3, &[0; 20]);
    talk.say(Outbound, HEADERS, 4, 3, &[0; 20]);
    talk.say(Outbound, DATA, 0, 3, &[0; 20]);
    talk.expect(Hand::Answer, 1);
    talk.say(Outbound, HEADERS, END, 3, &[0; 20]);
    talk.say(Outbound, CONTINUATION, 4, 3, &[0; 20]);
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn streams_end_in_any_order() {
    let mut talk = Talk::begun();
    for stream in [1, 3, 5, 9, 11] {
        talk.say(Inbound, HEADERS, END | 4, stream, b"x");
    }
    talk.expect(Hand::Request, 5);
    talk.say(Outbound, DATA, 0, 5, b"x");
    talk.expect(Hand::Answer, 5);
    talk.say(Outbound, DATA, END, 5, b"");
    talk.expect(Hand::Request, 4);
    for (count, stream) in [(3, 11), (2, 1), (1, 3), (0, 9)] {
        talk.say(Outbound, HEADERS, END, stream, b"x");
        talk.expect(if count == 0 { Hand::Nothing } else { Hand::Request }, count);
    }
    // Said twice, it ends nothing else.
    talk.say(Inbound, HEADERS, END | 4, 13, b"x");
    talk.say(Outbound, DATA, END, 9, b"");
    talk.expect(Hand::Request, 1);
}

#[test]
fn a_reset_by_the_client_closes_and_one_by_the_server_counts_in_the_window() {
    let mut talk = Talk::begun();
    for stream in [1, 3] {
        talk.say(Inbound, HEADERS, END | 4, stream, b"x");
    }
    talk.say(Inbound, RST_STREAM, 0, 1, &[0; 4]);
    talk.expect(Hand::Request, 1);
    talk.say(Outbound, RST_STREAM, 0, 3, &[0; 4]);
    talk.expect(Hand::Nothing, 0);
    let mut framing = talk.whole;
    let mut window: shutdown_probe_common::framing::Window = bytemuck::Zeroable::zeroed();
    let mut step = |framing: &mut Framing, direction, bytes: &[u8]| {
        window.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        let mut at = 0;
        while at < bytes.len() as u32 {
            at += framing.step(direction, &window, at, bytes.len() as u32, true);
        }
    };
    step(&mut framing, Inbound, &frame(HEADERS, END, 5, b"x"));
    step(&mut framing, Outbound, &frame(RST_STREAM, 0, 5, &[0; 4]));
    step(&mut framing, Outbound, &frame(RST_STREAM, 0, 5, &[0; 4]));
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.streams), (Hand::Request as u8, 1));
}

#[test]
fn what_goaway_refuses_is_not_in_hand() {
    let mut talk = Talk::begun();
    for stream in (1..200).step_by(2) {
        talk.say(Inbound, HEADERS, END | 4, stream, b"x");
    }
    talk.say(Outbound, GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(talk.expect(Hand::Request, 100).flags, framing_flag::GOAWAY);
    assert_eq!(talk.whole.refused_streams(), 0);
    talk.say(Outbound, GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0, b'b', b'y', b'e']);
    talk.expect(Hand::Request, 3);
    assert_eq!(talk.whole.refused_streams(), 97);
    for stream in [1, 3, 5] {
        talk.say(Outbound, HEADERS, END, stream, b"x");
    }
    talk.expect(Hand::Nothing, 0);
    talk.say(Outbound, GOAWAY, 0, 0, &[0; 8]);
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn streams_that_fall_out_of_the_bitmap_are_counted() {
    let mut talk = Talk::begun();
    for stream in [1, 3, 5] {
        talk.say(Inbound, HEADERS, 4, stream, b"x");
    }
    talk.say(Outbound, HEADERS, 4, 3, b"x");
    for stream in (7..1007).step_by(2) {
        talk.say(Inbound, HEADERS, END | 4, stream, b"x");
        talk.say(Outbound, HEADERS, END | 4, stream, b"x");
        talk.expect(Hand::Answer, 3);
    }
    talk.say(Outbound, HEADERS, END, 3, b"x");
    talk.expect(Hand::Request, 2);
    talk.say(Outbound, HEADERS, 4, 1, b"x");
    talk.expect(Hand::Answer, 2);
    talk.say(Outbound, DATA, END, 1, b"x");
    talk.expect(Hand::Request, 1);
    talk.say(Inbound, RST_STREAM, 0, 5, &[0; 4]);
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn a_client_may_leave_out_numbers() {
    for gap in [2, 4, 126, 128, 130, 254, 256, 258, 300, 1 << 30] {
        let mut talk = Talk::begun();
        talk.say(Inbound, HEADERS, END | 4, 1, b"x");
        talk.say(Outbound, HEADERS, 4, 1, b"x");
        talk.say(Inbound, HEADERS, END | 4, 1 + gap, b"x");
        talk.expect(Hand::Answer, 2);
        talk.say(Outbound, DATA, END, 1, b"x");
        talk.expect(Hand::Request, 1);
        talk.say(Outbound, HEADERS, END, 1 + gap, b"x");
        talk.expect(Hand::Nothing, 0);
    }
}

#[test]
fn a_frame_may_be_as_long_as_its_header_can_say() {
    let mut talk = Talk::begun();
    talk.say(Inbound, HEADERS, END | 4, 1, b"x");
    feed(&mut talk.whole, Outbound, b"\xff\xff\xff\0\x01\0\0\0\x01");
    let payload = vec![0; 0xff_fffe];
    feed(&mut talk.whole, Outbound, &payload);
    talk.bytewise = talk.whole;
    talk.expect(Hand::Answer, 1);
    talk.feed(Outbound, b"x");
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn what_the_server_pushes_was_not_asked_for() {
    let mut talk = Talk::begun();
    talk.say(Inbound, HEADERS, END | 4, 1, b"x");
    talk.say(Outbound, PUSH_PROMISE, 4, 1, b"\0\0\0\x02x");
    talk.say(Outbound, HEADERS, 4, 2, b"x");
    talk.expect(Hand::Request, 1);
    talk.say(Outbound, HEADERS, END, 1, b"x");
    talk.expect(Hand::Nothing, 0);
}

#[test]
fn what_breaks_the_protocol_is_not_followed() {
    for (direction, kind, stream, payload) in [
        (Inbound, HEADERS, 0, &b"x"[..]),
        (Inbound, HEADERS, 2, b"x"),
        (Inbound, DATA, 0, b"x"),
        (Inbound, PUSH_PROMISE, 1, b"xxxx"),
        (Inbound, SETTINGS, 1, b""),
        (Inbound, PING, 0, b"1234567"),
        (Inbound, RST_STREAM, 1, b"123"),
        // Found by fuzzing: a stream that was never opened closed an old one.
        (Inbound, RST_STREAM, 1, b"1234"),
        (Outbound, HEADERS, 1, b"x"),
        (Outbound, GOAWAY, 0, b"1234567"),
        (Outbound, WINDOW_UPDATE, 0, b""),
    ] {
        let mut talk = Talk::begun();
        talk.say(direction, kind, 0, stream, payload);
        assert_eq!(
            talk.expect(Hand::Unknown, 0).protocol,
            protocol::UNKNOWN,
            "{direction:?} {kind} {stream}"
        );
    }
    for bad in [&b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx"] {
        let mut talk = Talk::fresh();
        talk.feed(Inbound, bad);
        talk.expect(Hand::Unknown, 0);
    }
    let mut late = Framing::default();
    late.begin(1, 2, true);
    feed(&mut late, Inbound, PREFACE);
    assert!(!late.is_followed(), "frames cannot be found in the middle");
}

#[test]
fn a_connection_upgraded_to_h2c_goes_on_as_http2() {
    let mut talk = Talk::fresh();
    talk.feed(
        Inbound,
        b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n",
    );
    talk.feed(Outbound, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    assert_eq!(talk.expect(Hand::Request, 1).protocol, protocol::HTTP2);
    talk.say(Outbound, SETTINGS, 0, 0, &[]);
    talk.feed(Inbound, PREFACE);
    talk.say(Inbound, HEADERS, END | 4, 3, b"x");
    talk.expect(Hand::Request, 2);
    talk.say(Outbound, HEADERS, 4, 1, b"x");
    talk.say(Outbound, DATA, END, 1, b"x");
    talk.say(Outbound, HEADERS, END, 3, b"x");
    talk.expect(Hand::Nothing, 0);
}
