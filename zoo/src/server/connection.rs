//! One connection of the server: requests are read one after another and answered as their path says.

use super::crowd::Crowd;
use super::{reply, say, upgrade};
use rustix::net::sockopt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

/// What a request asks for.
pub(super) struct Request {
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Whom the answer is for: the client's port, or the one a proxy names.
    pub peer: u16,
    body_length: usize,
}

impl Request {
    /// A number of the query.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Whether the connection goes on after an answer.
#[derive(PartialEq)]
pub(super) enum Next {
    Request,
    Close,
}

/// Serves a connection to its end.
pub fn serve(stream: TcpStream, port: u16, crowd: &Crowd) {
    let Ok(handle) = stream.try_clone() else { return };
    crowd.enter(port, handle);
    let mut connection = Connection { stream, buffer: Vec::new() };
    while let Ok(Some(request)) = connection.read_head(port) {
        crowd.set_busy(port, true);
        say(&format!("read {}", request.peer));
        let draining = || crowd.is_draining();
        let next = connection.answer(&request, &draining);
        crowd.set_busy(port, false);
        if !matches!(next, Ok(Next::Request)) {
            break;
        }
    }
    // Also ends it for the handle that the crowd holds. A client that is gone already is fine.
    let _gone = connection.stream.shutdown(Shutdown::Both);
    crowd.leave(port);
}

/// Serves a protocol of lines: `+OK` to each, and to `WAIT` nothing at all.
pub fn serve_lines(mut stream: TcpStream, port: u16) {
    let Ok(handle) = stream.try_clone() else { return };
    // A client that is gone ends it.
    for line in BufReader::new(handle).lines().map_while(Result::ok) {
        say(&format!("read {port}"));
        if line == "WAIT" {
            pause(600_000);
        }
        if write_own(&mut stream, b"+OK\r\n").is_err() {
            break;
        }
        say(&format!("answered {port}"));
    }
}

pub(super) struct Connection {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn read_more(&mut self) -> std::io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend(&chunk[..count]);
        Ok(count)
    }

    fn read_head(&mut self, port: u16) -> std::io::Result<Option<Request>> {
        loop {
            if let Some((length, request)) = parse(&self.buffer, port) {
                self.buffer.drain(..length);
                return Ok(Some(request));
            }
            if self.read_more()? == 0 {
                return Ok(None);
            }
        }
    }

    pub fn read_body(&mut self, request: &Request) -> std::io::Result<()> {
        while self.buffer.len() < request.body_length {
            if self.read_more()? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.buffer.drain(..request.body_length);
        Ok(())
    }

    fn answer(&mut self, request: &Request, draining: &dyn Fn() -> bool) -> std::io::Result<Next> {
        let milliseconds = request.number("ms");
        let bytes = request.number("bytes") as usize;
        match request.path.as_str() {
            "/continue" => {
                write_own(&mut self.stream, b"HTTP/1.1 100 Continue\r\n\r\n")?;
                say(&format!("continued {}", request.peer));
                pause(milliseconds);
            }
            "/stream" => return self.stream_answer(request),
            "/part" => {
                write!(self.stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * bytes)?;
                self.stream.write_all(&vec![b'x'; bytes])?;
                say(&format!("parted {}", request.peer));
                pause(milliseconds);
                self.stream.write_all(&vec![b'x'; bytes])?;
                return Ok(Next::Request);
            }
            "/large" | "/large-then-deaf" => self.large_answer(request, bytes)?,
            "/crash" => crash(request.text("how").unwrap_or_default()),
            "/eat" => eat(),
            "/reset" => {
                sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
                return Ok(Next::Close);
            }
            reply::PATH => return reply::play(self, request),
            "/websocket" => return upgrade::serve(self, request),
            _ => wait(request),
        }
        if request.path.starts_with("/large") {
            return Ok(Next::Request);
        }
        self.read_body(request)?;
        let close = draining();
        let connection = if close { "Connection: close\r\n" } else { "" };
        write_at_once(
            &mut self.stream,
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{connection}\r\nok\n"),
        )?;
        say(&format!("answered {}", request.peer));
        Ok(if close { Next::Close } else { Next::Request })
    }

    fn stream_answer(&mut self, request: &Request) -> std::io::Result<Next> {
        write_at_once(
            &mut self.stream,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun\n\r\n",
        )?;
        say(&format!("parted {}", request.peer));
        wait(request);
        write_at_once(&mut self.stream, "6\r\nended\n\r\n0\r\n\r\n")?;
        say(&format!("answered {}", request.peer));
        Ok(Next::Request)
    }

    /// A whole answer in one write: all of it is with the kernel when `answered` is said.
    fn large_answer(&mut self, request: &Request, bytes: usize) -> std::io::Result<()> {
        sockopt::set_socket_send_buffer_size(&self.stream, 2 * bytes)?;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + bytes, b'x');
        self.stream.write_all(&answer)?;
        say(&format!("answered {}", request.peer));
        if request.path == "/large-then-deaf" {
            pause(600_000);
        }
        Ok(())
    }
}

fn write_at_once(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write_own(stream, text.as_bytes())
}

/// Writes from memory of its own, as servers do that put their answers together. A constant of the program may lie in a
/// page that nobody has touched yet, which the probe cannot read before the kernel has.
pub(super) fn write_own(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let own = bytes.to_vec();
    stream.write_all(&own)
}

pub(super) fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Works for so long, or until the zoo opens the gate.
fn wait(request: &Request) {
    pause(request.number("ms"));
    if let Some(gate) = request.text("gate") {
        wait_for_gate(gate);
    }
}

pub(super) fn wait_for_gate(name: &str) {
    let gate = std::env::var_os("GATES").map(|gates| Path::new(&gates).join(name));
    while gate.as_ref().is_some_and(|gate| !gate.exists()) {
        pause(5);
    }
}

fn parse(bytes: &[u8], port: u16) -> Option<(usize, Request)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return None };
    let number = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok()
    };
    let target = head.path?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let request = Request {
        path: path.to_string(),
        query: pairs.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        peer: number("X-Client-Port").map_or(port, |port| port as u16),
        body_length: number("Content-Length").unwrap_or(0),
    };
    Some((length, request))
}

/// Ends the process as servers do that go wrong.
fn crash(how: &str) -> ! {
    match how {
        "exit" => std::process::exit(1),
        "finish" => std::process::exit(0),
        "fault" => fault(),
        _ => std::process::abort(),
    }
}

/// A segmentation fault, by the kernel's hand.
fn fault() -> ! {
    let nowhere = std::ptr::without_provenance_mut::<u64>(8);
    // SAFETY: the first page is never mapped (vm.mmap_min_addr), so this faults before it can do
    // anything undefined; the fault is what is wanted.
    unsafe { nowhere.write_volatile(0) };
    std::process::abort()
}

/// Takes memory until there is none.
fn eat() -> ! {
    let mut meals = Vec::new();
    loop {
        // Written to, so that the pages are really taken.
        meals.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&mut meals);
    }
}
