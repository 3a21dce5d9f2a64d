//! What applications read and write is followed, in whatever pieces of their memory it lies.

use crate::pieces::{Answer, Manner};
use crate::puppet::{Address, Puppet};
use crate::stage::{Client, Container, Directory, SHORTLY, Stage, client};
use shutdown_probe::probe::Settings;
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
        Self::following("http1,http2,tls")
    }

    /// The same, with these protocols alone.
    fn following(protocols: &str) -> Self {
        let settings = Settings { protocols: protocols.parse().unwrap(), ..Settings::default() };
        let stage = Stage::with(Directory::new(), settings);
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

    /// A connection on which the server has read these bytes.
    fn told(&mut self, bytes: &[u8]) -> Client {
        let (mut client, fd) = self.connected();
        client.stream.write_all(bytes).unwrap();
        assert_eq!(self.server.read(fd, 4096), bytes.len() as i64);
        client
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
        let (fate, framed) = self.of_any(client);
        assert_eq!(
            (framed.protocol, framed.flags & framing_flag::LIKELY),
            (protocol::HTTP1, 0),
            "{framed:?}"
        );
        (fate, framed)
    }

    fn of_any(&mut self, client: &Client) -> (Fate, Framed) {
        let end = self.stage.wait_connection(&self.container, client.port, connection_event::ENDED);
        (Fate::from_wire(end.fate).unwrap(), end.evidence.framed)
    }

    fn assert_protocol(&mut self, client: &Client, followed: u8, fate: Fate) {
        let (found, framed) = self.of_any(client);
        assert_eq!((framed.protocol, found), (followed, fate), "{framed:?}");
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

/// A client's beginning of HTTP/2 (RFC 9113): the preface, SETTINGS without settings, and a request for stream 1 that
/// has its end.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\x01\x82";
/// The head of a record of TLS (RFC 8446, section 5.1): four bytes of a handshake, whatever they say.
const HANDSHAKE: &[u8] = b"\x16\x03\x01\0\x04\x01\0\0\0";

#[test]
fn what_is_not_to_be_followed_is_judged_by_its_bytes() {
    use protocol::{HTTP1, TLS, UNKNOWN};
    for (protocols, http1, http2, tls) in [
        ("http1", HTTP1, UNKNOWN, UNKNOWN),
        ("http2", UNKNOWN, protocol::HTTP2, UNKNOWN),
        ("tls", UNKNOWN, UNKNOWN, TLS),
        ("http1,tls", HTTP1, UNKNOWN, TLS),
        ("none", protocol::UNSEEN, protocol::UNSEEN, protocol::UNSEEN),
    ] {
        let mut service = Service::following(protocols);
        let (mut cut, fd) = service.asked();
        service.answer(&mut cut, fd, Answer::Cut, Manner::One);
        let stream = service.told(HTTP2);
        let handshake = service.told(HANDSHAKE);
        let mut ended = service.killed();
        // By its bytes, whatever was written last is an answer, and whatever was read last a request.
        let of_cut = if http1 == HTTP1 { Fate::TruncatedResponse } else { Fate::ClosedIdle };
        let of_handshake = if tls == TLS { Fate::ClosedIdle } else { Fate::UnansweredRequest };
        ended.assert_protocol(&cut, http1, of_cut);
        ended.assert_protocol(&stream, http2, Fate::UnansweredRequest);
        ended.assert_protocol(&handshake, tls, of_handshake);
    }
}
