//! The rule that turns a client's record, and what the server said, into what the daemon must find.

use crate::client::{End, Record};
use shutdown_probe_common::fate::Fate;
use std::time::{Duration, Instant};

/// How long after the end refusals are still the shutdown's doing: the daemon is started so.
pub const LINGER: Duration = Duration::from_secs(3);

/// A run's end.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The stop signal, or else SIGKILL, or else the moment from which the server ends by itself.
    pub begin: Instant,
    /// When the last process was gone.
    pub gone: Instant,
}

/// What the server said about one client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// Requests it read.
    pub reads: usize,
    /// Answers it wrote in full.
    pub answers: usize,
    /// When it said so last.
    pub answered: Option<Instant>,
}

/// How a case decides what no record shows.
#[derive(Clone, Copy, Debug)]
pub struct Construction {
    /// What a request is that the server never read: in its accept queue, or accepted and ignored.
    pub unread: Fate,
    /// The bytes of this connection pass the probe by (MPTCP): the contract lets the daemon say that
    /// it does not know, never that something was lost where nothing was.
    pub opaque: bool,
    /// The client breaks the protocol: what becomes of it is anybody's guess.
    pub hostile: bool,
    /// Requests follow each other without pause, so that nobody can say on which side of the server's
    /// last read one arrived: lost is lost, by whichever name.
    pub racing: bool,
    /// The server's network is removed once it is gone.
    pub network_goes: bool,
}

impl Construction {
    /// Nothing is left to the case: an accepting server that reads what it is sent.
    pub const PLAIN: Self = Self {
        unread: Fate::UnreadRequest,
        opaque: false,
        hostile: false,
        racing: false,
        network_goes: false,
    };
}

/// The fates of which the daemon may find one.
pub type Fates = Vec<Fate>;

/// What became of this connection. None: it is no part of the termination.
pub fn fates(record: &Record, said: Said, window: Window, construction: Construction) -> Fates {
    let Some(started) = record.started else { return Fates::new() };
    if started > window.gone + LINGER {
        return Fates::new();
    }
    if construction.hostile {
        return Fate::ALL.to_vec();
    }
    match record.end {
        // Nothing ended it: whoever inherited the listener may still answer.
        None => vec![],
        Some((at, _)) if at < window.begin => vec![],
        Some((_, End::Refused)) => vec![Fate::Refused],
        // Its server never heard of it, and neither could anybody who looks over the server's shoulder.
        Some((_, End::Unreachable)) => vec![],
        Some((_, End::Aborted)) => vec![Fate::PeerAborted],
        Some((_, End::Left)) if record.outstanding() == 0 && record.leaves_politely => {
            vec![Fate::PeerClosed, Fate::Drained, Fate::ClosedIdle]
        }
        Some((_, End::Left)) if record.outstanding() == 0 => vec![Fate::PeerClosed],
        // The answer was written, and its end never came: nobody was there any more to send it.
        Some((at, End::Left))
            if construction.network_goes && at > window.gone && said.answers > record.answered =>
        {
            vec![Fate::UndeliveredResponse]
        }
        // It left with a request open: on the wire one that gave up and one that waits look alike.
        Some((_, End::Left)) => vec![Fate::NotMeasured, Fate::PeerClosed],
        Some((_, End::Fin | End::Reset)) => {
            let mut fates = ended_by_server(record, said, window, construction);
            if construction.opaque {
                fates.push(Fate::NotMeasured);
            }
            fates
        }
    }
}

fn ended_by_server(record: &Record, said: Said, window: Window, construction: Construction) -> Fates {
    let whole = record.outstanding() == 0;
    if construction.racing {
        let lost =
            [Fate::UnansweredRequest, Fate::UnreadRequest, Fate::NeverAccepted, Fate::RequestAfterClose];
        // Nothing asked, or everything answered: also one that was reset before it could ask.
        let kept = [Fate::Drained, Fate::ClosedIdle, Fate::NotMeasured];
        return if whole { kept.to_vec() } else { lost.to_vec() };
    }
    if record.half_closed && !whole {
        // Half-closed and waiting looks like gone on the wire, unless framing tells.
        return vec![Fate::NotMeasured, Fate::UnansweredRequest];
    }
    if record.crossed_fin && !whole {
        return vec![Fate::RequestAfterClose];
    }
    if let Some(fates) = of_framing(record, window) {
        return fates;
    }
    if whole && record.half_sent {
        // The contract: half a request head cannot be known, the daemon may say so.
        return vec![Fate::NotMeasured, Fate::UnansweredRequest, Fate::UnreadRequest];
    }
    if whole {
        let silent_in_queue = record.bytes_sent == 0 && construction.unread == Fate::NeverAccepted;
        return match record.last_answer {
            _ if silent_in_queue => vec![Fate::NotMeasured],
            // Written before the end began and received after: the contract has no word for it.
            Some(at) if at >= window.begin && said.answered.is_some_and(|at| at < window.begin) => {
                vec![Fate::Drained, Fate::ClosedIdle]
            }
            Some(at) if at >= window.begin => vec![Fate::Drained],
            _ => vec![Fate::ClosedIdle],
        };
    }
    if record.answer_begun || record.cut_record {
        let written = said.answers > record.answered;
        return vec![if written { Fate::UndeliveredResponse } else { Fate::TruncatedResponse }];
    }
    let settled = record.requests - record.outstanding();
    vec![if said.reads > settled { Fate::UnansweredRequest } else { construction.unread }]
}

/// Where what the client saw is less than certain on the wire.
fn of_framing(record: &Record, window: Window) -> Option<Fates> {
    use Fate::{ClosedIdle, Drained, NotMeasured, TruncatedResponse, UnansweredRequest};
    let whole = record.outstanding() == 0;
    let in_window = |moment: Option<Instant>| moment.is_some_and(|at| at >= window.begin);
    if whole && record.leaves_politely {
        return Some(vec![Fate::PeerClosed, Drained, ClosedIdle]);
    }
    if whole && record.ended_by_close && in_window(record.last_answer) {
        // The end of such an answer and its middle look alike: the daemon may take it for cut, as
        // likely at most, for whole, or not judge.
        return Some(vec![Drained, ClosedIdle, TruncatedResponse, NotMeasured]);
    }
    if whole && in_window(record.last_rejection) {
        // Streams that the server took back: told of, and yet not answered.
        return Some(vec![Drained, ClosedIdle, TruncatedResponse, UnansweredRequest]);
    }
    if record.secured && record.answer_begun && !record.cut_record {
        // Between two records of TLS, the middle of an answer looks like its end.
        return Some(vec![TruncatedResponse, UnansweredRequest, ClosedIdle, Drained, NotMeasured]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        let begin = Instant::now();
        Window { begin, gone: begin + Duration::from_secs(1) }
    }

    fn record(window: Window, requests: usize, answered: usize, end: End) -> Record {
        Record {
            port: 4711,
            started: Some(window.begin - Duration::from_secs(1)),
            requests,
            answered,
            bytes_sent: 30 * requests,
            last_answer: (answered > 0).then(|| window.begin - Duration::from_millis(500)),
            end: Some((window.begin + Duration::from_millis(3), end)),
            ..Record::default()
        }
    }

    #[test]
    fn the_server_says_whether_it_had_read() {
        let window = window();
        let record = record(window, 1, 0, End::Fin);
        let read = Said { reads: 1, ..Said::default() };
        assert_eq!(fates(&record, read, window, Construction::PLAIN), [Fate::UnansweredRequest]);
        assert_eq!(fates(&record, Said::default(), window, Construction::PLAIN), [Fate::UnreadRequest]);
        let queued = Construction { unread: Fate::NeverAccepted, ..Construction::PLAIN };
        assert_eq!(fates(&record, Said::default(), window, queued), [Fate::NeverAccepted]);
    }

    #[test]
    fn whoever_gives_up_when_the_network_is_gone_has_lost_what_was_written() {
        let window = window();
        let mut record = record(window, 1, 0, End::Left);
        let said = Said { reads: 1, answers: 1, answered: Some(window.begin) };
        let construction = Construction { network_goes: true, ..Construction::PLAIN };
        let gave_up = vec![Fate::NotMeasured, Fate::PeerClosed];
        assert_eq!(fates(&record, said, window, construction), gave_up, "while there was a server");
        record.end = Some((window.gone + Duration::from_millis(1), End::Left));
        assert_eq!(fates(&record, said, window, construction), [Fate::UndeliveredResponse]);
        assert_eq!(fates(&record, said, window, Construction::PLAIN), gave_up);
    }

    #[test]
    fn an_answer_in_the_window_is_drained_and_one_before_it_is_idle() {
        let window = window();
        let mut record = record(window, 1, 1, End::Fin);
        let said = Said { reads: 1, answers: 1, answered: None };
        assert_eq!(fates(&record, said, window, Construction::PLAIN), [Fate::ClosedIdle]);
        record.last_answer = Some(window.begin + Duration::from_millis(1));
        assert_eq!(fates(&record, said, window, Construction::PLAIN), [Fate::Drained]);
    }

    #[test]
    fn an_answer_that_was_written_but_not_received_is_undelivered() {
        let window = window();
        let mut record = record(window, 1, 0, End::Reset);
        record.answer_begun = true;
        let half = Said { reads: 1, ..Said::default() };
        assert_eq!(fates(&record, half, window, Construction::PLAIN), [Fate::TruncatedResponse]);
        let full = Said { reads: 1, answers: 1, answered: None };
        assert_eq!(fates(&record, full, window, Construction::PLAIN), [Fate::UndeliveredResponse]);
    }

    #[test]
    fn what_ended_before_or_began_long_after_is_no_part_of_it() {
        let window = window();
        let mut early = record(window, 1, 0, End::Reset);
        early.end = Some((window.begin - Duration::from_millis(1), End::Reset));
        assert!(fates(&early, Said::default(), window, Construction::PLAIN).is_empty());
        let mut later = record(window, 1, 0, End::Refused);
        later.started = Some(window.gone + LINGER + Duration::from_millis(1));
        assert!(fates(&later, Said::default(), window, Construction::PLAIN).is_empty());
        later.started = Some(window.gone + Duration::from_millis(1));
        assert_eq!(fates(&later, Said::default(), window, Construction::PLAIN), [Fate::Refused]);
    }
}
