//! The zoo's own server (`zoo server`, hidden): one thread a connection, and every way to end.
//!
//! It says `read PORT` once a request is read and `answered PORT` once its answer is written.

mod connection;
mod crowd;
mod family;
mod handler;
mod reply;
mod upgrade;

pub use reply::Reply;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use crowd::Crowd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// What it does about SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnTerm {
    /// Nothing is installed.
    Default,
    /// SIG_IGN.
    Ignore,
    /// Exits at once, with status 0.
    Exit,
    /// Closes the listener and idle connections, finishes what is in flight, exits.
    Drain,
    /// Closes the listener, then waits until the clients have closed every connection.
    WaitForIdle,
    /// Closes idle connections, and leaves the listener and the process as they are.
    CloseIdle,
    /// Passes the signal on to its children and exits once they have.
    Forward,
}

/// Options of the zoo's own server.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// What it does about SIGTERM
    #[arg(long, value_enum, default_value = "default")]
    pub on_term: OnTerm,
    /// Serve a listener that was inherited as this descriptor
    #[arg(long)]
    pub listen_fd: Option<RawFd>,
    /// Share the port with others (SO_REUSEPORT)
    #[arg(long)]
    pub reuse_port: bool,
    /// Let the kernel put off the end of each handshake until data comes (TCP_DEFER_ACCEPT)
    #[arg(long)]
    pub defer: bool,
    /// Never accept a connection
    #[arg(long)]
    pub never_accept: bool,
    /// Accept connections and never read from them
    #[arg(long)]
    pub never_read: bool,
    /// Speak a protocol of lines instead of HTTP
    #[arg(long)]
    pub lines: bool,
    /// Serve from so many child processes, which share the listener
    #[arg(long, default_value_t = 0)]
    pub workers: usize,
    /// What the workers do about SIGTERM
    #[arg(long, value_enum, default_value = "drain")]
    pub worker_on_term: OnTerm,
    /// Exit by itself, with status 0, after so many milliseconds
    #[arg(long)]
    pub lifetime: Option<u64>,
}

/// Serves until something ends it.
pub fn run(arguments: &ServerArgs) -> Result<()> {
    let listener = match arguments.listen_fd {
        // SAFETY: whoever passed the option has left this descriptor open for this process alone.
        Some(descriptor) => unsafe { OwnedFd::from_raw_fd(descriptor) },
        None => open_listener(arguments.reuse_port, arguments.defer)?,
    };
    if arguments.workers > 0 {
        return family::run(listener, arguments);
    }
    let listener = TcpListener::from(listener);
    let crowd = Arc::new(Crowd::default());
    handler::install(arguments.on_term, &listener, &crowd)?;
    if let Some(milliseconds) = arguments.lifetime {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(milliseconds));
            std::process::exit(0);
        });
    }
    say("listening");
    if !arguments.never_accept {
        accept_all(&listener, &crowd, arguments);
    }
    // The listener is gone, or nobody is to be accepted: the signal handler ends the process.
    loop {
        std::thread::park();
    }
}

/// Ends when the listener has been shut down.
fn accept_all(listener: &TcpListener, crowd: &Arc<Crowd>, arguments: &ServerArgs) {
    while let Ok((stream, peer)) = listener.accept() {
        if arguments.never_read {
            say(&format!("accepted {}", peer.port()));
            std::mem::forget(stream);
            continue;
        }
        if arguments.lines {
            std::thread::spawn(move || connection::serve_lines(stream, peer.port()));
            continue;
        }
        let crowd = Arc::clone(crowd);
        std::thread::spawn(move || connection::serve(stream, peer.port(), &crowd));
    }
}

fn open_listener(reuse_port: bool, defer: bool) -> Result<OwnedFd> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let address: IpAddr = variable("ADDRESS")?.parse().context("ADDRESS")?;
    let port: u16 = variable("PORT")?.parse().context("PORT")?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket =
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).context("making a socket")?;
    sockopt::set_socket_reuseaddr(&socket, true).context("SO_REUSEADDR")?;
    sockopt::set_socket_reuseport(&socket, reuse_port).context("SO_REUSEPORT")?;
    bind(&socket, &SocketAddr::new(address, port))
        .with_context(|| format!("binding {address} port {port}"))?;
    if defer {
        put_off(&socket)?;
    }
    listen(&socket, 512).context("listening")?;
    Ok(socket)
}

fn put_off(socket: &OwnedFd) -> Result<()> {
    let seconds: libc::c_int = 60;
    let size = size_of_val(&seconds) as libc::socklen_t;
    let (descriptor, value) = (socket.as_raw_fd(), (&raw const seconds).cast());
    // SAFETY: the option takes a number of this size, which outlives the call.
    let result =
        unsafe { libc::setsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, value, size) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()).context("TCP_DEFER_ACCEPT") }
}

/// One line to standard output, in one write.
fn say(line: &str) {
    println!("{line}");
}
