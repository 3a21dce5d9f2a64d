//! Writes a recording, on a thread of its own: a slow or full disk must not hold up the observation.
//!
//! Invariant: whatever the disk does, the caller never waits. What finds no room in the queue is counted, and the
//! first write error ends the recording.

use super::Header;
use crate::exit::{Exit, Failure, OrExit};
use crate::privileges;
use shutdown_probe_core::Input;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// How many lines wait for the disk at most.
const QUEUE: usize = 16_384;
/// How many bytes are written at once, about.
const BATCH: usize = 256 << 10;

/// A recording that is being written.
#[derive(Debug)]
pub struct Recorder {
    lines: SyncSender<Vec<u8>>,
    thread: JoinHandle<Written>,
    missed: u64,
}

/// What became of a recording.
#[derive(Debug)]
pub struct Written {
    /// How many inputs are in the file, at least.
    pub inputs: u64,
    /// How many the disk was too slow for.
    pub missed: u64,
    /// What ended it, unless it was finished.
    pub error: Option<io::Error>,
}

impl Recorder {
    /// Begins a recording; what the file held before is gone.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`] where the file cannot be made, or its first line not written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, Failure> {
        let name = || format!("cannot write the recording {}", path.display());
        let mut line = serde_json::to_vec(header).or_exit(Exit::Internal, name)?;
        line.push(b'\n');
        // It names clients' addresses: for its owner alone.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path).or_exit(Exit::CannotWrite, name)?;
        file.write_all(&line).or_exit(Exit::CannotWrite, name)?;
        let (lines, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("recording".into())
            .spawn(move || {
                // An open file is all that this thread needs. It is no worse off where the kernel refuses.
                let _ = privileges::give_up(&[]);
                write(file, &queue)
            })
            .or_exit(Exit::Internal, name)?;
        Ok(Self { lines, thread, missed: 0 })
    }

    /// Takes one input.
    pub fn take(&mut self, input: &Input) {
        let Ok(mut line) = serde_json::to_vec(input) else {
            self.missed += 1;
            return;
        };
        line.push(b'\n');
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.missed += 1,
        }
    }

    /// How many inputs found no room so far.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Whether it has ended by itself, which only an error makes it do.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Writes what waits, and ends it.
    pub fn finish(self) -> Written {
        let Self { lines, thread, missed } = self;
        drop(lines);
        let written = thread.join().unwrap_or_else(|_| Written {
            inputs: 0,
            missed: 0,
            error: Some(io::Error::other("the thread that writes it panicked")),
        });
        Written { missed, ..written }
    }
}

fn write(mut file: File, queue: &Receiver<Vec<u8>>) -> Written {
    let mut inputs = 0;
    while let Ok(first) = queue.recv() {
        let mut batch = first;
        let mut lines = 1;
        while batch.len() < BATCH {
            let Ok(line) = queue.try_recv() else { break };
            batch.extend(line);
            lines += 1;
        }
        if let Err(error) = file.write_all(&batch) {
            return Written { inputs, missed: 0, error: Some(error) };
        }
        inputs += lines;
    }
    Written { inputs, missed: 0, error: None }
}

impl Written {
    /// How it went, as what the program ends with.
    ///
    /// # Errors
    /// [`Exit::CannotWrite`] if the disk ended it.
    pub fn outcome(self, path: &Path) -> Result<u64, Failure> {
        let Self { inputs, error, .. } = self;
        let context = || format!("the recording {} ends after {inputs} inputs", path.display());
        error.map_or(Ok(inputs), Err).or_exit(Exit::CannotWrite, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shutdown_probe_core::Settings;
    use std::time::{Duration, Instant};

    fn header() -> Header {
        Header::new(&Settings::default(), "test".into())
    }

    #[test]
    fn what_is_taken_is_written_in_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("r.jsonl");
        let mut recorder = Recorder::create(&path, &header()).expect("a recording");
        for boot_to_unix_ns in 0..1_000 {
            recorder.take(&Input::Clock { boot_to_unix_ns });
        }
        assert_eq!(recorder.finish().outcome(&path).expect("all written"), 1_000);
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text.lines().count(), 1_001);
        assert!(text.starts_with(r#"{"shutdown_probe_recording":1,"version":""#));
        assert!(text.ends_with("{\"input\":\"clock\",\"boot_to_unix_ns\":999}\n"));
    }

    #[test]
    fn a_full_disk_at_the_start_is_said() {
        let failure = Recorder::create(Path::new("/dev/full"), &header()).expect_err("a full disk");
        assert_eq!(failure.exit, Exit::CannotWrite);
        assert!(failure.to_string().contains("/dev/full: No space left on device"), "{failure}");
    }

    #[test]
    fn a_disk_that_fails_later_ends_the_recording_and_holds_nobody_up() {
        // A pipe whose reader goes away is a file that can be written for a while, and then no more.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let mut recorder = Recorder::create(Path::new(&path), &header()).expect("a recording");
        drop((reader, writer));
        let start = Instant::now();
        while !recorder.has_failed() {
            recorder.take(&Input::Clock { boot_to_unix_ns: 0 });
            assert!(start.elapsed() < Duration::from_secs(10), "the error was never noticed");
        }
        for _ in 0..3 {
            recorder.take(&Input::Clock { boot_to_unix_ns: 0 });
        }
        let written = recorder.finish();
        assert!(written.missed >= 3);
        let failure = written.outcome(Path::new("x")).expect_err("it failed");
        assert_eq!(failure.exit, Exit::CannotWrite);
        assert!(failure.to_string().starts_with("the recording x ends after 0 inputs: "), "{failure}");
    }

    #[test]
    fn a_stalled_disk_costs_inputs_and_no_time() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let mut recorder = Recorder::create(Path::new(&path), &header()).expect("a recording");
        let start = Instant::now();
        for _ in 0..3 * QUEUE {
            recorder.take(&Input::Clock { boot_to_unix_ns: 0 });
        }
        assert!(start.elapsed() < Duration::from_secs(5), "it waited for the disk");
        assert!(recorder.missed() > 0, "the queue has a bound");
        drop((reader, writer));
        assert!(recorder.finish().error.is_some());
    }
}
