//! Connections that end well with an answer under way, in a network of their own, which can go.

use crate::puppet::{Address, Puppet};
use crate::stage::{Client, Container, Stage, client};
use shutdown_probe_common::connection::flag;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_common::record::{Record, connection_event};
use std::io::{self, Read, Write};
use std::mem::zeroed;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

/// What the server writes at a time.
const CHUNK: usize = 50_000;

/// A network that this thread, and what it starts from now on, has for itself.
struct Network(UdpSocket);

impl Network {
    fn new() -> Self {
        // SAFETY: it moves this thread alone, and nothing of it is shared.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", io::Error::last_os_error());
        let network = Self(UdpSocket::bind(("0.0.0.0", 0)).unwrap());
        let mut request = request();
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        network.ask(libc::SIOCSIFFLAGS, &request);
        network
    }

    /// Takes its one address, and with it the only route.
    fn withdraw(&self) {
        self.set_address(Ipv4Addr::UNSPECIFIED);
    }

    fn give_back(&self) {
        self.set_address(Ipv4Addr::LOCALHOST);
    }

    fn set_address(&self, address: Ipv4Addr) {
        let mut request = request();
        let mut data = [0; 14];
        for (place, byte) in data[2..].iter_mut().zip(address.octets()) {
            *place = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_addr =
            libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data: data };
        self.ask(libc::SIOCSIFADDR, &request);
    }

    fn ask(&self, what: libc::Ioctl, request: &libc::ifreq) {
        // SAFETY: the request is a whole ifreq with a terminated name, as netdevice(7) wants it, and outlives the call.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), what, std::ptr::from_ref(request)) };
        assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    }
}

/// Of the one interface.
fn request() -> libc::ifreq {
    // SAFETY: all fields of ifreq are integers, addresses of none: zero is a value of each.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request
}

/// A client that has asked and does not read, and the server's end of its connection.
struct Scene {
    network: Network,
    /// Goes before its container.
    server: Puppet,
    container: Container,
    stage: Stage,
    client: Client,
    fd: RawFd,
}

fn scene() -> Scene {
    let network = Network::new();
    let stage = Stage::new();
    let container = stage.container("service");
    let mut server = container.puppet();
    let (listener, port) = server.listen(Address::V4Loopback);
    stage.narrate(&container);
    let mut client = client(port);
    let fd = server.accept(listener);
    client.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    server.read(fd, 4096);
    Scene { network, server, container, stage, client, fd }
}

/// The events of the client's connection that came within a moment.
fn events(stage: &mut Stage, container: &Container) -> Vec<u8> {
    let records = stage.settled(container).into_iter();
    let events = records.filter_map(|record| match record {
        Record::Connection(connection) => Some(connection.event),
        _ => None,
    });
    events.filter(|event| *event != connection_event::OPENED).collect()
}

/// Writes more than the client has room for, and closes. How many bytes the kernel took.
fn ends_with_an_answer_under_way(scene: &mut Scene) -> usize {
    let Scene { server, container, stage, client, fd, .. } = scene;
    server.non_blocking(*fd);
    let taken = (0..100).map(|_| server.try_write(*fd, CHUNK)).take_while(|taken| *taken > 0);
    let taken = taken.sum::<i64>() as usize;
    assert!(taken > CHUNK, "the kernel took {taken} bytes");
    server.close(*fd);
    let end = stage.wait_connection(container, client.port, connection_event::ENDED);
    assert!(end.evidence.has(flag::UNDER_WAY), "{end:?}");
    assert!(Fate::from_wire(end.fate).unwrap().ended_well(), "{end:?}");
    taken
}

#[test]
fn what_the_client_takes_in_the_end_is_settled_once() {
    let mut scene = scene();
    let taken = ends_with_an_answer_under_way(&mut scene);
    let mut answer = Vec::new();
    scene.client.stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), taken);
    let Scene { container, stage, client, .. } = &mut scene;
    stage.wait_connection(container, client.port, connection_event::SETTLED);
    drop(scene.client);
    assert_eq!(
        events(&mut scene.stage, &scene.container),
        [connection_event::ENDED, connection_event::SETTLED]
    );
}

#[test]
fn what_finds_no_way_any_more_is_stranded_until_there_is_one() {
    let mut scene = scene();
    let taken = ends_with_an_answer_under_way(&mut scene);
    scene.network.withdraw();
    let Scene { container, stage, client, network, .. } = &mut scene;
    let stranded = stage.wait_connection(container, client.port, connection_event::STRANDED);
    assert!(stranded.evidence.undelivered > 0 && (stranded.evidence.undelivered as usize) < taken);
    network.give_back();
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), taken);
    stage.wait_connection(container, client.port, connection_event::SETTLED);
}

/// All that was written may have arrived: without an acknowledgement nobody can tell.
#[test]
fn what_was_sent_whole_is_not_stranded() {
    let mut scene = scene();
    scene.network.withdraw();
    scene.server.close(scene.fd);
    let end = scene.stage.wait_connection(&scene.container, scene.client.port, connection_event::ENDED);
    assert!(!end.evidence.has(flag::UNDER_WAY), "only our FIN is: {end:?}");
    assert_eq!(events(&mut scene.stage, &scene.container), [connection_event::ENDED]);
}

#[test]
fn a_client_that_gives_up_settles_it() {
    let mut scene = scene();
    ends_with_an_answer_under_way(&mut scene);
    // Closed with bytes that it has not read: a reset.
    let Scene { container, mut stage, client, server: _server, .. } = scene;
    let port = client.port;
    drop(client);
    stage.wait_connection(&container, port, connection_event::SETTLED);
}
