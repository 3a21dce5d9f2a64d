//! Clients of the zoo's own: each is one connection that plays a script without ever blocking, and
//! keeps the record that the daemon is judged by.
//!
//! Invariant: a client reads what arrives at once, unless its script says to look away, and lets the
//! server end the connection, unless its script says to leave.

pub mod http2;
mod record;
mod response;
mod script;
mod session;
mod socket;
mod tls;
pub mod witness;

pub use record::{End, Record};
pub use response::{Protocol, Unfinished};
pub use script::{Script, Start, Step, bytewise, get, get_with};
pub use session::Ask;
pub use socket::{Security, Target, has_multipath};

use anyhow::Result;
use response::Responses;
use rustix::event::PollFlags;
use script::Playing;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;
use tls::Tls;

/// What somebody saw of a connection, and what kind of connection it was.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// What was seen.
    pub record: Record,
    /// Where the connection led.
    pub target: &'a Target,
    /// What was spoken.
    pub protocol: Protocol,
    /// Whether the client broke the protocol.
    pub hostile: bool,
}

/// One connection and what it is to do next.
#[derive(Debug)]
pub struct Client {
    target: Target,
    script: VecDeque<Step>,
    protocol: Protocol,
    hostile: bool,
    /// When it is to connect; `None` until the moment it waits for has come.
    due: Option<Instant>,
    start: Start,
    stream: Option<TcpStream>,
    connected: bool,
    to_send: Vec<u8>,
    tls: Option<Tls>,
    looks_away: bool,
    responses: Responses,
    record: Record,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(target: Target, script: Script) -> Self {
        Self {
            target,
            protocol: script.protocol,
            hostile: script.hostile,
            due: (script.start == Start::Now).then(Instant::now),
            start: script.start,
            script: script.steps.into(),
            stream: None,
            connected: false,
            to_send: Vec::new(),
            tls: None,
            looks_away: false,
            responses: Responses::new(script.protocol),
            record: Record::default(),
        }
    }

    /// What it has seen so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// All that it can witness to.
    pub fn seen(&self) -> Seen<'_> {
        let (target, protocol) = (&self.target, self.protocol);
        Seen { record: self.record.clone(), target, protocol, hostile: self.hostile }
    }

    /// What it waits for before it connects.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Whether it knows when to connect.
    pub fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// What it waited for has come: it connects then.
    pub fn schedule(&mut self, at: Instant) {
        self.due = Some(at);
    }

    /// Adds steps to the end of the script.
    pub fn tell(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.script.extend(steps);
    }

    /// Whether it has played its whole script.
    pub fn has_played(&self) -> bool {
        self.connected && self.script.is_empty() && self.to_send.is_empty()
    }

    /// Whether its connection is over.
    pub fn has_ended(&self) -> bool {
        self.record.end.is_some()
    }

    /// When it must be looked at, whether or not anything happens on its socket.
    pub fn wakes_at(&self) -> Option<Instant> {
        if self.has_ended() {
            return None;
        }
        match self.script.front() {
            _ if self.stream.is_none() => self.due,
            Some(Step::WaitUntil(at)) => Some(*at),
            _ => None,
        }
    }

    /// The socket, and what to wait for on it.
    pub fn interest(&self) -> Option<(&TcpStream, PollFlags)> {
        // Somebody who looks away would be woken over and over by a FIN or RST that has arrived.
        let deaf = self.looks_away && self.record.fin_noticed;
        let stream = self.stream.as_ref().filter(|_| !deaf)?;
        let mut flags = PollFlags::RDHUP;
        if !self.connected || !self.to_send.is_empty() {
            flags |= PollFlags::OUT;
        }
        let expectant = self.script.front() == Some(&Step::AwaitArrival);
        if self.connected && (!self.looks_away || expectant) {
            flags |= PollFlags::IN;
        }
        Some((stream, flags))
    }

    /// Does what can be done now, given what is `ready` on the socket.
    pub fn advance(&mut self, now: Instant, ready: PollFlags, ports: &crate::port::Ports) -> Result<()> {
        if self.has_ended() {
            return Ok(());
        }
        if self.stream.is_none() {
            if self.due.is_none_or(|due| now < due) {
                return Ok(());
            }
            let (stream, port) = self.target.open(ports)?;
            self.record.port = port;
            self.record.started = Some(Instant::now());
            self.stream = Some(stream);
            self.responses.begin()?;
            self.tls = self.target.security.as_ref().map(|with| Tls::new(with, self.protocol)).transpose()?;
        }
        if !self.connected {
            self.finish_connecting()?;
            // A server may speak first; what the script says comes before any reply to that.
            self.play(now)?;
        }
        if ready.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            self.record.fin_noticed = true;
        }
        self.record.arrived |= self.looks_away && ready.contains(PollFlags::IN);
        if self.connected && !self.looks_away {
            self.receive(usize::MAX)?;
        }
        self.play(now)?;
        if self.connected && !self.has_ended() {
            self.transmit()?;
        }
        Ok(())
    }

    fn finish_connecting(&mut self) -> Result<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        match self.target.connect(stream, self.record.port)? {
            socket::Connecting::Done => {
                self.connected = true;
                self.record.connected = Some(Instant::now());
                self.say_owed()?;
            }
            socket::Connecting::Pending => {}
            socket::Connecting::Refused => self.end(End::Refused),
            socket::Connecting::Unreachable => self.end(End::Unreachable),
            socket::Connecting::Reset => {
                self.record.connected = Some(Instant::now());
                self.end(End::Reset);
            }
        }
        Ok(())
    }

    /// Reads what is there, at most so many bytes.
    fn receive(&mut self, most: usize) -> Result<()> {
        let mut chunk = [0; 64 * 1024];
        let mut left = most;
        while let Some(stream) = self.stream.as_mut().filter(|_| left > 0) {
            let end = left.min(chunk.len());
            match stream.read(&mut chunk[..end]) {
                Ok(0) => {
                    self.responses.end_of_stream();
                    self.note_responses();
                    self.end(End::Fin);
                }
                Ok(count) => {
                    left -= count;
                    self.hear(&chunk[..count])?;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.end(End::Reset),
            }
            break;
        }
        Ok(())
    }

    /// Takes bytes from the network.
    fn hear(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.tls {
            Some(tls) => {
                let clear = tls.receive(bytes)?;
                self.record.secured = tls.is_established();
                self.record.cut_record = tls.is_inside_record();
                self.responses.feed(&clear);
            }
            None => self.responses.feed(bytes),
        }
        self.note_responses();
        self.say_owed()
    }

    /// Sends what the protocol itself wants sent.
    fn say_owed(&mut self) -> Result<()> {
        let owed = self.responses.take_owed();
        self.say(&owed)
    }

    /// Hands bytes over to be sent, through TLS if there is one, which may have its own to add.
    fn say(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.tls {
            Some(tls) => {
                tls.send(bytes)?;
                self.to_send.extend(tls.take_output()?);
            }
            None => self.to_send.extend(bytes),
        }
        Ok(())
    }

    fn note_responses(&mut self) {
        let answered = self.responses.complete();
        if answered > self.record.answered {
            self.record.answered = answered;
            self.record.last_answer = Some(Instant::now());
        }
        if self.responses.says_close() {
            // Nobody asks again on a connection of which he was told that it ends.
            self.script.clear();
        }
        let (cancelled, rejected) = self.responses.resets();
        if rejected > self.record.rejected {
            self.record.last_rejection = Some(Instant::now());
        }
        (self.record.cancelled, self.record.rejected) = (cancelled, rejected);
        self.record.refused = self.responses.refused();
        self.record.unfinished = self.responses.unfinished();
        self.record.ended_by_close = self.responses.ended_by_close();
        self.record.bytes_upgraded = self.responses.bytes_upgraded();
        self.record.pongs = self.responses.pongs();
        self.record.answer_begun = self.responses.has_begun_another();
    }

    fn play(&mut self, now: Instant) -> Result<()> {
        while self.connected && !self.has_ended() {
            let Some(step) = self.script.front() else { break };
            let playing = script::play(step, now, &self.record, self.to_send.is_empty());
            match playing {
                Playing::Later => {
                    // Whoever waits for the FIN must not read it: reading would end the connection here.
                    self.looks_away |= matches!(step, Step::AwaitFin);
                    break;
                }
                Playing::Done => {}
                Playing::Send { bytes, requests, half } => {
                    self.record.crossed_fin |= requests > 0 && self.record.fin_noticed;
                    self.record.requests += requests;
                    self.record.half_sent |= half;
                    self.responses.expect(&bytes, requests);
                    self.record.refused = self.responses.refused();
                    self.say(&bytes)?;
                    self.transmit()?;
                }
                Playing::Ask(ask) => {
                    self.record.crossed_fin |= self.record.fin_noticed;
                    self.record.requests += 1;
                    self.responses.ask(&ask)?;
                    self.say_owed()?;
                }
                Playing::Cancel(stream) => {
                    self.responses.cancel(stream);
                    self.note_responses();
                    self.say_owed()?;
                }
                Playing::LookAway(away) => self.looks_away = away,
                Playing::Glance(most) => self.receive(most)?,
                Playing::Replace(step) => {
                    self.script[0] = step;
                    continue;
                }
                Playing::HalfClose => self.half_close(),
                Playing::Leave => self.end(End::Left),
                Playing::Abort => {
                    if let Some(stream) = &self.stream {
                        socket::reset_on_close(stream)?;
                    }
                    self.end(End::Aborted);
                }
            }
            self.script.pop_front();
        }
        Ok(())
    }

    fn half_close(&mut self) {
        if let Some(stream) = &self.stream {
            // If the peer has reset meanwhile, the next read tells.
            let _reset = stream.shutdown(std::net::Shutdown::Write);
            self.record.half_closed = true;
        }
    }

    fn transmit(&mut self) -> Result<()> {
        while !self.to_send.is_empty() {
            let Some(stream) = &mut self.stream else { break };
            match stream.write(&self.to_send) {
                Ok(count) => {
                    self.to_send.drain(..count);
                    self.record.bytes_sent += count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.to_send.clear();
                    self.receive(usize::MAX)?;
                    self.end(End::Reset);
                }
            }
        }
        Ok(())
    }

    /// Takes the connection's end; the first one counts.
    fn end(&mut self, end: End) {
        if !self.has_ended() {
            self.record.end = Some((Instant::now(), end));
            self.stream = None;
        }
    }

    /// Closes what is still open when the case is over. The record stays as it is.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }
}
