//! What a server says of itself: `read PORT` once it has read the request of the client with that
//! port, `answered PORT` once it has written the whole answer. A client cannot see either.

use anyhow::{Context, Result};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::collections::HashMap;
use std::io::{ErrorKind, PipeReader, Read};
use std::time::Instant;

/// The lines a process has written so far.
#[derive(Debug)]
pub struct Log {
    pipe: PipeReader,
    ended: bool,
    unfinished: Vec<u8>,
    lines: Vec<String>,
    /// When each line came.
    times: Vec<Instant>,
    reads: HashMap<u16, usize>,
    answers: HashMap<u16, (usize, Instant)>,
}

impl Log {
    /// Reads from this pipe, without ever waiting for it.
    pub fn new(pipe: PipeReader) -> Result<Self> {
        let flags = fcntl_getfl(&pipe).context("reading the flags of a pipe")?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK).context("setting the flags of a pipe")?;
        Ok(Self {
            pipe,
            ended: false,
            unfinished: Vec::new(),
            lines: Vec::new(),
            times: Vec::new(),
            reads: HashMap::new(),
            answers: HashMap::new(),
        })
    }

    /// The pipe, while somebody may still write to it.
    pub fn pipe(&self) -> Option<&PipeReader> {
        (!self.ended).then_some(&self.pipe)
    }

    /// Takes what is there.
    pub fn drain(&mut self) -> Result<()> {
        let mut chunk = [0; 16 * 1024];
        while !self.ended {
            match self.pipe.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(count) => self.take(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading a server's log"),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&self.unfinished).into_owned();
                self.unfinished.clear();
                self.note(line);
            } else {
                self.unfinished.push(byte);
            }
        }
    }

    fn note(&mut self, line: String) {
        if let Some((word, port)) = line.split_once(' ')
            && let Ok(port) = port.parse()
        {
            match word {
                "read" => *self.reads.entry(port).or_default() += 1,
                "answered" => {
                    let (count, at) = self.answers.entry(port).or_insert_with(|| (0, Instant::now()));
                    *count += 1;
                    *at = Instant::now();
                }
                _ => {}
            }
        }
        self.lines.push(line);
        self.times.push(Instant::now());
    }

    /// How many requests the server has read from this client.
    pub fn reads(&self, port: u16) -> usize {
        self.reads.get(&port).copied().unwrap_or(0)
    }

    /// How many answers the server has written for this client, and when it said so last.
    pub fn answers(&self, port: u16) -> Option<(usize, Instant)> {
        self.answers.get(&port).copied()
    }

    /// Whether some line contains this.
    pub fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// How many lines contain this.
    pub fn count(&self, text: &str) -> usize {
        self.lines.iter().filter(|line| line.contains(text)).count()
    }

    /// Everything said so far, and when.
    pub fn timed_lines(&self) -> impl Iterator<Item = (Instant, &str)> {
        self.times.iter().copied().zip(self.lines.iter().map(String::as_str))
    }

    /// Everything said so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn counts_what_the_server_read() -> Result<()> {
        let (reader, mut writer) = std::io::pipe()?;
        let mut log = Log::new(reader)?;
        writer.write_all(b"listening\nread 4711\nread 47")?;
        log.drain()?;
        assert!(log.says("listening"));
        assert_eq!((log.reads(4711), log.reads(47)), (1, 0));
        writer.write_all(b"11\nanswered 4711\n")?;
        drop(writer);
        log.drain()?;
        assert_eq!((log.reads(4711), log.answers(4711).map(|(count, _)| count)), (2, Some(1)));
        assert!(log.pipe().is_none());
        Ok(())
    }
}
