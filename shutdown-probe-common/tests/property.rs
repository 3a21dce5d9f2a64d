//! Conversations made up by rule, cut anywhere: what is in hand is known by how they were made.

use proptest::collection::vec;
use proptest::prelude::*;
use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed};

/// A request and its whole answer.
type Exchange = (Vec<u8>, Vec<u8>);

fn header() -> impl Strategy<Value = String> {
    // Names that begin like those that matter, and lines shorter than any of them.
    prop_oneof![
        "[A-Za-z-]{1,20}: [ -~]{0,40}",
        Just("Content-Type: text/plain".to_owned()),
        Just("Transfer-Encoding-X: chunked".to_owned()),
        Just("Content-Length-X: 9".to_owned()),
        Just("a:".to_owned()),
    ]
    .prop_filter("these would mean something", |line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !["content-length", "transfer-encoding", "upgrade"].contains(&name.as_str())
    })
}

/// A head and a body, by length, in chunks, or none.
fn message(first: String) -> impl Strategy<Value = Vec<u8>> {
    let body = vec(any::<u8>(), 0..600);
    (vec(header(), 0..8), body, 0..3_u8, 0..8_usize, 1..100_usize).prop_map(
        move |(mut headers, body, kind, place, size)| {
            match kind {
                0 => headers.insert(place.min(headers.len()), format!("CONTENT-length:{}  ", body.len())),
                1 => headers.insert(place.min(headers.len()), "transfer-Encoding: gzip,Chunked".to_owned()),
                _ => headers.push("content-length: 0".to_owned()),
            }
            let mut bytes = format!("{first}\r\n{}\r\n\r\n", headers.join("\r\n")).into_bytes();
            match kind {
                0 => bytes.extend(body),
                1 => {
                    for chunk in body.chunks(size) {
                        bytes.extend(format!("{:x};{}\r\n", chunk.len(), "e".repeat(size)).bytes());
                        bytes.extend(chunk);
                        bytes.extend(b"\r\n");
                    }
                    bytes.extend(b"0\r\nTrailer: 1\r\n\r\n");
                }
                _ => {}
            }
            bytes
        },
    )
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let request = "[A-Z]{1,6}"
        .prop_filter("these are others", |name| !["HEAD", "PRI", "PROXY"].contains(&name.as_str()));
    let answer = prop::sample::select(vec!["HTTP/1.1 200 OK", "HTTP/1.0 404 Not Found", "HTTP/1.1 500 "]);
    (
        request.prop_flat_map(|method| message(format!("{method} /a?b HTTP/1.1"))),
        answer.prop_flat_map(|line| message(line.to_owned())),
        any::<bool>(),
    )
        .prop_map(|(request, answer, interim)| {
            let before: &[u8] = if interim { b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" } else { b"" };
            (request, [before, &answer].concat())
        })
}

fn feed_cut(framing: &mut Framing, direction: Direction, bytes: &[u8], cuts: &[usize]) {
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        feed(framing, direction, piece);
        rest = tail;
        if rest.is_empty() {
            return;
        }
    }
}

fn hand(framing: &Framing) -> Hand {
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    framed.in_hand()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn pipelined_exchanges_are_told_apart(
        exchanges in vec(exchange(), 1..6),
        cuts in vec(1..300_usize, 1..10),
    ) {
        let mut framing = Framing::default();
        framing.begin(0, 0, false);
        for (request, _) in &exchanges {
            feed_cut(&mut framing, Inbound, request, &cuts);
            prop_assert_eq!(hand(&framing), Hand::Request);
        }
        for (place, (_, answer)) in exchanges.iter().enumerate() {
            let (most, last) = answer.split_at(answer.len() - 1);
            feed_cut(&mut framing, Outbound, most, &cuts);
            prop_assert_eq!(hand(&framing), Hand::Answer);
            feed(&mut framing, Outbound, last);
            let expected = if place + 1 == exchanges.len() { Hand::Nothing } else { Hand::Request };
            prop_assert_eq!(hand(&framing), expected);
        }
    }

    #[test]
    fn any_bytes_are_accepted(pieces in vec((any::<bool>(), vec(any::<u8>(), 0..400)), 0..12), late: bool) {
        let mut framing = Framing::default();
        framing.begin(u32::MAX, 0, late);
        for (outbound, bytes) in pieces {
            feed(&mut framing, if outbound { Outbound } else { Inbound }, &bytes);
        }
        hand(&framing);
    }
}
