//! TLS: what the lengths of records tell.

use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{
    Direction, Framed, Framing, Hand, feed, framing_flag, may_be_request, protocol,
};

/// A record: its direction, type, and length.
type Record = (Direction, u8, usize);

const CLIENT_HELLO: Record = (Inbound, 22, 250);
/// 1.3: ServerHello, a change of cipher for old middleboxes, then sealed records up to Finished.
const SERVER_FLIGHT: [Record; 4] =
    [(Outbound, 22, 122), (Outbound, 20, 1), (Outbound, 23, 23), (Outbound, 23, 1200)];
const CLIENT_CHANGE: Record = (Inbound, 20, 1);
const FINISHED: Record = (Inbound, 23, 53);
const TICKET: Record = (Outbound, 23, 250);
const REQUEST: Record = (Inbound, 23, 100);
const ANSWER: Record = (Outbound, 23, 400);
const PING: Record = (Inbound, 23, 34);
const CLOSE: Record = (Inbound, 23, 19);

fn bytes(record: Record) -> Vec<u8> {
    let (_, kind, length) = record;
    let mut bytes = vec![kind, 3, 3, (length >> 8) as u8, length as u8];
    bytes.resize(5 + length, 0xee);
    bytes
}

fn fed(records: &[Record], late: bool) -> Framing {
    let mut whole = Framing::default();
    whole.begin(1, 2, late);
    let mut bytewise = whole;
    for record in records {
        feed(&mut whole, record.0, &bytes(*record));
        bytes(*record).iter().for_each(|byte| feed(&mut bytewise, record.0, &[*byte]));
    }
    assert_eq!(whole, bytewise, "fed whole and byte by byte");
    whole
}

#[track_caller]
fn check(records: &[Record], hand: Hand) {
    let mut framed = Framed::default();
    fed(records, false).frame(&mut framed);
    let expected = Framed {
        protocol: protocol::TLS,
        flags: framing_flag::LIKELY,
        hand: hand as u8,
        ..Framed::default()
    };
    assert_eq!(framed, expected, "{records:?}");
}

fn handshake_13() -> Vec<Record> {
    let mut records = vec![CLIENT_HELLO];
    records.extend(SERVER_FLIGHT);
    records.extend([CLIENT_CHANGE, FINISHED]);
    records
}

fn after_13(records: &[Record]) -> Vec<Record> {
    [&handshake_13(), records].concat()
}

#[test]
fn a_handshake_is_no_request() {
    let records = after_13(&[TICKET, TICKET]);
    for count in 1..=records.len() {
        check(&records[..count], Hand::Nothing);
    }
    let resumed_12 = [
        CLIENT_HELLO,
        (Outbound, 22, 90),
        (Outbound, 20, 1),
        (Outbound, 22, 40),
        (Inbound, 20, 1),
        (Inbound, 22, 40),
    ];
    for count in 1..=resumed_12.len() {
        check(&resumed_12[..count], Hand::Nothing);
    }
}

#[test]
fn a_request_is_in_hand_until_the_server_seals_a_record() {
    check(&after_13(&[TICKET, TICKET, REQUEST]), Hand::Request);
    check(&after_13(&[TICKET, TICKET, REQUEST, ANSWER]), Hand::Nothing);
    check(&after_13(&[TICKET, TICKET, REQUEST, ANSWER, REQUEST]), Hand::Request);
    // Without tickets, or before they are written.
    check(&after_13(&[REQUEST]), Hand::Request);
    check(&after_13(&[REQUEST, ANSWER]), Hand::Nothing);
    check(&after_13(&[REQUEST, ANSWER, (Outbound, 23, 16_401), REQUEST]), Hand::Request);
}

#[test]
fn control_frames_and_alerts_are_neither_requests_nor_answers() {
    let idle = [TICKET, REQUEST, ANSWER];
    for record in [PING, CLOSE, (Inbound, 23, 17), (Inbound, 21, 26), (Inbound, 23, 0), (Inbound, 23, 30)] {
        check(&after_13(&[idle.as_slice(), &[record, record]].concat()), Hand::Nothing);
    }
    let asked = [TICKET, REQUEST];
    for record in [(Outbound, 23, 34), (Outbound, 23, 19), (Outbound, 21, 2)] {
        check(&after_13(&[asked.as_slice(), &[record]].concat()), Hand::Request);
    }
}

#[test]
fn two_records_of_one_length_right_after_the_handshake_are_tickets() {
    check(&after_13(&[REQUEST, TICKET, TICKET]), Hand::Request);
    check(&after_13(&[REQUEST, TICKET, TICKET, ANSWER]), Hand::Nothing);
    // Only there.
    check(&after_13(&[REQUEST, TICKET, TICKET, ANSWER, REQUEST, ANSWER, ANSWER]), Hand::Nothing);
    check(&after_13(&[TICKET, REQUEST, ANSWER, ANSWER]), Hand::Nothing);
    check(&after_13(&[REQUEST, ANSWER, REQUEST, ANSWER]), Hand::Nothing);
    let full = (Outbound, 23, 16_401);
    check(&after_13(&[REQUEST, full, full]), Hand::Nothing);
}

#[test]
fn a_server_that_sends_its_ticket_with_its_finished_sends_no_other() {
    let mut records = vec![CLIENT_HELLO];
    records.extend(SERVER_FLIGHT);
    records.extend([(Outbound, 23, 53), (Outbound, 23, 139), FINISHED, REQUEST, ANSWER, ANSWER]);
    check(&records, Hand::Nothing);
}

#[test]
fn tls_12_tells_the_end_of_its_handshake() {
    let mut records =
        vec![CLIENT_HELLO, (Outbound, 22, 2000), (Inbound, 22, 70), CLIENT_CHANGE, (Inbound, 22, 40)];
    records.extend([(Outbound, 22, 202), (Outbound, 20, 1), (Outbound, 22, 40)]);
    check(&records, Hand::Nothing);
    // Even of the length that a Finished would have in 1.3.
    records.push((Inbound, 23, 53));
    check(&records, Hand::Request);
    records.push(ANSWER);
    check(&records, Hand::Nothing);
    // The request goes before the server's Finished has gone out.
    check(&[&records[..5], &[REQUEST]].concat(), Hand::Request);
}

#[test]
fn a_second_hello_is_no_finished() {
    let mut records =
        vec![CLIENT_HELLO, (Outbound, 22, 88), (Outbound, 20, 1), CLIENT_CHANGE, (Inbound, 22, 300)];
    records.extend(SERVER_FLIGHT);
    records.push((Inbound, 23, 69));
    check(&records, Hand::Nothing);
    records.push(REQUEST);
    check(&records, Hand::Request);
}

#[test]
fn a_client_with_a_certificate_sends_more_before_its_finished() {
    let mut records = vec![CLIENT_HELLO];
    records.extend(SERVER_FLIGHT);
    records.extend([CLIENT_CHANGE, (Inbound, 23, 900), (Inbound, 23, 281), FINISHED]);
    for count in 1..=records.len() {
        check(&records[..count], Hand::Nothing);
    }
    records.extend([TICKET, TICKET]);
    check(&records, Hand::Nothing);
    records.push(REQUEST);
    check(&records, Hand::Request);
}

#[test]
fn a_finished_of_another_shape_is_the_first_record() {
    let mut records = vec![CLIENT_HELLO];
    records.extend(SERVER_FLIGHT);
    records.push((Inbound, 23, 1200));
    check(&records, Hand::Nothing);
    check(&[records.as_slice(), &[TICKET, TICKET]].concat(), Hand::Nothing);
    check(&[records.as_slice(), &[TICKET, REQUEST]].concat(), Hand::Request);
    check(&[records.as_slice(), &[REQUEST, ANSWER]].concat(), Hand::Nothing);
    check(&[records.as_slice(), &[REQUEST; 3]].concat(), Hand::Request);
}

#[test]
fn an_answer_cut_within_a_record_is_certain() {
    let mut framing = fed(&after_13(&[TICKET, TICKET, REQUEST]), false);
    let answer = bytes(ANSWER);
    let mut framed = Framed::default();
    feed(&mut framing, Outbound, &answer[..5]);
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.flags, framed.expected), (Hand::Answer as u8, 0, 0));
    feed(&mut framing, Outbound, &answer[5..answer.len() - 1]);
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.flags), (Hand::Answer as u8, 0));
    feed(&mut framing, Outbound, &answer[answer.len() - 1..]);
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.flags), (Hand::Nothing as u8, framing_flag::LIKELY));
}

#[test]
fn half_a_request_is_half_a_request() {
    let mut framing = fed(&after_13(&[TICKET, TICKET]), false);
    feed(&mut framing, Inbound, &bytes(REQUEST)[..50]);
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    assert_eq!((framed.hand, framed.flags), (Hand::HalfRequest as u8, framing_flag::LIKELY));
}

#[test]
fn begun_late_every_sealed_record_counts() {
    for (records, hand) in
        [(&[REQUEST][..], Hand::Request), (&[PING], Hand::Nothing), (&[REQUEST, ANSWER], Hand::Nothing)]
    {
        let mut framed = Framed::default();
        fed(records, true).frame(&mut framed);
        assert_eq!((framed.hand, framed.protocol), (hand as u8, protocol::TLS), "{records:?}");
        assert_eq!(framed.flags, framing_flag::LIKELY);
    }
}

#[test]
fn what_is_no_record_is_not_followed() {
    for (late, head) in [
        (false, [22, 2, 0, 0, 9]),
        (false, [22, 3, 5, 0, 9]),
        (false, [22, 3, 1, 0xff, 0xff]),
        (false, [23, 3, 3, 0, 99]),
        (true, [23, 3, 3, 0x49, 0]),
        (true, [24, 3, 3, 0, 9]),
    ] {
        let mut framing = Framing::default();
        framing.begin(1, 2, late);
        feed(&mut framing, Inbound, &head);
        assert!(!framing.is_followed(), "{head:?}");
    }
}

#[test]
fn unread_bytes_that_cannot_be_a_request() {
    let likely = |protocol, length| may_be_request(protocol, 0, length);
    assert!([1, 3, 4, 40].iter().all(|n| likely(protocol::HTTP1, *n)));
    assert!(![0, 2].iter().any(|n| likely(protocol::HTTP1, *n)));
    assert!([40, 41, 60, 100].iter().all(|n| likely(protocol::HTTP2, *n)));
    assert!(![0, 9, 13, 17, 26, 34].iter().any(|n| likely(protocol::HTTP2, *n)));
    assert!([47, 90, 300].iter().all(|n| likely(protocol::TLS, *n)));
    assert!(![0, 24, 31, 39, 46, 63].iter().any(|n| likely(protocol::TLS, *n)));
    assert!(likely(protocol::UNKNOWN, 1) && !likely(protocol::UNKNOWN, 0));
    assert!(!may_be_request(protocol::HTTP1, framing_flag::UPGRADED, 131));
    assert!(may_be_request(protocol::HTTP1, framing_flag::UPGRADED, 132));
}

#[test]
fn updates_of_the_window_after_a_long_answer_are_no_request() {
    let long = (Outbound, 23, 9000);
    let acknowledged = (Outbound, 23, 26);
    let updates = (Inbound, 23, 17 + 5 * 13);
    check(&after_13(&[TICKET, REQUEST, acknowledged, long, updates]), Hand::Nothing);
    check(&after_13(&[TICKET, REQUEST, acknowledged, ANSWER, updates]), Hand::Request);
    check(&after_13(&[TICKET, REQUEST, long, updates]), Hand::Request);
    // Behind an acknowledgement, which comes once.
    let first = (Inbound, 23, 17 + 9 + 2 * 13);
    check(&after_13(&[TICKET, REQUEST, acknowledged, long, first]), Hand::Nothing);
    check(&after_13(&[TICKET, REQUEST, REQUEST, acknowledged, long, first]), Hand::Nothing);
    check(&after_13(&[TICKET, REQUEST, REQUEST, REQUEST, acknowledged, long, first]), Hand::Request);
}

#[test]
fn an_opening_of_http2_alone_asks_for_nothing() {
    let opening = (Inbound, 23, 24 + 15 + 17);
    let acknowledged = (Outbound, 23, 26);
    check(&after_13(&[TICKET, opening, acknowledged]), Hand::Nothing);
    check(&after_13(&[TICKET, opening, acknowledged, (Inbound, 23, 60)]), Hand::Request);
    check(&after_13(&[TICKET, opening]), Hand::Request);
}

fn opened_with(server_finished: usize, client_finished: usize, records: &[Record]) -> Vec<Record> {
    let mut all = vec![CLIENT_HELLO, (Outbound, 22, 122), (Outbound, 20, 1), (Outbound, 23, 32)];
    all.extend([(Outbound, 23, 839), (Outbound, 23, 281), (Outbound, 23, server_finished), CLIENT_CHANGE]);
    all.push((Inbound, 23, client_finished));
    all.extend(records);
    all
}

fn client(length: usize) -> Record {
    (Inbound, 23, length)
}

fn server(length: usize) -> Record {
    (Outbound, 23, length)
}

/// What clients and servers of HTTP/2 really send, by the lengths of their records: a request of so many is the last.
#[test]
fn a_request_that_repeats_another_is_as_short_as_a_control_frame() {
    let node = [client(79), server(282), server(282), server(26), server(71), client(26)];
    let go = [client(87), client(66), server(56), server(30), server(26), client(26), server(85)];
    let curl = [client(81), client(61), client(26), server(56), server(30), server(26), server(85)];
    for (opening, again, answer) in
        [(&node[..], 36, 39), (&node, 37, 62), (&go, 35, 64), (&go, 32, 41), (&go, 39, 40), (&curl, 39, 41)]
    {
        let asked = [opening, &[client(again)]].concat();
        check(&opened_with(69, 69, opening), Hand::Nothing);
        check(&opened_with(69, 69, &asked), Hand::Request);
        check(&opened_with(69, 69, &[&asked[..], &[server(answer)]].concat()), Hand::Nothing);
        check(&opened_with(69, 69, &[&asked[..], &[server(answer), client(again)]].concat()), Hand::Request);
    }
}

#[test]
fn the_settings_of_http2_answer_nothing() {
    for settings in
        [&[56, 30, 26][..], &[56, 39], &[56, 30, 39], &[26, 26], &[63, 34], &[44, 26], &[47], &[35]]
    {
        let settings: Vec<_> = settings.iter().map(|length| server(*length)).collect();
        for asked in [&[client(79)][..], &[client(92), client(47)]] {
            let greeted = [asked, &settings, &[client(26)]].concat();
            check(&opened_with(53, 53, &greeted), Hand::Request);
            check(&opened_with(53, 53, &[&greeted[..], &[server(90)]].concat()), Hand::Nothing);
        }
    }
    // Nobody acknowledges it: an answer of HTTP/1.
    check(&opened_with(53, 53, &[client(79), server(56)]), Hand::Nothing);
    check(&opened_with(53, 53, &[client(79), server(56), client(100)]), Hand::Request);
    check(&opened_with(53, 53, &[client(79), server(56), client(100), server(56)]), Hand::Nothing);
}

#[test]
fn an_opening_of_any_settings_asks_for_nothing() {
    for opening in [50, 56, 87, 92, 99, 105] {
        check(&opened_with(53, 53, &[client(opening), server(56), server(26)]), Hand::Nothing);
    }
    // With the acknowledgement of what the server announced first.
    check(&opened_with(53, 53, &[server(57), client(59), server(26)]), Hand::Nothing);
    // Node's first request goes with it.
    for request in [79, 80, 81, 82, 83] {
        check(&opened_with(53, 53, &[client(request), server(56), server(26), client(26)]), Hand::Request);
    }
    // The preface goes alone, what follows it too.
    check(&opened_with(53, 53, &[client(41), client(44), server(56), server(26)]), Hand::Nothing);
}

#[test]
fn java_pads_its_records() {
    let begun = [client(165), server(56), server(39), server(88), client(42)];
    for finished in [(53, 69), (69, 85), (0, 85)] {
        let opened = |records: &[Record]| opened_with(finished.0.max(20), finished.1, records);
        check(&opened(&begun), Hand::Nothing);
        check(&opened(&[&begun[..], &[client(82)]].concat()), Hand::Request);
        check(
            &opened(&[&begun[..], &[client(82), server(41), client(46), client(50)]].concat()),
            Hand::Nothing,
        );
    }
}

#[test]
fn what_may_ping_is_no_request_once_it_was_answered_so() {
    let idle = [client(99), server(63), server(26), client(287), server(34), client(34), server(172)];
    let opened = |records: &[Record]| opened_with(53, 53, &[&idle[..], records].concat());
    check(&opened(&[client(47)]), Hand::Request);
    check(&opened(&[client(47), server(34)]), Hand::Nothing);
    check(&opened(&[server(34), client(47)]), Hand::Nothing);
    check(&opened(&[server(34), client(64), server(34)]), Hand::Nothing);
    check(&opened(&[client(64), server(34)]), Hand::Nothing);
    // It was the server that pinged.
    check(&opened(&[client(64), server(34), client(34)]), Hand::Request);
    check(&opened(&[client(76), client(47), server(34)]), Hand::Request);
}

#[test]
fn a_head_as_short_as_an_update_answers_what_has_no_body() {
    let begun = [client(99), client(81), server(56), server(30), server(26), server(88), client(26)];
    check(&opened_with(53, 53, &[&begun[..], &[client(46), server(30)]].concat()), Hand::Nothing);
    check(&opened_with(53, 53, &[&begun[..], &[client(5000), server(30)]].concat()), Hand::Request);
}
