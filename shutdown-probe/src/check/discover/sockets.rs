//! The kernel's tables of sockets, as /proc shows them: who listens where.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`, as /proc/net/tcp prints it.
const LISTENING: &str = "0A";
/// `TCP_ESTABLISHED`.
const CONNECTED: &str = "01";
/// `TCP_CLOSE`: how /proc/net/udp prints a socket that is bound and not connected.
const UNCONNECTED: &str = "07";
/// `__SO_ACCEPTCON`: the flag of a listening Unix socket.
const ACCEPTING: &str = "00010000";

/// Sockets on which something can be received, each with its inode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Listening TCP sockets.
    pub tcp: Vec<(u64, SocketAddr)>,
    /// Bound UDP sockets.
    pub udp: Vec<(u64, SocketAddr)>,
    /// Listening Unix sockets, by path; empty for one without a name.
    pub unix: Vec<(u64, String)>,
}

impl Tables {
    /// Those of the network namespace in which this process lives.
    pub fn of(process: u32) -> Self {
        let read =
            |table: &str| fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        let both = |four: &str, six: &str, state: &str| {
            let mut found = inet(&read(four), state);
            found.extend(inet(&read(six), state));
            found
        };
        Self {
            tcp: both("tcp", "tcp6", LISTENING),
            udp: both("udp", "udp6", UNCONNECTED),
            unix: unix(&read("unix")),
        }
    }
}

/// Whether a client is connected to this port, in the network namespace in which this process lives.
pub fn has_client(process: u32, port: u16) -> bool {
    let read = |table: &str| fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
    let connected = ["tcp", "tcp6"].into_iter().flat_map(|table| inet(&read(table), CONNECTED));
    connected.into_iter().any(|(_, local)| local.port() == port)
}

/// The sockets that each of these processes holds: inode → process.
pub fn owners(processes: &[u32]) -> HashMap<u64, u32> {
    let mut owners = HashMap::new();
    for &process in processes {
        for descriptor in fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten() {
            let link = fs::read_link(descriptor.path()).unwrap_or_default();
            let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                // The first that holds it is the oldest: a worker inherits it from its master.
                owners.entry(inode).or_insert(process);
            }
        }
    }
    owners
}

/// The sockets of this state in a table of the form of /proc/net/tcp.
fn inet(table: &str, state: &str) -> Vec<(u64, SocketAddr)> {
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields.get(3) == Some(&state))
            .then(|| Some((fields.get(9)?.parse().ok()?, address(fields.get(1)?)?)))
            .flatten()
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// `0100007F:1F90`: each 32-bit word of the address in the byte order of the machine, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(host.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match host.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

fn unix(table: &str) -> Vec<(u64, String)> {
    let socket = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields.get(3) == Some(&ACCEPTING))
            .then(|| Some((fields.get(6)?.parse().ok()?, fields.get(7).unwrap_or(&"").to_string())))
            .flatten()
    };
    table.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[test]
    fn only_listeners_are_listed() {
        let lines = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
                     1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        let expected = [(4711, "127.0.0.1:8080".parse().expect("an address"))];
        assert_eq!(inet(&format!("{HEAD}{lines}"), LISTENING), expected);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_word_by_word() {
        let parsed = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(parsed("00000000000000000000000001000000:0050").as_deref(), Some("[::1]:80"));
        assert_eq!(parsed("0000000000000000FFFF00000100007F:0050").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(parsed("00000000:0050").as_deref(), Some("0.0.0.0:80"));
        for wrong in ["", "00:1", "0100007F", "0100007F:10000"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn unix_sockets_that_accept_have_a_flag() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0: 00000002 00000000 00010000 0001 01 22 /run/app.sock\n\
                     0: 00000003 00000000 00000000 0001 03 23\n";
        assert_eq!(unix(table), [(22, "/run/app.sock".to_owned())]);
    }

    #[test]
    fn our_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let tables = Tables::of(std::process::id());
        let (inode, _) = *tables.tcp.iter().find(|(_, found)| *found == address).expect("it is listed");
        assert_eq!(owners(&[std::process::id()]).get(&inode), Some(&std::process::id()));
        assert!(!has_client(std::process::id(), address.port()));
        let _client = std::net::TcpStream::connect(address).expect("it listens");
        assert!(has_client(std::process::id(), address.port()));
    }
}
