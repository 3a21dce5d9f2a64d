//! Clients that are programs of others: they say what they see, and their words make the record.
//!
//! `client PORT EVENT [STREAM]`: `connected`, `asked`, `begun`, `answered` and `cancelled` with the
//! number of a request, at last `fin`, `reset` or `left`.

use super::record::{End, Record};
use std::collections::HashSet;
use std::time::Instant;

/// What a program said of the connection from this port.
pub fn record<'a>(port: u16, lines: impl Iterator<Item = (Instant, &'a str)>) -> Record {
    let mut record = Record { port, leaves_politely: true, ..Record::default() };
    let mut begun = HashSet::new();
    for (at, line) in lines {
        let mut words = line.split_whitespace();
        if words.next() != Some("client") || words.next() != Some(&port.to_string()) {
            continue;
        }
        let (event, stream) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let end = match event {
            "connected" => {
                (record.started, record.connected) = (Some(at), Some(at));
                None
            }
            "asked" => {
                record.requests += 1;
                None
            }
            "begun" => {
                begun.insert(stream);
                None
            }
            "answered" => {
                begun.remove(stream);
                record.answered += 1;
                record.last_answer = Some(at);
                None
            }
            "cancelled" => {
                begun.remove(stream);
                record.cancelled += 1;
                None
            }
            "fin" => Some(End::Fin),
            "reset" => Some(End::Reset),
            "left" => Some(End::Left),
            _ => None,
        };
        record.end = record.end.or(end.map(|end| (at, end)));
    }
    record.answer_begun = !begun.is_empty();
    record.bytes_sent = record.requests;
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_a_record() {
        let now = Instant::now();
        let lines = [
            "client 7 connected",
            "client 7 asked 0",
            "client 7 asked 1",
            "client 7 asked 2",
            "client 77 asked 3",
            "client 7 begun 0",
            "client 7 begun 1",
            "client 7 answered 0",
            "client 7 cancelled 2",
            "client 7 fin",
            "client 7 left",
        ];
        let record = record(7, lines.into_iter().map(|line| (now, line)));
        assert_eq!((record.requests, record.answered, record.cancelled), (3, 1, 1));
        assert!(record.answer_begun);
        assert_eq!(record.end, Some((now, End::Fin)));
    }
}
