//! TLS: what the client's first message tells of the small records that follow it.

use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed, framing_flag};

/// The list of an ALPN extension (RFC 7301, section 3.1).
fn alpn(names: &[&str]) -> Vec<u8> {
    let list: Vec<u8> =
        names.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
}

/// A ClientHello with these extensions, as a record.
fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let all = extensions.concat();
    let mut body =
        [&[3, 3][..], &[0xaa; 32], &[32], &[0xbb; 32], &[0, 6, 0x13, 1, 0x13, 2, 0x13, 3], &[1, 0]].concat();
    body.extend((all.len() as u16).to_be_bytes());
    body.extend(all);
    let length = (body.len() as u32).to_be_bytes();
    record(22, &[&[1], &length[1..], &body].concat())
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &(content.len() as u16).to_be_bytes()[..], content].concat()
}

fn sealed(length: usize) -> Vec<u8> {
    record(23, &vec![0xee; length])
}

/// A connection that begins so, fed whole and byte by byte.
fn begun(hello: &[u8]) -> Framing {
    let mut whole = Framing::default();
    whole.begin(1, 2, false);
    let mut bytewise = whole;
    feed(&mut whole, Inbound, hello);
    hello.iter().for_each(|byte| feed(&mut bytewise, Inbound, &[*byte]));
    assert_eq!(whole, bytewise, "fed whole and byte by byte");
    whole
}

fn flags(framing: &Framing) -> u8 {
    framed(framing).flags
}

fn framed(framing: &Framing) -> Framed {
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    framed
}

fn is_small(hello: &[u8]) -> bool {
    let framing = begun(hello);
    assert!(framing.is_followed());
    assert_eq!(framed(&framing).hand, Hand::Nothing as u8);
    flags(&framing) & framing_flag::SMALL != 0
}

#[test]
fn who_does_not_offer_http2_means_what_is_small() {
    let name = extension(0, b"\0\x07\0\0\x04host");
    assert!(is_small(&hello(&[])));
    assert!(is_small(&hello(&[name.clone(), extension(43, &[2, 3, 4])])));
    assert!(is_small(&hello(&[name.clone(), extension(16, &alpn(&["http/1.1"])), extension(21, &[0; 99])])));
    assert!(is_small(&hello(&[extension(16, &alpn(&["h1", "http/1.1", "h3"]))])));
    assert!(!is_small(&hello(&[extension(16, &alpn(&["h2", "http/1.1"])), name.clone()])));
    assert!(!is_small(&hello(&[name, extension(16, &alpn(&["http/1.1", "h2"]))])));
}

#[test]
fn a_first_message_that_breaks_its_lengths_tells_nothing() {
    let whole = hello(&[extension(0, b"host"), extension(10, &[0; 20])]);
    // The record ends before the message does, anywhere.
    for length in 1..whole.len() - 5 {
        assert!(!is_small(&record(22, &whole[5..5 + length])), "{length}");
    }
    let mut other = whole;
    other[5] = 2;
    assert!(!is_small(&other), "a ServerHello");
    assert!(!is_small(&hello(&[extension(16, &[0, 9, 2])])));
}

#[test]
fn what_follows_the_record_is_no_part_of_it() {
    for extensions in [vec![], vec![extension(16, &alpn(&["h2"]))], vec![extension(16, &[0, 99, 2, b'h'])]] {
        let mut framing = begun(&hello(&extensions));
        feed(&mut framing, Outbound, &record(22, &[2; 100]));
        feed(&mut framing, Inbound, &record(20, &[1]));
        assert!(framing.is_followed());
        assert_eq!(framed(&framing).hand, Hand::Nothing as u8);
    }
}

/// After a handshake of TLS 1.3 and its two tickets.
fn open(protocols: &[&str]) -> Framing {
    let mut framing = begun(&hello(&[extension(16, &alpn(protocols))]));
    let records: [(Direction, Vec<u8>); 7] = [
        (Outbound, record(22, &[2; 122])),
        (Outbound, sealed(23)),
        (Outbound, sealed(1200)),
        (Outbound, sealed(53)),
        (Inbound, sealed(53)),
        (Outbound, sealed(250)),
        (Outbound, sealed(250)),
    ];
    records.iter().for_each(|(direction, bytes)| feed(&mut framing, *direction, bytes));
    framing
}

fn hand_after(protocols: &[&str], records: &[(Direction, usize)]) -> u8 {
    let mut framing = open(protocols);
    records.iter().for_each(|(direction, length)| feed(&mut framing, *direction, &sealed(*length)));
    framed(&framing).hand
}

#[test]
fn small_words_are_requests_and_answers_without_http2() {
    // A line of nine bytes, and `+OK`.
    let (ask, ok, alert) = ((Inbound, 26), (Outbound, 22), 19);
    let nothing = Hand::Nothing as u8;
    assert_eq!(hand_after(&["redis"], &[ask]), Hand::Request as u8);
    assert_eq!(hand_after(&["redis"], &[ask, ok]), nothing);
    assert_eq!(hand_after(&["redis"], &[(Inbound, 60), ok]), nothing);
    assert_eq!(hand_after(&["redis"], &[(Inbound, 60), ok, ask]), Hand::Request as u8);
    assert_eq!(hand_after(&["redis"], &[(Inbound, 60), ok, (Inbound, alert)]), nothing);
    assert_eq!(hand_after(&["redis"], &[(Inbound, 60), (Outbound, alert)]), Hand::Request as u8);
    // Where HTTP/2 is offered, as before.
    assert_eq!(hand_after(&["h2"], &[ask]), nothing);
    assert_eq!(hand_after(&["h2"], &[(Inbound, 100), ok]), Hand::Request as u8);
}

#[test]
fn unread_words_are_lost_but_alerts_are_not() {
    let small = open(&["redis"]);
    // 31 bytes may be an alert of TLS 1.2.
    assert!(!small.may_be_request(26 + 5) && small.may_be_request(27 + 5));
    assert!(!small.may_be_request(19 + 5));
    let large = open(&["h2"]);
    assert!(!large.may_be_request(27 + 5) && large.may_be_request(60 + 5));
}
