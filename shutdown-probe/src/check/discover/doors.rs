//! Which of the ports that the service listens on is the one to check.
//!
//! Invariant: where more than one may be meant, none is chosen: to pass a service for its metrics port would be worse
//! than to ask.

use super::knock::{self, Answer};
use super::{Found, Service};
use crate::check::load::Request;
use crate::check::options::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long further ports are waited for once one answers.
const FURTHER: Duration = Duration::from_millis(300);
/// How long one that has been asked already may take for its answer, then.
const HESITANT: Duration = Duration::from_secs(1);
/// How long a service that answers, but only with errors of its own or in another protocol, may take to come round.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long a port is left in peace that gave no useful answer.
const PAUSE: Duration = Duration::from_millis(250);

/// The ports that are tried, all at the same time: one that never answers holds up no other.
#[derive(Debug)]
pub(super) struct Doors {
    /// What is asked, where the path was named: it tells ports apart.
    path: String,
    /// The load is somebody else's, and may speak what we do not.
    any_protocol: bool,
    /// The port that was named, or that served in an earlier run.
    known: Option<u16>,
    knocking: JoinSet<Door>,
    busy: BTreeSet<SocketAddr>,
    /// When each may be asked again.
    again: BTreeMap<SocketAddr, Instant>,
    /// What came back last, and who opened the listener.
    doors: BTreeMap<SocketAddr, Door>,
    /// When the first answered: HTTP at all, without an error of its own, in another protocol.
    first: Option<Instant>,
    first_good: Option<Instant>,
    first_foreign: Option<Instant>,
}

/// One that has been knocked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Door {
    address: SocketAddr,
    process: u32,
    answer: Answer,
    software: Option<String>,
}

/// What is to be checked.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    /// It is too early to say.
    None,
    /// This one.
    One(Door),
    /// None, and why.
    Refused(String),
}

impl Door {
    fn status(&self) -> Option<u16> {
        match self.answer {
            Answer::Http(status) => Some(status),
            _ => None,
        }
    }

    /// It does what it is asked.
    fn serves(&self) -> bool {
        self.status().is_some_and(|status| status < 400)
    }

    /// The service behind it.
    pub fn service(&self, found: &Found, ready_after: Duration) -> Service {
        let mut other_ports: Vec<u16> = found.tcp.keys().map(|(port, _)| *port).collect();
        other_ports.retain(|port| *port != self.address.port());
        other_ports.dedup();
        let (status, tls) = (self.status().unwrap_or_default(), self.answer == Answer::Tls);
        let software = self.software.clone();
        Service {
            address: self.address,
            process: self.process,
            status,
            tls,
            software,
            other_ports,
            ready_after,
        }
    }
}

impl Doors {
    /// Nobody has knocked yet.
    pub fn new(path: &str, any_protocol: bool, known: Option<u16>) -> Self {
        Self {
            path: path.to_owned(),
            any_protocol,
            known,
            knocking: JoinSet::new(),
            busy: BTreeSet::new(),
            again: BTreeMap::new(),
            doors: BTreeMap::new(),
            first: None,
            first_good: None,
            first_foreign: None,
        }
    }

    /// Asks there, unless an answer is awaited already, or has settled what is to be known of it.
    pub fn knock(&mut self, address: SocketAddr, process: u32, plan: &Plan) {
        let rests = self.again.get(&address).is_some_and(|again| *again > Instant::now());
        let serves = self.doors.get(&address).is_some_and(Door::serves);
        if !rests && !serves && self.busy.insert(address) {
            let request = Request::new(&plan.args.path, &plan.headers, address, false);
            self.knocking.spawn(async move {
                let (answer, software) = knock::knock(address, &request).await;
                Door { address, process, answer, software }
            });
        }
    }

    /// What came back last, by address.
    pub fn answers(&self) -> BTreeMap<SocketAddr, Answer> {
        self.doors.iter().map(|(address, door)| (*address, door.answer.clone())).collect()
    }

    /// What follows from the answers so far.
    pub fn choice(&mut self) -> Choice {
        while let Some(Ok(door)) = self.knocking.try_join_next() {
            self.busy.remove(&door.address);
            self.heard(door, Instant::now());
        }
        let waits = self.busy.iter().any(|address| !self.doors.contains_key(address));
        self.choose(waits, Instant::now())
    }

    fn heard(&mut self, door: Door, now: Instant) {
        if self.is_good(&door) {
            self.first_good.get_or_insert(now);
        }
        match door.status() {
            Some(_) => drop(self.first.get_or_insert(now)),
            None if door.answer.is_foreign() => drop(self.first_foreign.get_or_insert(now)),
            None => {}
        }
        self.again.insert(door.address, now + PAUSE);
        self.doors.insert(door.address, door);
    }

    /// `waits`: somebody who was asked has never answered yet.
    fn choose(&self, waits: bool, now: Instant) -> Choice {
        let past = |since: Option<Instant>, limit| since.is_some_and(|since| now - since >= limit);
        let good = self.such(|door| self.is_good(door));
        if good.is_empty() {
            return self.none_good(&past);
        }
        let is_settled = if waits { past(self.first_good, HESITANT) } else { past(self.first_good, FURTHER) };
        if let Some(known) = good.iter().find(|door| self.known == Some(door.address.port())) {
            return Choice::One((*known).clone());
        }
        if !is_settled {
            return Choice::None;
        }
        let fitting = self.such(Door::serves);
        match (good.as_slice(), fitting.as_slice()) {
            ([one], _) => Choice::One((*one).clone()),
            // A path that was named and that only one of them knows tells which.
            (_, [one]) if self.path != "/" => Choice::One((*one).clone()),
            _ => Choice::Refused(several(&format!("{}: {}", self.asked(), listed(&good)), &good)),
        }
    }

    /// Nothing useful was answered: that is final after a while, if something was.
    fn none_good(&self, past: &impl Fn(Option<Instant>, Duration) -> bool) -> Choice {
        if past(self.first, RECOVERY) {
            let bad = self.speaking(|_| true);
            return Choice::Refused(only_errors(&format!("{}: {}", self.asked(), listed(&bad))));
        }
        let all_foreign = self.doors.values().all(|door| door.answer.is_foreign());
        if past(self.first_foreign, RECOVERY) && all_foreign {
            let each =
                self.doors.values().map(|door| format!("port {} {}", door.address.port(), door.answer));
            return Choice::Refused(each.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; "));
        }
        Choice::None
    }

    fn asked(&self) -> String {
        format!("GET {}", self.path)
    }

    fn is_good(&self, door: &Door) -> bool {
        door.status().is_some_and(|status| status < 500) || (self.any_protocol && door.answer.is_foreign())
    }

    /// Those that answer HTTP with such a status; one for each port.
    fn speaking(&self, is_such: impl Fn(u16) -> bool) -> Vec<&Door> {
        self.such(|door| door.status().is_some_and(&is_such))
    }

    fn such(&self, is_such: impl Fn(&Door) -> bool) -> Vec<&Door> {
        let mut such: Vec<&Door> = self.doors.values().filter(|door| is_such(door)).collect();
        such.sort_by_key(|door| (door.address.port(), door.address));
        such.dedup_by_key(|door| door.address.port());
        such
    }
}

impl Drop for Doors {
    /// What is being asked is asked to its end: a service that counts its requests may never get over a client that
    /// goes away in the middle, and would be blamed for it.
    fn drop(&mut self) {
        self.knocking.detach_all();
    }
}

fn listed(doors: &[&Door]) -> String {
    let each = doors.iter().map(|door| {
        let port = door.address.port();
        door.status().map_or_else(
            || format!("port {port} {}", door.answer),
            |status| format!("port {port} answers with status {status}"),
        )
    });
    each.collect::<Vec<_>>().join(", ")
}

fn several(answers: &str, doors: &[&Door]) -> String {
    let port = doors.first().map_or(0, |door| door.address.port());
    format!(
        "more than one port answers HTTP ({answers}): say which one serves clients, as in --port {port}, or name a --path \
         that only that one knows"
    )
}

fn only_errors(answers: &str) -> String {
    format!(
        "it answers only with errors of its own ({answers}): what clients would lose of its work cannot be seen. Give it \
         what it needs (a database?), or name a --path that works without"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(path: &str, answers: &[(&str, Answer)]) -> (Doors, Instant) {
        let (mut doors, now) = (Doors::new(path, false, None), Instant::now());
        for (address, answer) in answers {
            let address = address.parse().expect("an address");
            doors.heard(Door { address, process: 1, answer: answer.clone(), software: None }, now);
        }
        (doors, now)
    }

    fn chosen(path: &str, answers: &[(&str, Answer)]) -> Option<u16> {
        let (doors, now) = doors(path, answers);
        assert_eq!(doors.choose(false, now), Choice::None, "others may come");
        match doors.choose(false, now + RECOVERY) {
            Choice::One(door) => Some(door.address.port()),
            _ => None,
        }
    }

    #[test]
    fn the_port_is_found_where_it_can_be_told() {
        let http = Answer::Http;
        assert_eq!(chosen("/", &[("127.0.0.1:80", http(404))]), Some(80));
        assert_eq!(
            chosen("/", &[("127.0.0.1:80", http(200)), ("[::1]:80", http(200))]),
            Some(80),
            "both families"
        );
        assert_eq!(chosen("/", &[("127.0.0.1:80", Answer::Tls), ("127.0.0.1:81", http(200))]), Some(81));
        assert_eq!(chosen("/", &[("127.0.0.1:80", http(503)), ("127.0.0.1:81", http(404))]), Some(81));
        let metrics_too = [("127.0.0.1:80", http(200)), ("127.0.0.1:9090", http(404))];
        assert_eq!(chosen("/orders", &metrics_too), Some(80), "the path tells");
        assert_eq!(chosen("/", &metrics_too), None, "the root of a metrics port answers too, often enough");
    }

    #[test]
    fn what_cannot_be_told_is_asked() {
        let both = [("127.0.0.1:81", Answer::Http(200)), ("127.0.0.1:80", Answer::Http(200))];
        let (doors, now) = doors("/", &both);
        let Choice::Refused(text) = doors.choose(false, now + FURTHER) else { panic!("{doors:?}") };
        assert!(
            text.contains("port 80 answers with status 200, port 81") && text.contains("--port 80"),
            "{text}"
        );
    }

    #[test]
    fn errors_of_its_own_are_no_service() {
        let (doors, now) = doors("/", &[("127.0.0.1:80", Answer::Http(500))]);
        assert_eq!(doors.choose(false, now + FURTHER), Choice::None, "it may come round");
        assert!(matches!(doors.choose(false, now + RECOVERY), Choice::Refused(_)));
    }

    #[test]
    fn another_protocol_is_said_before_long() {
        let both = [("127.0.0.1:80", Answer::Tls), ("[::1]:80", Answer::Tls)];
        let (doors, now) = doors("/", &both);
        assert_eq!(doors.choose(false, now + FURTHER), Choice::None, "a plain port may come");
        let Choice::Refused(text) = doors.choose(false, now + RECOVERY) else { panic!("{doors:?}") };
        assert_eq!(text.matches("port 80 speaks only TLS").count(), 1, "{text}");
    }

    #[test]
    fn a_load_of_somebody_elses_may_speak_anything() {
        let (mut doors, now) = (Doors::new("/", true, None), Instant::now());
        let address = "127.0.0.1:443".parse().expect("an address");
        doors.heard(Door { address, process: 1, answer: Answer::Tls, software: None }, now);
        assert!(matches!(doors.choose(false, now + FURTHER), Choice::One(_)));
    }

    #[test]
    fn one_that_hesitates_is_waited_for() {
        let (doors, now) = doors("/", &[("127.0.0.1:80", Answer::Http(200))]);
        assert_eq!(doors.choose(true, now + FURTHER), Choice::None);
        assert!(matches!(doors.choose(true, now + HESITANT), Choice::One(_)));
    }
}
