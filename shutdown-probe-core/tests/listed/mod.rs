//! Which connections a report lists, and what it says of their beginnings.

use crate::script::{Script, instant};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::input::{FateName, Handler, Input, Role};
use shutdown_probe_core::report::{LISTED_CONNECTIONS, Opened, Phase, Termination, Unsevered};

const BEFORE: Opened = Opened { opened_at: None, opened_before: true };
const NOT_SEEN: Opened = Opened { opened_at: None, opened_before: false };

const fn at(seconds: f64) -> Opened {
    Opened { opened_at: Some(seconds), opened_before: false }
}

/// Port, fate, beginning, end and phase of what is listed as unsevered.
fn unsevered(report: &Termination) -> Vec<(&str, &str, Opened, f64, Phase)> {
    report.unsevered.iter().map(described).collect()
}

fn described(it: &Unsevered) -> (&str, &str, Opened, f64, Phase) {
    (it.peer.trim_start_matches("127.0.0.1:"), &it.evidence, it.opened, it.at, it.phase)
}

#[test]
fn each_has_its_beginning_as_far_as_that_was_seen() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).at(1_100).opened(5002).opened(5003);
    script.at(1_200).closed(5001, Fate::Drained).closed(5002, Fate::ClosedIdle);
    script.died(5003, Fate::UnansweredRequest).died(5004, Fate::UnreadRequest);
    script.ended(5005, Fate::PeerClosed, |connection| connection.opened_in_window = true);
    script.exit(1, Some(0), None).empty().at(2_000).refused(5006);
    let report = script.report();
    let found: Vec<_> = report.severed.iter().map(|it| (it.evidence.as_str(), it.opened)).collect();
    assert_eq!(found, [("unanswered_request", at(1.1)), ("unread_request", BEFORE), ("refused", at(2.0))]);
    assert_eq!(
        unsevered(&report),
        [
            ("5001", "drained", BEFORE, 1.2, Phase::Draining),
            ("5002", "closed_idle", at(1.1), 1.2, Phase::Draining),
            ("5005", "peer_closed", NOT_SEEN, 1.2, Phase::Draining),
        ]
    );
}

#[test]
fn of_its_own_connections_only_a_cut_request_is_listed() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    script.ended(443, Fate::OutboundUnanswered, |connection| connection.role = Role::Client);
    script.ended(444, Fate::OutboundClosed, |connection| connection.role = Role::Client);
    let report = script.exit(1, Some(0), None).empty().report();
    assert_eq!(unsevered(&report), [("443", "outbound_unanswered", BEFORE, 1.0, Phase::Draining)]);
}

#[test]
fn a_revised_fate_moves_it_to_the_other_list() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed).closed(5001, Fate::ClosedIdle);
    let mut connection = script.connection(5001, Fate::RequestAfterClose);
    connection.at = instant(1_001);
    script.input(Input::ConnectionRevised { connection, previous: FateName(Fate::ClosedIdle) });
    let report = script.exit(1, Some(0), None).empty().report();
    assert_eq!(report.unsevered, []);
    assert_eq!(report.severed.len(), 1);
}

#[test]
fn idle_ones_take_no_room_from_severed_ones_and_totals_go_on() {
    let mut script = Script::serving(1);
    script.at(1_000).sigterm(Handler::Installed);
    for port in 0..2 * LISTED_CONNECTIONS as u16 {
        script.closed(port + 1, Fate::ClosedIdle);
    }
    let report = script.died(9_000, Fate::UnansweredRequest).exit(1, Some(0), None).empty().report();
    assert_eq!((report.unsevered.len(), report.severed.len()), (LISTED_CONNECTIONS, 1));
    assert_eq!(report.connections_by_fate["closed_idle"], 2 * LISTED_CONNECTIONS as u64);
}
