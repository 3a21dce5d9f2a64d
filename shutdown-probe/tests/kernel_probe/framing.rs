//! What applications read and write is followed, in whatever pieces of their memory it lies.

use crate::pieces::{Answer, Manner};
use crate::puppet::{Address, Puppet};
use crate::stage::{Client, Container, SHORTLY, Stage, client};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::framing::{Framed, Hand, framing_flag, protocol};
use shutdown_probe_common::record::connection_event;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::RawFd;
use std::thread::sleep;
use std::time::Duration;

/// TCP's clock ticks at least so often.
const TICK: Duration = Duration::from_millis(20);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// Its body looks like a request.
const POST: &[u8] = b"POST /form HTTP/1.1\r\nHost: a\r\nX-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\
                      Content-Length: 14\r\n\r\nGET / HTTP/1.1";

/// A container with one server.
struct Service {
    /// Goes first: a cgroup with processes cannot be removed.
    server: Puppet,
    container: Container,
    stage: Stage,
    listener: RawFd,
    port: u16,
}

impl Service {
    fn new() -> Self {
        let stage = Stage::new();
        let container = stage.container("service");
        let mut server = container.puppet();
        let (listener, port) = server.listen(Address::V4Loopback);
        Self { server, container, stage, listener, port }
    }

    fn connected(&mut self) -> (Client, RawFd) {
        let client = client(self.port);
        client.stream.set_nodelay(true).unwrap();
        (client, self.server.accept(self.listener))
    }

    /// A connection on which the server has read one request.
    fn asked(&mut self) -> (Client, RawFd) {
        let (mut client, fd) = self.connected();
        client.stream.write_all(GET).unwrap();
        assert_eq!(self.server.read(fd, 4096), GET.len() as i64);
        (client, fd)
    }

    fn answer(&mut self, client: &mut Client, fd: RawFd, answer: Answer, manner: Manner) {
        assert_eq!(self.server.say(fd, answer, manner, 0), answer.length() as i64);
        client.stream.read_exact(&mut vec![0; answer.length()]).unwrap();
    }

    /// Kills the server, when what it has written is long past.
    fn killed(self) -> Ended {
        sleep(TICK);
        self.server.kill();
        Ended { stage: self.stage, container: self.container }
    }
}

/// A service that is gone.
struct Ended {
    stage: Stage,
    container: Container,
}

impl Ended {
    /// What is known of a connection: HTTP/1, and nothing about it is guessed.
    fn of(&mut self, client: &Client) -> (Fate, Framed) {
        let end = self.stage.wait_connection(&self.container, client.port, connection_event::ENDED);
        let framed = end.evidence.framed;
        assert_eq!((framed.protocol, framed.flags & framing_flag::LIKELY), (protocol::HTTP1, 0), "{end:?}");
        (Fate::from_wire(end.fate).unwrap(), framed)
    }

    fn assert_idle(&mut self, client: &Client) {
        let (fate, framed) = self.of(client);
        assert_eq!((fate, framed.in_hand()), (Fate::ClosedIdle, Hand::Nothing));
    }

    fn assert_waiting(&mut self, client: &Client) {
        let (fate, framed) = self.of(client);
        assert_eq!((fate, framed.in_hand()), (Fate::UnansweredRequest, Hand::Request));
    }

    fn assert_cut(&mut self, client: &Client, begun: usize, answer: Answer) {
        let (fate, framed) = self.of(client);
        assert_eq!((fate, framed.in_hand()), (Fate::TruncatedResponse, Hand::Answer));
        assert_eq!((framed.begun, framed.expected), (begun as u64, answer.announced() as u64));
    }
}

#[test]
fn answers_are_followed_through_the_pieces_they_are_written_from() {
    for manner in [Manner::One, Manner::Pieces] {
        let mut service = Service::new();
        let [mut whole, mut cut, mut interim] = [(); 3].map(|()| service.asked());
        service.answer(&mut whole.0, whole.1, Answer::Whole, manner);
        service.answer(&mut cut.0, cut.1, Answer::Cut, manner);
        service.answer(&mut interim.0, interim.1, Answer::Interim, manner);
        let mut ended = service.killed();
        ended.assert_idle(&whole.0);
        ended.assert_cut(&cut.0, Answer::Cut.length(), Answer::Cut);
        ended.assert_waiting(&interim.0);
    }
}

/// Two requests, the first with a body, in packets of this length.
fn send_two(client: &mut Client, length: usize) -> usize {
    let requests = [POST, GET].concat();
    requests.chunks(length).for_each(|part| client.stream.write_all(part).unwrap());
    requests.len()
}

/// Reads all of it, at most so much at a time.
fn read_all(server: &mut Puppet, fd: RawFd, all: usize, most: usize) {
    let mut read = 0;
    while read < all {
        read += server.read_pieces(fd, most) as usize;
    }
    assert_eq!(read, all);
}

#[test]
fn requests_are_followed_through_the_pieces_they_are_read_into() {
    let mut service = Service::new();
    let mut waiting = Vec::new();
    let mut idle = Vec::new();
    for (packet, most) in [(4096, 2048), (4096, 1), (4096, 3), (4096, 60), (20, 2048), (1, 100)] {
        for answers in [1, 2] {
            let (mut client, fd) = service.connected();
            let all = send_two(&mut client, packet);
            read_all(&mut service.server, fd, all, most);
            (0..answers).for_each(|_| service.answer(&mut client, fd, Answer::Whole, Manner::One));
            if answers == 1 { waiting.push(client) } else { idle.push(client) }
        }
    }
    let mut ended = service.killed();
    waiting.iter().for_each(|client| ended.assert_waiting(client));
    idle.iter().for_each(|client| ended.assert_idle(client));
}

#[test]
fn what_was_looked_at_before_it_was_taken_counts_once() {
    let mut service = Service::new();
    let mut clients = Vec::new();
    for most in [2048, 40] {
        for answers in [1, 2] {
            let (mut client, fd) = service.connected();
            let all = send_two(&mut client, 4096);
            for length in [10, 200, 2048] {
                assert_eq!(service.server.peek_pieces(fd, length) as usize, length.min(all));
            }
            read_all(&mut service.server, fd, all, most);
            (0..answers).for_each(|_| service.answer(&mut client, fd, Answer::Whole, Manner::Pieces));
            clients.push((client, answers));
        }
    }
    let mut ended = service.killed();
    for (client, answers) in &clients {
        if *answers == 1 { ended.assert_waiting(client) } else { ended.assert_idle(client) }
    }
}

/// Takes what has come.
fn take(client: &mut Client, buffer: &mut [u8]) -> usize {
    match client.stream.read(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        read => read.unwrap(),
    }
}

#[test]
fn what_is_written_in_several_attempts_counts_once() {
    let mut service = Service::new();
    let (mut client, fd) = service.asked();
    client.stream.set_nonblocking(true).unwrap();
    service.server.non_blocking(fd);
    let (mut written, mut taken, mut attempts) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 20];
    while taken < Answer::Long.length() {
        if written < Answer::Long.length() {
            let more = service.server.try_say(fd, Answer::Long, Manner::Pieces, written) as usize;
            written += more;
            attempts += usize::from(more > 0);
        }
        taken += take(&mut client, &mut buffer);
    }
    assert!(attempts > 1, "all of it fitted at once");
    service.killed().assert_idle(&client);
}

#[test]
fn what_found_no_room_is_not_answered() {
    let mut service = Service::new();
    let (patient, fd) = service.asked();
    service.server.non_blocking(fd);
    let written = service.server.try_say(fd, Answer::Long, Manner::Pieces, 0) as usize;
    assert!(written > 0 && written < Answer::Long.length(), "{written}");
    let (blocked, fd) = service.asked();
    service.server.begin_to_say(fd, Answer::Long, Manner::Pieces);
    sleep(SHORTLY);
    let mut ended = service.killed();
    ended.assert_cut(&patient, written, Answer::Long);
    let (fate, framed) = ended.of(&blocked);
    assert_eq!((fate, framed.in_hand()), (Fate::TruncatedResponse, Hand::Answer));
    assert!(framed.begun > 0 && framed.begun < framed.expected, "{framed:?}");
    assert_eq!(framed.expected as usize, Answer::Long.announced());
}
