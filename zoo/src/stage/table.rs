//! What the kernel's table of sockets says, so that nobody has to connect or wait to find out.

use std::path::PathBuf;

/// The state of a socket that listens, as the table writes it.
const LISTEN: &str = "0A";

/// One line of the table.
#[derive(Debug, PartialEq)]
struct Socket<'a> {
    local: u16,
    remote: u16,
    state: &'a str,
    /// Bytes that wait to be sent or acknowledged, and bytes that wait to be read.
    queues: (u64, u64),
}

/// proc_net_tcp(5): a number, the two addresses, the state, the two queues, all in hexadecimal.
fn parse(line: &str) -> Option<Socket<'_>> {
    let mut fields = line.split_whitespace().skip(1);
    let mut port = || u16::from_str_radix(fields.next()?.rsplit_once(':')?.1, 16).ok();
    let (local, remote) = (port()?, port()?);
    let state = fields.next()?;
    let (sending, reading) = fields.next()?.split_once(':')?;
    let queue = |digits| u64::from_str_radix(digits, 16).ok();
    Some(Socket { local, remote, state, queues: (queue(sending)?, queue(reading)?) })
}

/// Calls `judge` for every socket in the network namespace of this process.
fn any(process: u32, judge: impl Fn(Socket<'_>) -> bool) -> bool {
    ["tcp", "tcp6"].iter().any(|table| {
        let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{process}/net/{table}")));
        // A process that is gone has no table any more.
        text.is_ok_and(|text| text.lines().filter_map(parse).any(&judge))
    })
}

/// Whether somebody listens on this port.
pub fn is_listening(process: u32, port: u16) -> bool {
    any(process, |socket| socket.local == port && socket.state == LISTEN)
}

/// Whether something is still on its way between this server and this client, or lies there unread.
pub fn is_on_its_way(process: u32, server: u16, client: u16) -> bool {
    any(process, |socket| {
        let ends = (socket.local, socket.remote);
        let is_theirs = ends == (client, server) || ends == (server, client);
        is_theirs && socket.queues != (0, 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_understood() {
        let line = "  12: 0100007F:1F90 0100007F:C350 01 0000000A:00000010 00:00000000 00000000 0 0 7 1";
        let socket = Socket { local: 8080, remote: 50000, state: "01", queues: (10, 16) };
        assert_eq!(parse(line), Some(socket));
        assert_eq!(parse("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when"), None);
    }
}
