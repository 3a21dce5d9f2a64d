//! HTTP/2 as the `h2` crate reads its frames, with streams kept in a set.

use h2::frame::{GoAway, Head, Kind, Ping, Reset, StreamId};
use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, Hand, feed};
use std::collections::BTreeMap;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;

/// Frames of both directions, made of `data`: direction and payload's length, type, flags, stream (two bytes).
pub fn check(data: &[u8]) {
    let mut framing = Framing::default();
    framing.begin(0, 0, false);
    feed(&mut framing, Inbound, PREFACE);
    let mut streams = Streams::default();
    let mut rest = data;
    while let [how, kind, flags, high, low, tail @ ..] = rest {
        let direction = if how & 1 == 0 { Inbound } else { Outbound };
        let (payload, tail) = tail.split_at(usize::from(how >> 3).min(tail.len()));
        rest = tail;
        let stream = u32::from(u16::from_be_bytes([high & 3, *low])) << (high >> 4 & 8);
        let frame = frame(kind % 12, *flags, stream, payload);
        feed(&mut framing, direction, &frame);
        if streams.take(direction, &frame).is_none() {
            return;
        }
        streams.compare(&framing);
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    Head::new(Kind::new(kind), flags, StreamId::from(stream)).encode(payload.len(), &mut frame);
    frame[3] = kind;
    frame.extend_from_slice(payload);
    frame
}

/// Open streams, and whether their answer was begun.
#[derive(Default)]
struct Streams {
    open: BTreeMap<u32, bool>,
    last: u32,
    allowed: Option<u32>,
    /// A stream was ended that is too old to be known by number.
    is_guess: bool,
}

impl Streams {
    /// None: the connection would end here.
    fn take(&mut self, direction: Direction, frame: &[u8]) -> Option<()> {
        let head = Head::parse(frame);
        let payload = &frame[9..];
        let (stream, end) = (u32::from(head.stream_id()), head.flag() & END_STREAM != 0);
        let of_stream = matches!(
            head.kind(),
            Kind::Data
                | Kind::Headers
                | Kind::Priority
                | Kind::Reset
                | Kind::PushPromise
                | Kind::Continuation
        );
        let of_connection = matches!(head.kind(), Kind::Settings | Kind::Ping | Kind::GoAway);
        if of_stream && stream == 0 || of_connection && stream != 0 {
            return None;
        }
        match head.kind() {
            Kind::Reset => {
                Reset::load(head, payload).ok()?;
            }
            Kind::Ping => {
                Ping::load(head, payload).ok()?;
            }
            Kind::WindowUpdate if payload.len() != 4 => return None,
            Kind::GoAway => {
                let last = u32::from(GoAway::load(head, payload).ok()?.last_stream_id());
                if direction == Outbound {
                    self.allowed = Some(last);
                }
            }
            _ => {}
        }
        match direction {
            Inbound => self.client(head.kind(), stream),
            Outbound => self.server(head.kind(), stream, end),
        }
    }

    fn client(&mut self, kind: Kind, stream: u32) -> Option<()> {
        match kind {
            Kind::PushPromise => return None,
            Kind::Headers if stream.is_multiple_of(2) => return None,
            Kind::Headers if stream > self.last => {
                self.last = stream;
                self.open.insert(stream, false);
            }
            Kind::Reset if stream % 2 == 1 && stream > self.last => return None,
            Kind::Reset => self.end(stream),
            _ => {}
        }
        Some(())
    }

    fn server(&mut self, kind: Kind, stream: u32, end: bool) -> Option<()> {
        if stream.is_multiple_of(2) || !matches!(kind, Kind::Data | Kind::Headers | Kind::Reset) {
            return Some(());
        }
        if stream > self.last {
            return None;
        }
        if let Some(begun) = self.open.get_mut(&stream) {
            *begun = true;
        }
        if end || kind == Kind::Reset {
            self.end(stream);
        }
        Some(())
    }

    fn end(&mut self, stream: u32) {
        let was_open = self.open.remove(&stream).is_some();
        self.is_guess |= !was_open && stream % 2 == 1 && stream <= self.last && self.is_old(stream);
    }

    fn is_old(&self, stream: u32) -> bool {
        (self.last - stream) / 2 >= 128
    }

    fn compare(&self, framing: &Framing) {
        let mut framed = Framed::default();
        framing.frame(&mut framed);
        assert!(framing.is_followed());
        if self.is_guess {
            return;
        }
        // Old streams have no numbers, so no GOAWAY refuses them.
        let is_allowed = |stream: u32| self.is_old(stream) || self.allowed.is_none_or(|last| stream <= last);
        let allowed: Vec<_> = self.open.iter().filter(|(stream, _)| is_allowed(**stream)).collect();
        assert_eq!(framed.streams, allowed.len() as u32, "{:?}", self.open);
        let expected = match allowed.iter().map(|(_, begun)| **begun).max() {
            Some(true) => Hand::Answer,
            Some(false) => Hand::Request,
            None => Hand::Nothing,
        };
        if !self.open.keys().any(|stream| self.is_old(*stream)) {
            assert_eq!(framed.in_hand(), expected);
        }
    }
}
