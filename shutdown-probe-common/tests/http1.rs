//! HTTP/1: what is in hand after so many bytes of each direction.

use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed, framing_flag, protocol};

type Talk<'a> = &'a [(Direction, &'a str)];

fn after_late(talk: Talk, late: bool) -> Framed {
    let mut whole = Framing::default();
    let mut bytewise = Framing::default();
    whole.begin(7, u32::MAX, late);
    bytewise.begin(7, u32::MAX, late);
    for (direction, text) in talk {
        feed(&mut whole, *direction, text.as_bytes());
        for byte in text.as_bytes() {
            feed(&mut bytewise, *direction, &[*byte]);
        }
    }
    assert_eq!(whole.is_followed(), bytewise.is_followed(), "{talk:?}");
    if whole.is_followed() {
        assert_eq!(whole, bytewise, "fed whole and byte by byte: {talk:?}");
    }
    let mut framed = Framed::default();
    whole.frame(&mut framed);
    framed
}

fn after(talk: Talk) -> Framed {
    after_late(talk, false)
}

#[track_caller]
fn check(talk: Talk, hand: Hand) -> Framed {
    let framed = after(talk);
    assert_eq!(framed.hand, hand as u8, "{talk:?}: {framed:?}");
    framed
}

const GET: (Direction, &str) = (Inbound, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
const HEAD: (Direction, &str) = (Inbound, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
const OK: (Direction, &str) = (Outbound, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");

#[test]
fn a_request_is_in_hand_from_its_empty_line_to_the_first_byte_of_its_answer() {
    // It may be anything yet.
    check(&[(Inbound, "G")], Hand::Unknown);
    check(&[(Inbound, "GET ")], Hand::HalfRequest);
    check(&[(Inbound, "GET / HTTP/1.1\r\nHost: a\r\n\r")], Hand::HalfRequest);
    assert_eq!(check(&[GET], Hand::Request).protocol, protocol::HTTP1);
    check(&[GET, (Outbound, "H")], Hand::Answer);
    check(&[GET, OK], Hand::Nothing);
    check(&[GET, OK, GET], Hand::Request);
}

#[test]
fn an_answer_cut_in_the_middle_tells_how_much_is_missing() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let framed = check(&[GET, (Outbound, head), (Outbound, "0123456789")], Hand::Answer);
    assert_eq!(framed.expected, head.len() as u64 + 1000);
    assert_eq!(framed.begun, head.len() as u64 + 10);
    let framed = check(&[GET, (Outbound, &head[..20])], Hand::Answer);
    assert_eq!((framed.expected, framed.begun), (0, 20));
}

#[test]
fn bytes_of_an_interim_answer_are_not_the_answers() {
    let post = (Inbound, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    check(&[post, (Outbound, "HTTP/1.1 100 Continue\r\n\r\n")], Hand::Request);
    check(&[post, (Outbound, "HTTP/1.1 100 Cont")], Hand::Request);
    let answer = (Outbound, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab");
    let framed = check(
        &[post, (Outbound, "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n"), (Inbound, "12345"), answer],
        Hand::Answer,
    );
    assert_eq!(framed.begun, answer.1.len() as u64);
    assert_eq!(framed.expected, answer.1.len() as u64 + 1);
}

#[test]
fn pipelined_requests_are_answered_one_by_one() {
    check(&[GET, GET, GET, OK], Hand::Request);
    check(&[GET, GET, GET, OK, OK], Hand::Request);
    check(&[GET, GET, GET, OK, OK, OK], Hand::Nothing);
    let two = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    check(&[(Inbound, two), OK], Hand::Request);
    check(&[(Inbound, two), OK, (Outbound, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")], Hand::Nothing);
}

#[test]
fn more_than_32_unanswered_requests_are_not_followed() {
    assert_eq!(check(&[GET; 32], Hand::Request).protocol, protocol::HTTP1);
    assert_eq!(check(&[GET; 33], Hand::Unknown).protocol, protocol::UNKNOWN);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let long = (Outbound, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    check(&[HEAD, long], Hand::Nothing);
    check(&[GET, HEAD, OK, long], Hand::Nothing);
    check(&[HEAD, GET, long, OK], Hand::Nothing);
    check(&[HEAD, (Outbound, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")], Hand::Nothing);
    check(&[GET, (Outbound, "HTTP/1.1 204 No Content\r\n\r\n")], Hand::Nothing);
    check(&[GET, (Outbound, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")], Hand::Nothing);
    check(&[GET, (Outbound, "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n")], Hand::Nothing);
}

#[test]
fn an_answer_without_length_lasts_until_the_close() {
    let framed = check(&[GET, (Outbound, "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200")], Hand::AnswerUntilClose);
    assert_eq!((framed.expected, framed.begun), (0, 31));
    check(&[GET, (Outbound, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")], Hand::AnswerUntilClose);
    // Transfer-Encoding overrides Content-Length.
    check(
        &[GET, (Outbound, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n")],
        Hand::AnswerUntilClose,
    );
}

#[test]
fn chunks_are_followed_to_the_end_of_their_trailers() {
    let head =
        (Outbound, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\ntransfer-ENCODING: gzip , Chunked\r\n\r\n");
    let body = "5;a=\"1\"\r\nhello\r\n00000000000000000000A \r\n0123456789\r\n0\r\nContent-Length: 5\r\n\r\n";
    for end in 0..body.len() {
        check(&[GET, head, (Outbound, &body[..end])], Hand::Answer);
    }
    check(&[GET, head, (Outbound, body)], Hand::Nothing);
    check(&[GET, head, (Outbound, body), GET, OK], Hand::Nothing);
    check(&[GET, head, (Outbound, "1\nx\n0\n\n")], Hand::Nothing);
    // A name torn by a blank is another name.
    let torn = (Outbound, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chun ked\r\n\r\n");
    check(&[GET, torn], Hand::AnswerUntilClose);
    for bad in ["x\r\n", "\r\n", "1\r\nxx", "1\r\nx\r1", "ffffffffffffffffff\r\n", ";\r\n"] {
        check(&[GET, head, (Outbound, bad)], Hand::Unknown);
    }
}

#[test]
fn a_request_body_is_passed_over() {
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n";
    check(&[(Inbound, chunked)], Hand::Request);
    check(&[(Inbound, chunked), OK], Hand::Nothing);
    check(&[(Inbound, chunked), OK, (Inbound, "0\r\n\r\n")], Hand::Nothing);
    check(&[(Inbound, chunked), OK, (Inbound, "0\r\n\r\n"), GET], Hand::Request);
    let length = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nGE";
    check(&[(Inbound, length), OK, (Inbound, "T ")], Hand::Nothing);
    check(&[(Inbound, length), OK, (Inbound, "T "), GET], Hand::Request);
}

#[test]
fn an_answer_nobody_asked_for_lowers_no_count() {
    let timeout = (Outbound, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    check(&[GET, OK, timeout], Hand::Nothing);
    check(&[GET, OK, timeout, GET], Hand::Request);
    // It answers the head that is arriving.
    let half = (Inbound, "GET / HTTP/1.1\r\n");
    check(&[half, timeout], Hand::Nothing);
    check(&[half, timeout, (Inbound, "\r\n")], Hand::Nothing);
    check(&[half, timeout, (Inbound, "\r\n"), GET], Hand::Request);
}

#[test]
fn an_upgraded_connection_is_a_stream() {
    let ask = (Inbound, "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    let switch = (Outbound, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    let framed = check(&[ask, switch, (Inbound, "GET / HT"), (Outbound, "abc")], Hand::Nothing);
    assert_eq!((framed.flags, framed.protocol), (framing_flag::UPGRADED, protocol::HTTP1));
    let connect = (Inbound, "CONNECT a:1 HTTP/1.1\r\n\r\n");
    let established = (Outbound, "HTTP/1.1 200 Connection established\r\n\r\n");
    let framed = check(&[connect, established, (Inbound, "\u{16}\u{3}"), (Outbound, "abc")], Hand::Nothing);
    assert_eq!(framed.flags, framing_flag::UPGRADED);
    // Refused, it goes on.
    check(&[connect, (Outbound, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), GET], Hand::Request);
}

#[test]
fn a_websocket_message_that_was_begun_is_an_answer() {
    let switch = (Outbound, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n");
    let of = |frames: &'static str| [GET, switch, (Inbound, "x"), (Outbound, frames)];
    check(&of(""), Hand::Nothing);
    check(&of("\x02"), Hand::Answer);
    check(&of("\x01\x02a"), Hand::Answer);
    // The first of several frames is whole, the message is not; a ping between them changes nothing.
    check(&of("\x01\x02ab"), Hand::Answer);
}

#[test]
fn websocket_frames_of_every_length() {
    let mut framing = Framing::default();
    framing.begin(0, 0, false);
    feed(&mut framing, Inbound, GET.1.as_bytes());
    feed(&mut framing, Outbound, b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n");
    let mut stream = Vec::new();
    let mut ends = vec![0];
    for (head, length) in [
        (&b"\x82\x00"[..], 0),
        (b"\x81\x7d", 125),
        (b"\x82\x7e\x01\x00", 256),
        (b"\x82\x7f\0\0\0\0\0\x01\0\0", 65536),
        (b"\x89\x80mask", 0),
        (b"\x81\x83mask", 3),
    ] {
        stream.extend_from_slice(head);
        stream.resize(stream.len() + length, b'\n');
        ends.push(stream.len());
    }
    let mut framed = Framed::default();
    for (at, byte) in stream.iter().enumerate() {
        framing.frame(&mut framed);
        let expected = if ends.contains(&at) { Hand::Nothing } else { Hand::Answer };
        assert_eq!(framed.hand, expected as u8, "at {at}");
        feed(&mut framing, Outbound, &[*byte]);
    }
    feed(&mut framing, Outbound, b"\x01\x01a\x89\x00");
    framing.frame(&mut framed);
    assert_eq!(framed.hand, Hand::Answer as u8, "the message has more frames to come");
    feed(&mut framing, Outbound, b"\x80\x00");
    framing.frame(&mut framed);
    assert_eq!(framed.hand, Hand::Nothing as u8);
    assert_eq!(framed.flags, framing_flag::UPGRADED);
}

#[test]
fn what_is_tolerated() {
    check(&[(Inbound, "\r\n\nGET / HTTP/1.1\n\n")], Hand::Request);
    check(&[GET, (Outbound, "HTTP/1.1 200\nContent-Length: \t2 \n\nok")], Hand::Nothing);
    check(&[(Inbound, "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 02\r\n\r\n")], Hand::Request);
    check(&[(Inbound, "M-SEARCH * HTTP/1.1\r\na:b\r\n:\r\n\n")], Hand::Request);
    check(
        &[(Inbound, "POST / HTTP/1.1\r\nContent-Type: x\r\nContent-\r\nTransfer: 1\r\n\r\n")],
        Hand::Request,
    );
}

/// Found by fuzzing: the eighth blank made it forget that there was a number.
#[test]
fn a_length_may_be_followed_by_any_number_of_blanks() {
    for count in [1, 7, 8, 9, 255, 256, 1000] {
        let head = format!("POST / HTTP/1.1\r\nContent-Length: 2{}", " ".repeat(count));
        check(&[(Inbound, &format!("{head}\r\n\r\n")), OK], Hand::Nothing);
        check(&[(Inbound, &format!("{head}3\r\n\r\n"))], Hand::Unknown);
    }
}

#[test]
fn what_is_not_http_is_not_followed() {
    for text in [
        "GET /\r\n",
        "GET / HTTP/2.0\r\n",
        " GET / HTTP/1.1\r\n",
        "G\u{e9}",
        "\u{16}xxxx",
        "SSH-2.0-x\r\n",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1 2\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1,1\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        check(&[(Inbound, text)], Hand::Unknown);
    }
    for text in ["HTTP/2 200 OK\r\n", "HTTP/1.1 2x0", "HTTP/1.1  200", "SSH-2.0-"] {
        check(&[GET, (Outbound, text)], Hand::Unknown);
    }
}

#[test]
fn a_head_has_at_most_a_mebibyte() {
    let long = format!("GET / HTTP/1.1\r\nCookie: {}", "a".repeat(1 << 20));
    check(&[(Inbound, &long[..1 << 20])], Hand::HalfRequest);
    check(&[(Inbound, &long)], Hand::Unknown);
    // A body is no head, and neither are its trailers.
    let body = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n{}\r\n0\r\n\r\n",
        "a".repeat(1 << 21)
    );
    check(&[GET, (Outbound, &body)], Hand::Nothing);
}

#[test]
fn a_proxy_header_goes_before_the_first_request() {
    let line = (Inbound, "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n");
    check(&[line], Hand::Nothing);
    check(&[line, GET, OK], Hand::Nothing);
    check(&[line, GET], Hand::Request);
    check(&[line, line], Hand::Unknown);
    let binary = (Inbound, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cabcdefghijkl");
    check(&[binary], Hand::Nothing);
    check(&[binary, GET], Hand::Request);
    check(&[(Inbound, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"), GET], Hand::Request);
    check(&[(Inbound, "\r\n\r\n\0\r\nQUIT\n\x31\0\0\0")], Hand::Unknown);
    check(&[(Inbound, "\r\n\r\n"), GET], Hand::Request);
    check(&[(Inbound, "\r\n"), GET], Hand::Request);
}

#[test]
fn begun_late_it_is_likely() {
    let framed = after_late(&[GET, OK, GET], true);
    assert_eq!((framed.hand, framed.flags), (Hand::Request as u8, framing_flag::LIKELY));
    assert_eq!(after_late(&[(Inbound, "GET ")], true).hand, Hand::Unknown as u8);
}

#[test]
fn nothing_is_known_before_it_begins_or_after_it_is_lost() {
    let mut framing = Framing::default();
    assert!(framing.is_followed() && !framing.is_begun());
    framing.begin(5, 9, false);
    assert!(framing.is_followed() && framing.is_begun());
    feed(&mut framing, Inbound, GET.1.as_bytes());
    assert_eq!(framing.next(Inbound), 5 + GET.1.len() as u32);
    assert_eq!(framing.next(Outbound), 9);
    framing.lose();
    assert!(!framing.is_followed());
    feed(&mut framing, Inbound, GET.1.as_bytes());
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.protocol), (Hand::Unknown as u8, protocol::UNKNOWN));
}
