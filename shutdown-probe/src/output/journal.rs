//! The journal: each complete termination as one line of JSON on standard output.
//!
//! It does not list the connections on which nothing was lost: lines stay short, and their totals are there.
//!
//! Invariant: whoever reads it slowly, or not at all, holds nobody up: what finds no room is counted.

use shutdown_probe_core::report::Termination;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// How many lines may wait to be written.
const WAITING: usize = 256;

/// How long what waits may take when the daemon stops.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where complete terminations are written down.
#[derive(Debug)]
pub struct Journal {
    lines: SyncSender<Vec<u8>>,
    missed: Arc<AtomicU64>,
    /// Closed when the last line is written.
    written: Receiver<()>,
}

impl Journal {
    /// One on standard output.
    ///
    /// # Errors
    /// Where there is no room for a thread, or no standard output.
    pub fn start() -> std::io::Result<Self> {
        // Not by the standard library's handle: whoever runs the command holds its lock.
        let out = std::io::stdout().as_fd().try_clone_to_owned()?;
        Self::to(std::fs::File::from(out))
    }

    fn to(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, receiver) = sync_channel(WAITING);
        let (writes, written) = sync_channel(0);
        let missed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&missed);
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            let _until_done: SyncSender<()> = writes;
            write(out, &receiver, &counter);
        })?;
        Ok(Self { lines, missed, written })
    }

    /// Writes what waits, if whoever reads it lets us.
    pub fn finish(self) {
        drop(self.lines);
        // Nothing is ever sent: it is closed, or the time is over.
        let _closed = self.written.recv_timeout(LAST_LINES);
    }

    /// Takes a complete termination.
    pub fn take(&self, termination: &Termination) {
        let short = Termination { unsevered: Vec::new(), ..termination.clone() };
        let line = serde_json::to_vec(&short).map(|mut line| {
            line.push(b'\n');
            line
        });
        if !line.is_ok_and(|line| self.lines.try_send(line).is_ok()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were not written.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

fn write(mut out: impl Write, lines: &Receiver<Vec<u8>>, missed: &AtomicU64) {
    for line in lines {
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;
    use std::sync::mpsc::channel;

    #[test]
    fn one_termination_is_one_line() {
        struct Out(std::sync::mpsc::Sender<Vec<u8>>);
        impl Write for Out {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.send(bytes.to_vec());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = channel();
        let journal = Journal::to(Out(sender)).expect("a thread");
        journal.take(&sample::termination());
        let line = receiver.recv_timeout(Duration::from_secs(10)).expect("a line");
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let read: Termination = serde_json::from_slice(&line).expect("JSON");
        assert_eq!((read, journal.missed()), (sample::termination(), 0));
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        struct Slow(Arc<AtomicU64>);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                thread::sleep(Duration::from_millis(10));
                self.0
                    .fetch_add(bytes.iter().filter(|&&byte| byte == b'\n').count() as u64, Ordering::Relaxed);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Arc::new(AtomicU64::new(0));
        let journal = Journal::to(Slow(Arc::clone(&lines))).expect("a thread");
        (0..10).for_each(|_| journal.take(&sample::termination()));
        journal.finish();
        assert_eq!(lines.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn a_reader_that_sleeps_holds_nobody_up() {
        struct Stuck;
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                loop {
                    thread::park();
                }
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let journal = Journal::to(Stuck).expect("a thread");
        (0..WAITING + 10).for_each(|_| journal.take(&sample::termination()));
        assert!((9..=10).contains(&journal.missed()), "{}", journal.missed());
        journal.finish();
    }
}
