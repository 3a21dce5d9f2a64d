//! Waits until the service takes connections, and finds out where.
//!
//! Invariant: looking connects to nobody but sockets that the service itself listens on.

mod doors;
mod knock;
mod sockets;

use super::options::Plan;
use super::sandbox::{Container, tree};
use crate::exit::{Exit, Failure};
use crate::output::console::escape::escape;
use doors::{Choice, Doors};
use knock::Answer;
use sockets::Tables;
pub use sockets::has_client;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often it is looked at.
const TURN: Duration = Duration::from_millis(20);
/// How many of its last lines are shown where it fails.
const LINES: usize = 24;

/// Where the service takes requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The process that opened the listener, as our PID namespace numbers it.
    pub process: u32,
    /// The status with which it answers; 0 where it speaks no HTTP that we do.
    pub status: u16,
    /// It speaks nothing but TLS.
    pub tls: bool,
    /// What it calls itself: its `Server` header.
    pub software: Option<String>,
    /// The other TCP ports it listens on.
    pub other_ports: Vec<u16>,
    /// From its start to its first answer.
    pub ready_after: Duration,
}

/// What it listens on at one moment.
#[derive(Debug, Default)]
struct Found {
    /// Address → owner, in order of ports.
    tcp: BTreeMap<(u16, IpAddr), u32>,
    udp: Vec<u16>,
    unix: Vec<String>,
    /// How many processes it had at once, at most.
    most_processes: usize,
}

/// Waits until it answers. `known`: where it did so in an earlier run.
///
/// # Errors
/// [`Exit::NotMeasured`] with a sentence that says what it did instead.
pub async fn wait(container: &Container, plan: &Plan, known: Option<u16>) -> Result<Service, Failure> {
    let began = Instant::now();
    let mut last = Found::default();
    let mut doors = Doors::new(&plan.args.path, plan.args.load_command.is_some(), plan.args.port.or(known));
    loop {
        let mut found = look(container);
        if let Some(status) = container.status() {
            return Err(ended(container, status, began.elapsed(), &last));
        }
        found.most_processes = found.most_processes.max(last.most_processes);
        last = found;
        let wanted = |port: u16| plan.args.port.is_none_or(|wanted| wanted == port);
        let listening = last.tcp.iter().filter(|((port, _), _)| wanted(*port));
        for (&(port, ip), &process) in listening {
            doors.knock(SocketAddr::new(reachable(ip), port), process, plan);
        }
        match doors.choice() {
            Choice::None if began.elapsed() > plan.args.ready_timeout.0 => {
                return Err(not_ready(container, plan, &last, &doors.answers()));
            }
            Choice::None => {}
            Choice::One(door) => return Ok(door.service(&last, began.elapsed())),
            Choice::Refused(text) => return Err(failed(text, container)),
        }
        tokio::select! {
            () = sleep(TURN) => {}
            () = container.ended() => {}
        }
    }
}

fn look(container: &Container) -> Found {
    let processes = tree::processes(container.directory());
    let owners = sockets::owners(&processes);
    let mut found = Found { most_processes: processes.len(), ..Found::default() };
    let Some(&first) = processes.first() else { return found };
    let tables = Tables::of(first);
    for (inode, address) in tables.tcp {
        if let Some(&owner) = owners.get(&inode) {
            found.tcp.insert((address.port(), address.ip()), owner);
        }
    }
    let udp = tables.udp.into_iter().filter(|(inode, _)| owners.contains_key(inode));
    found.udp = udp.map(|(_, address)| address.port()).collect();
    let unix = tables.unix.into_iter().filter(|(inode, _)| owners.contains_key(inode));
    found.unix = unix.map(|(_, path)| path).collect();
    found
}

/// Where to connect to reach who listens on this address.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn ended(container: &Container, status: std::process::ExitStatus, after: Duration, last: &Found) -> Failure {
    let after = after.as_secs_f64();
    let mut text = format!("the service ended after {after:.1} s ({status}), before it took connections");
    if status.success() && (last.most_processes > 1 || !last.tcp.is_empty()) {
        text.push_str(
            ", and left other processes behind: it goes into the background. A container ends with its first \
             process: start it in the foreground",
        );
    } else if status.success() {
        text.push_str("; if it goes into the background, start it in the foreground");
    }
    failed(text, container)
}

fn not_ready(
    container: &Container,
    plan: &Plan,
    found: &Found,
    answers: &BTreeMap<SocketAddr, Answer>,
) -> Failure {
    let patience = plan.args.ready_timeout.0;
    let mut text = format!("no answer within {patience:?} (--ready-timeout): ");
    let ports = || found.tcp.keys().map(|(port, _)| port.to_string()).collect::<Vec<_>>().join(", ");
    if let Some(port) = plan.args.port.filter(|_| answers.is_empty()) {
        let others =
            if found.tcp.is_empty() { "no TCP port".to_owned() } else { format!("port {}", ports()) };
        text.push_str(&format!("nothing listens on port {port}; the service listens on {others}"));
    } else if answers.is_empty() && !found.tcp.is_empty() {
        text.push_str(&format!("it listens on port {}, and answers nothing there", ports()));
    } else if !answers.is_empty() {
        let each: Vec<_> = answers.iter().map(|(address, answer)| format!("{address} {answer}")).collect();
        text.push_str(&each.join("; "));
    } else if found.most_processes == 0 {
        text.push_str("it has moved itself to another cgroup, where it cannot be watched");
    } else {
        text.push_str("the service listens on no TCP port");
        if !found.udp.is_empty() {
            let ports: Vec<_> = found.udp.iter().map(u16::to_string).collect();
            text.push_str(&format!(
                ", only on UDP port {}, which has no connections to lose",
                ports.join(", ")
            ));
        }
        if !found.unix.is_empty() {
            let paths: Vec<_> = found.unix.iter().map(|path| escape(path).into_owned()).collect();
            text.push_str(&format!(
                ", only on a Unix socket ({}): have it listen on TCP, or check what stands in front of it",
                paths.join(", ")
            ));
        }
    }
    failed(text, container)
}

/// A reason not to measure, with what the service printed last.
pub fn failed(mut text: String, container: &Container) -> Failure {
    let last = container.output.last(LINES);
    if !last.is_empty() {
        text.push_str("\nthe last lines that it printed:");
        last.iter().for_each(|line| text.push_str(&format!("\n  {}", escape(line))));
    }
    Failure::new(Exit::NotMeasured, text)
}
