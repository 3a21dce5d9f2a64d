//! Each fate, brought about on purpose.

use crate::puppet::{Address, Puppet};
use crate::stage::{Client, Container, Directory, SHORTLY, Stage, assert_tuple, client};
use shutdown_probe::probe::{Settings, Status};
use shutdown_probe_common::connection::{flag, role};
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{Record, connection_event};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::thread::sleep;
use std::time::Duration;

/// TCP's clock ticks at least so often.
const TICK: Duration = Duration::from_millis(20);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

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
        Self::at(Address::V4Loopback)
    }

    fn at(address: Address) -> Self {
        Self::on(Stage::new(), address)
    }

    /// The same, judged by bytes alone.
    fn without_framing() -> Self {
        let settings = Settings { protocols: "none".parse().unwrap(), ..Settings::default() };
        Self::on(Stage::with(Directory::new(), settings), Address::V4Loopback)
    }

    fn on(stage: Stage, address: Address) -> Self {
        let container = stage.container("service");
        Self::inside(container, stage, address)
    }

    fn inside(container: Container, stage: Stage, address: Address) -> Self {
        let mut server = container.puppet();
        let (listener, port) = server.listen(address);
        Self { server, container, stage, listener, port }
    }

    /// A client, and the server's end of it.
    fn connected(&mut self) -> (Client, RawFd) {
        let client = client(self.port);
        (client, self.server.accept(self.listener))
    }

    /// A connection on which the server has read a request.
    fn asked(&mut self) -> (Client, RawFd) {
        let (mut client, fd) = self.connected();
        client.stream.write_all(REQUEST).unwrap();
        assert_eq!(self.server.read(fd, 4096), REQUEST.len() as i64);
        (client, fd)
    }

    /// A connection on which one request was answered.
    fn answered(&mut self) -> (Client, RawFd) {
        let (mut client, fd) = self.asked();
        self.server.write(fd, 100);
        client.stream.read_exact(&mut [0; 100]).unwrap();
        // What goes out at the tick of TCP's clock at which a termination begins is taken for its
        // own; these answers are not to be.
        sleep(TICK);
        (client, fd)
    }

    /// Kills the server. What is left can still be asked for the fates.
    fn killed(self) -> (Stage, Container, u16) {
        self.server.kill();
        (self.stage, self.container, self.port)
    }
}

#[test]
fn a_kill_leaves_each_connection_its_own_fate() {
    let mut service = Service::new();
    let (in_flight, _) = service.asked();
    let (idle, _) = service.answered();
    let (mut unread, _) = service.connected();
    unread.stream.write_all(REQUEST).unwrap();
    let mut waiting = client(service.port);
    waiting.stream.write_all(REQUEST).unwrap();
    let silent = client(service.port);
    sleep(SHORTLY);

    let pid = service.server.pid();
    let (mut stage, container, port) = service.killed();
    assert_eq!(stage.fate(&container, in_flight.port), Fate::UnansweredRequest);
    assert_eq!(stage.fate(&container, idle.port), Fate::ClosedIdle);
    assert_eq!(stage.fate(&container, unread.port), Fate::UnreadRequest);
    assert_eq!(stage.fate(&container, waiting.port), Fate::NeverAccepted);
    assert_eq!(stage.fate(&container, silent.port), Fate::NotMeasured);

    let end = stage.wait_connection(&container, in_flight.port, connection_event::ENDED);
    assert_tuple(&end.tuple, port, in_flight.port);
    assert_eq!((end.owner.tgid, end.role), (pid, role::SERVER));
    assert!(end.evidence.has(flag::CLOSER_EXITING | flag::ACCEPTED | flag::READ));
    assert_eq!((end.evidence.received, end.evidence.sent), (REQUEST.len() as u64, 0));
    let reset = stage.wait_connection(&container, unread.port, connection_event::ENDED);
    assert_tuple(&reset.tuple, port, unread.port);
    assert!(reset.evidence.has(flag::RESET_SENT));
    assert_eq!(reset.evidence.unread, REQUEST.len() as u32);
}

#[test]
fn after_the_kill_connections_are_refused() {
    let (mut stage, container, port) = Service::new().killed();
    let error = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let refused = stage.wait(&container, "a refusal", |record| match record {
        Record::Refused(refused) => Some(*refused),
        _ => None,
    });
    assert_tuple(&refused.tuple, port, refused.tuple.remote_port);
    assert_eq!(stage.counters(&container).fates[Fate::Refused as usize], 1);
}

#[test]
fn listeners_of_every_kind_refuse() {
    for address in [Address::V4Any, Address::V6Any, Address::Mptcp] {
        let (mut stage, container, port) = Service::at(address).killed();
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        stage.wait(&container, "a refusal", |record| matches!(record, Record::Refused(_)).then_some(()));
    }
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_is_seen_as_ipv4() {
    let mut service = Service::at(Address::V6Any);
    let (in_flight, _) = service.asked();
    let (mut stage, container, port) = service.killed();
    assert_eq!(stage.fate(&container, in_flight.port), Fate::UnansweredRequest);
    let end = stage.wait_connection(&container, in_flight.port, connection_event::ENDED);
    assert_tuple(&end.tuple, port, in_flight.port);
}

#[test]
fn a_request_that_crosses_the_end_moves_the_fate() {
    let mut service = Service::new();
    let (mut keep_alive, _) = service.answered();
    let (mut stage, container, port) = service.killed();
    assert_eq!(stage.fate(&container, keep_alive.port), Fate::ClosedIdle);
    keep_alive.stream.write_all(REQUEST).unwrap();
    assert_eq!(stage.revised(&container, keep_alive.port), Fate::RequestAfterClose);
    let revision = stage.wait_connection(&container, keep_alive.port, connection_event::REVISED);
    assert_eq!(Fate::from_wire(revision.previous_fate), Some(Fate::ClosedIdle));
    assert_tuple(&revision.tuple, port, keep_alive.port);
    assert_eq!(revision.evidence.unread as usize, REQUEST.len());
    let fates = stage.counters(&container).fates;
    assert_eq!((fates[Fate::ClosedIdle as usize], fates[Fate::RequestAfterClose as usize]), (0, 1));
}

#[test]
fn a_lingering_close_that_discards_a_request_moves_the_fate() {
    let mut service = Service::new();
    let (mut keep_alive, fd) = service.answered();
    service.stage.narrate(&service.container);
    service.server.shutdown_write(fd);
    assert_eq!(service.stage.fate(&service.container, keep_alive.port), Fate::ClosedIdle);
    keep_alive.stream.write_all(REQUEST).unwrap();
    assert_eq!(service.server.read(fd, 4096), REQUEST.len() as i64);
    keep_alive.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(service.server.read(fd, 4096), 0);
    service.server.close(fd);
    assert_eq!(service.stage.revised(&service.container, keep_alive.port), Fate::RequestAfterClose);
}

#[test]
fn a_lingering_close_that_hears_only_a_fin_stays_as_it_is() {
    let mut service = Service::new();
    let (keep_alive, fd) = service.answered();
    service.stage.narrate(&service.container);
    service.server.shutdown_write(fd);
    keep_alive.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(service.server.read(fd, 4096), 0);
    service.server.close(fd);
    assert_eq!(service.stage.fate(&service.container, keep_alive.port), Fate::ClosedIdle);
    let records = service.stage.settled(&service.container);
    assert!(!records.iter().any(|record| {
        matches!(record, Record::Connection(connection) if connection.event == connection_event::REVISED)
    }));
}

#[test]
fn what_is_answered_within_the_termination_is_drained() {
    let mut service = Service::new();
    let (mut in_flight, fd) = service.asked();
    let (idle, _) = service.answered();
    service.server.handle_stop();
    service.server.signal(libc::SIGTERM);
    sleep(TICK);
    service.server.write(fd, 100);
    in_flight.stream.read_exact(&mut [0; 100]).unwrap();
    service.server.exit(0);
    assert_eq!(service.stage.fate(&service.container, in_flight.port), Fate::Drained);
    assert_eq!(service.stage.fate(&service.container, idle.port), Fate::ClosedIdle);
}

#[test]
fn a_client_that_left_first_is_nobodys_fault() {
    let mut service = Service::new();
    service.stage.narrate(&service.container);
    let (content, fd) = service.answered();
    content.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(service.server.read(fd, 4096), 0);
    service.server.close(fd);
    assert_eq!(service.stage.fate(&service.container, content.port), Fate::PeerClosed);

    let (impatient, _) = service.asked();
    reset(impatient.stream);
    assert_eq!(service.stage.fate(&service.container, impatient.port), Fate::PeerAborted);

    let (ambiguous, fd) = service.asked();
    ambiguous.stream.shutdown(Shutdown::Write).unwrap();
    sleep(SHORTLY);
    service.server.close(fd);
    assert_eq!(service.stage.fate(&service.container, ambiguous.port), Fate::NotMeasured);
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = size_of_val(&linger) as libc::socklen_t;
    let value = (&raw const linger).cast();
    // SAFETY: the value has the length that is passed with it.
    let set =
        unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, length) };
    assert_eq!(set, 0);
}

#[test]
fn a_response_that_is_thrown_away_is_undelivered() {
    let mut service = Service::new();
    service.stage.narrate(&service.container);
    let (deaf, fd) = service.asked();
    service.server.non_blocking(fd);
    // More than both buffers hold: some of it is never acknowledged.
    let mut written = 0;
    while written < 64 << 20 {
        let more = service.server.try_write(fd, 1 << 16);
        if more <= 0 {
            break;
        }
        written += more;
    }
    service.server.linger_zero(fd);
    service.server.close(fd);
    assert_eq!(service.stage.fate(&service.container, deaf.port), Fate::UndeliveredResponse);
    let end = service.stage.wait_connection(&service.container, deaf.port, connection_event::ENDED);
    assert!(end.evidence.undelivered > 0 && end.evidence.has(flag::RESET_SENT));
}

#[test]
fn a_look_without_taking_is_no_read() {
    let mut service = Service::new();
    let (mut looked_at, fd) = service.connected();
    looked_at.stream.write_all(REQUEST).unwrap();
    assert_eq!(service.server.peek(fd), REQUEST.len() as i64);
    let (mut stage, container, _) = service.killed();
    assert_eq!(stage.fate(&container, looked_at.port), Fate::UnreadRequest);
    let end = stage.wait_connection(&container, looked_at.port, connection_event::ENDED);
    assert!(!end.evidence.has(flag::READ));
}

#[test]
fn half_a_request_read_and_half_left_is_unread() {
    let mut service = Service::new();
    let (mut split, fd) = service.connected();
    split.stream.write_all(REQUEST).unwrap();
    assert_eq!(service.server.read(fd, 4), 4);
    let (mut stage, container, _) = service.killed();
    assert_eq!(stage.fate(&container, split.port), Fate::UnreadRequest);
    let end = stage.wait_connection(&container, split.port, connection_event::ENDED);
    assert_eq!(end.evidence.unread as usize, REQUEST.len() - 4);
}

#[test]
fn the_containers_own_requests_are_told_apart() {
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stage = Stage::new();
    let container = stage.container("caller");
    let mut caller = container.puppet();
    let port = outside.local_addr().unwrap().port();
    let (unanswered, answered) = (caller.connect(port), caller.connect(port));
    let (_first, first) = outside.accept().unwrap();
    let (mut second, second_address) = outside.accept().unwrap();
    caller.write(unanswered, 10);
    caller.write(answered, 10);
    second.write_all(b"here").unwrap();
    assert_eq!(caller.read(answered, 4096), 4);
    caller.kill();

    let mut stage = stage;
    let mut fate_of = |local: u16| {
        stage.wait(&container, "the end of a request of its own", |record| match record {
            Record::Connection(end)
                if end.event == connection_event::ENDED && end.tuple.local_port == local =>
            {
                Some((Fate::from_wire(end.fate).unwrap(), end.role))
            }
            _ => None,
        })
    };
    assert_eq!(fate_of(first.port()), (Fate::OutboundUnanswered, role::CLIENT));
    assert_eq!(fate_of(second_address.port()), (Fate::OutboundClosed, role::CLIENT));
}

#[test]
fn a_client_without_mptcp_is_measured_on_an_mptcp_listener() {
    let mut service = Service::at(Address::Mptcp);
    let (in_flight, _) = service.asked();
    let (idle, _) = service.answered();
    let (mut stage, container, _) = service.killed();
    assert_eq!(stage.fate(&container, in_flight.port), Fate::UnansweredRequest);
    assert_eq!(stage.fate(&container, idle.port), Fate::ClosedIdle);
}

#[test]
fn an_mptcp_connection_is_not_measured() {
    let mut service = Service::at(Address::Mptcp);
    let mut client = mptcp_client(service.port);
    let fd = service.server.accept(service.listener);
    client.stream.write_all(REQUEST).unwrap();
    assert_eq!(service.server.read(fd, 4096), REQUEST.len() as i64);
    let (mut stage, container, _) = service.killed();
    let port = client.port;
    // Its subflows outlive it until both sides have said that they are done.
    drop(client);
    assert_eq!(stage.fate(&container, port), Fate::NotMeasured);
    let end = stage.wait_connection(&container, port, connection_event::ENDED);
    assert!(end.evidence.has(flag::OPAQUE), "{end:?}");
}

/// A client that speaks MPTCP.
fn mptcp_client(port: u16) -> Client {
    // SAFETY: plain values; the descriptor is nobody else's.
    let stream = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        TcpStream::from_raw_fd(fd)
    };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address has the length that is passed with it.
    let connected = unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), length) };
    assert_eq!(connected, 0, "{}", std::io::Error::last_os_error());
    Client { port: stream.local_addr().unwrap().port(), stream }
}

#[test]
fn one_listener_of_several_may_close() {
    let mut service = Service::new();
    let (spare, spare_port) = service.server.listen(Address::V4Loopback);
    service.stage.narrate(&service.container);
    service.server.close(spare);
    TcpStream::connect(("127.0.0.1", spare_port)).unwrap_err();
    service.stage.wait_counted(&service.container, Fate::Refused, 1);
    let (_still, _) = service.connected();
    assert_eq!(service.stage.counters(&service.container).fates[Fate::Refused as usize], 1);
}

#[test]
fn switched_off_framing_is_said_and_bytes_alone_judge() {
    let mut service = Service::without_framing();
    let verdicts = service.stage.probes.verdicts().iter();
    let framing = verdicts.filter(|verdict| verdict.probe == "framing").collect::<Vec<_>>();
    assert_eq!(framing.iter().map(|verdict| verdict.status).collect::<Vec<_>>(), [Status::SwitchedOff]);
    assert_eq!(framing[0].fates_lost, [Fate::TruncatedResponse]);
    let (waiting, _) = service.asked();
    let (idle, _) = service.answered();
    let (mut stage, container, _) = service.killed();
    assert_eq!(stage.fate(&container, waiting.port), Fate::UnansweredRequest);
    assert_eq!(stage.fate(&container, idle.port), Fate::ClosedIdle);
    let record = stage.wait_connection(&container, waiting.port, connection_event::ENDED);
    assert_eq!((record.evidence.framed.protocol, record.evidence.framed.hand), (0, 0));
}

#[test]
fn what_was_answered_since_another_process_ended_well_is_not_drained() {
    for (status, expected) in [(0, Fate::ClosedIdle), (1, Fate::Drained)] {
        let stage = Stage::new();
        let container = stage.container("service");
        // With 0 a runtime's first step; with 1 the beginning of the end.
        container.puppet().exit(status);
        sleep(TICK);
        let mut service = Service::inside(container, stage, Address::V4Loopback);
        let (idle, _) = service.answered();
        let Service { server, container, mut stage, .. } = service;
        server.exit(1);
        assert_eq!(stage.fate(&container, idle.port), expected, "after status {status}");
    }
}
