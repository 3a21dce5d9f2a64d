//! What of the client's was never read, or crossed the FIN: the rest of what was answered asks for nothing.

use shutdown_probe_common::connection::{Evidence, flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framing, NO_END, feed};

const TOO_LARGE: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";

fn after(talk: &[(Direction, &[u8])]) -> Framing {
    let mut framing = Framing::default();
    framing.begin(1, 2, false);
    talk.iter().for_each(|(direction, bytes)| feed(&mut framing, *direction, bytes));
    assert!(framing.is_followed());
    framing
}

fn refused(request: &str) -> Framing {
    after(&[(Inbound, request.as_bytes()), (Outbound, TOO_LARGE.as_bytes())])
}

/// The fate of a connection that ends so, with so many bytes unread.
fn fate(framing: &Framing, unread: u32) -> Fate {
    let mut evidence =
        Evidence { unread, flags: flag::ACCEPTED | flag::READ, written: 1, ..Evidence::default() };
    framing.frame(&mut evidence.framed);
    framing.unread(unread, &mut evidence.framed);
    evidence.judge(role::SERVER)
}

#[test]
fn the_rest_of_a_body_that_was_answered_is_no_request() {
    let framing = refused("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n12345");
    assert_eq!(framing.rest(), 95);
    assert_eq!(fate(&framing, 0), Fate::ClosedIdle);
    assert_eq!(fate(&framing, 95), Fate::ClosedIdle);
    assert_eq!(fate(&framing, 96), Fate::UnreadRequest, "and what follows is one");
    assert_eq!(fate(&framing, 97), Fate::ClosedIdle, "but an empty line is none");
}

#[test]
fn chunks_have_no_end() {
    for body in ["", "5\r\n123", "5\r\n12345", "5\r\n12345\r\n", "0\r\n", "0\r\nX-Sum: 1\r\n"] {
        let framing = refused(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
        assert_eq!(framing.rest(), NO_END, "{body:?}");
        assert_eq!(fate(&framing, 5000), Fate::ClosedIdle);
    }
    let whole = refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(whole.rest(), 0);
    assert_eq!(fate(&whole, 5000), Fate::UnreadRequest);
}

#[test]
fn the_rest_of_a_head_that_was_answered_is_no_request() {
    let framing = refused("GET / HTTP/1.1\r\nX-Padding: 1111");
    assert_eq!(fate(&framing, 5000), Fate::ClosedIdle);
}

#[test]
fn of_http2_the_rest_of_a_frame_is_no_request_unless_it_opens_a_stream() {
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let data: &[u8] = &[0, 0, 100, 0, 0, 0, 0, 0, 1, 7];
    let headers: &[u8] = &[0, 0, 40, 1, 4, 0, 0, 0, 1, 7];
    let framing = after(&[(Inbound, preface), (Inbound, data)]);
    assert_eq!(framing.rest(), 99);
    assert!(!framing.may_be_request(99 + 13) && framing.may_be_request(99 + 60));
    assert_eq!(after(&[(Inbound, preface), (Inbound, headers)]).rest(), 0);
}

#[test]
fn what_is_no_rest_is_judged_by_its_length() {
    let idle = after(&[(Inbound, b"GET / HTTP/1.1\r\n\r\n"), (Outbound, TOO_LARGE.as_bytes())]);
    assert_eq!((idle.rest(), fate(&idle, 30)), (0, Fate::UnreadRequest));
    let upgraded = after(&[
        (Inbound, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        (Outbound, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ]);
    assert_eq!((upgraded.rest(), fate(&upgraded, 131)), (0, Fate::ClosedIdle));
    assert_eq!(fate(&upgraded, 132), Fate::UnreadRequest);
    let mut lost = idle;
    lost.lose();
    assert_eq!((lost.rest(), fate(&lost, 30)), (0, Fate::UnreadRequest));
    assert_eq!(fate(&Framing::default(), 30), Fate::UnreadRequest);
}
