//! What framing adds to a fate: which protocol it was, how much of an answer is missing, how many
//! streams were cut. Here is what a client knows of it, and the daemon's words are held against that.

use crate::api::{Severed, Termination};
use crate::client::{End, Protocol, Seen, Unfinished};
use crate::stage::{PlayedClient, PlayedRun};
use shutdown_probe_common::fate::Fate;
use std::ops::RangeInclusive;

/// The fates that a request has which the server began to work on.
const IN_HAND: [Fate; 3] = [Fate::UnansweredRequest, Fate::TruncatedResponse, Fate::UndeliveredResponse];

/// What a client knows of the framing on its connection.
#[derive(Clone, Debug)]
pub struct Framing {
    /// How the daemon is to call what was spoken; `None`: by any name.
    pub protocol: Option<&'static str>,
    /// Whether all that the daemon needs to know can be read on the wire; `None`: that is its own affair.
    pub exact: Option<bool>,
    /// How many streams were cut: more than one number only where the server itself told of some.
    pub streams: Streams,
    /// The answer of HTTP/1 that was cut, where all that was sent of it has arrived.
    pub cut: Option<Unfinished>,
}

type Streams = RangeInclusive<u64>;

impl Framing {
    /// This protocol, and no streams.
    pub fn of(protocol: Option<&'static str>) -> Self {
        Self { protocol, exact: None, streams: 0..=0, cut: None }
    }
}

/// What this client knows.
pub fn of(seen: &Seen<'_>) -> Framing {
    let record = &seen.record;
    if seen.hostile || seen.target.multipath {
        return Framing { streams: 0..=u64::MAX, ..Framing::of(None) };
    }
    if seen.target.security.is_some() {
        return Framing::of(Some("tls"));
    }
    match seen.protocol {
        Protocol::Http1 => Framing {
            // The end of an answer that only the close delimits cannot be told from its middle.
            exact: Some(!record.ended_by_close),
            cut: record.unfinished.filter(|_| matches!(record.end, Some((_, End::Fin)))),
            ..Framing::of(Some("http1"))
        },
        Protocol::Http2 | Protocol::Frames => {
            let open = record.outstanding() as u64;
            // What the server has refused, by GOAWAY or by a reset, was cut, and yet the client knows.
            let least = open.saturating_sub(record.refused as u64);
            let streams = least..=open + record.rejected as u64;
            Framing { exact: Some(true), streams, ..Framing::of(Some("http2")) }
        }
        Protocol::Lines => Framing::of(Some("unknown")),
    }
}

/// What the daemon says of framing, against what the clients know.
pub fn compare(run: &PlayedRun, found: &Termination) -> Vec<String> {
    let mut differences = Vec::new();
    for severed in &found.severed {
        if let Some(client) = run.clients.iter().find(|client| client.peer == severed.peer) {
            differences.extend(of_connection(client, severed));
        }
    }
    let sum: u64 = found.severed.iter().filter_map(|severed| severed.streams_severed).sum();
    if found.streams_severed_total != Some(sum) {
        let total = found.streams_severed_total;
        differences.push(format!("streams_severed_total is {total:?}, its connections have {sum}"));
    }
    differences
}

fn of_connection(client: &PlayedClient, severed: &Severed) -> Vec<String> {
    let truth = &client.framing;
    let in_hand = IN_HAND.iter().any(|fate| fate.as_str() == severed.evidence);
    let truncated = severed.evidence == Fate::TruncatedResponse.as_str();
    let mut differences = Vec::new();
    let mut check = |holds: bool, what: &str, expected: String, found: String| {
        if !holds {
            differences.push(format!("{}: {what}: expected {expected}, found {found}", client.peer));
        }
    };
    if let Some(protocol) = truth.protocol {
        let said = severed.protocol.as_deref();
        // Of what the server never read, nobody has seen the beginning.
        let holds = said == Some(protocol) || !in_hand && said == Some("unknown");
        check(holds, "protocol", protocol.into(), format!("{said:?}"));
    }
    let confidence = severed.confidence.as_deref();
    let exact = truth.exact.filter(|_| in_hand).map(|exact| if exact { "exact" } else { "likely" });
    let known = matches!(confidence, Some("exact" | "likely"));
    let holds = known && exact.is_none_or(|exact| confidence == Some(exact));
    check(holds, "confidence", exact.unwrap_or("exact or likely").into(), format!("{confidence:?}"));
    let streams = &truth.streams;
    let holds = severed.streams_severed.is_some_and(|count| streams.contains(&count));
    check(holds, "streams_severed", format!("{streams:?}"), format!("{:?}", severed.streams_severed));
    if let (Some(cut), true) = (truth.cut, truncated) {
        let expected = cut.expected.map(|bytes| bytes as u64);
        let found = severed.expected_bytes;
        check(found == expected, "expected_bytes", format!("{expected:?}"), format!("{found:?}"));
        let received = Some(cut.received as u64);
        let found = severed.response_bytes;
        check(found == received, "response_bytes", format!("{received:?}"), format!("{found:?}"));
    }
    if truth.protocol.is_some_and(|protocol| protocol != "http1" || !truncated) {
        let found = severed.expected_bytes;
        check(found.is_none(), "expected_bytes", "none".into(), format!("{found:?}"));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn differences(framing: Framing, change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut said = json!({
            "peer": "127.0.0.1:1", "evidence": "truncated_response", "protocol": "http1", "confidence": "exact",
            "streams_severed": 0, "response_bytes": 40, "expected_bytes": 50,
        });
        change(&mut said);
        let fates = vec![Fate::TruncatedResponse];
        let client = PlayedClient { peer: "127.0.0.1:1".into(), ended: None, fates, framing, late: false };
        of_connection(&client, &serde_json::from_value(said).expect("the contract's JSON"))
    }

    fn http1() -> Framing {
        let cut = Some(Unfinished { received: 40, expected: Some(50) });
        Framing { exact: Some(true), cut, ..Framing::of(Some("http1")) }
    }

    #[test]
    fn every_word_counts() {
        assert_eq!(differences(http1(), |_| ()), Vec::<String>::new());
        let changes = [
            ("protocol", json!("unknown")),
            ("confidence", json!("likely")),
            ("confidence", json!(null)),
            ("streams_severed", json!(1)),
            ("streams_severed", json!(null)),
            ("response_bytes", json!(41)),
            ("expected_bytes", json!(null)),
        ];
        for (field, value) in changes {
            assert_eq!(differences(http1(), |said| said[field] = value.clone()).len(), 1, "{field} {value}");
        }
    }

    #[test]
    fn what_was_never_read_may_be_unknown() {
        let unread = |said: &mut Value| {
            said["evidence"] = json!("unread_request");
            said["protocol"] = json!("unknown");
            said["confidence"] = json!("likely");
            said["expected_bytes"] = json!(null);
        };
        assert_eq!(differences(http1(), unread), Vec::<String>::new());
    }

    #[test]
    fn streams_are_counted() {
        let http2 = Framing { exact: Some(true), streams: 2..=3, ..Framing::of(Some("http2")) };
        for (count, expected) in [(1, 1), (2, 0), (3, 0), (4, 1)] {
            let found = differences(http2.clone(), |said| {
                said["protocol"] = json!("http2");
                said["streams_severed"] = json!(count);
                said["expected_bytes"] = json!(null);
            });
            assert_eq!(found.len(), expected, "{found:?}");
        }
    }
}
