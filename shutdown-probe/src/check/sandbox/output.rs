//! What the service prints: its last lines are kept, to be shown where it fails to start.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, PipeReader};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const LINES: usize = 200;
/// A line without an end is cut here, in bytes.
const LINE: u64 = 4096;
/// How long the last lines of a service that has ended may be on their way.
const ON_THEIR_WAY: Duration = Duration::from_millis(300);

/// The last lines of the service's two outputs.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// Nobody can write any more.
    complete: bool,
}

impl Output {
    /// Reads until all who could write are gone. `show`: repeats each line on standard error.
    ///
    /// # Errors
    /// As for starting a thread.
    pub fn read(reader: PipeReader, show: bool) -> std::io::Result<Self> {
        let output = Self::default();
        let kept = output.clone();
        thread::Builder::new().name("output".into()).spawn(move || kept.keep(reader, show))?;
        Ok(output)
    }

    fn keep(&self, reader: PipeReader, show: bool) {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while let Ok(1..) = std::io::Read::take(&mut reader, LINE).read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            if show {
                eprintln!("  | {}", crate::output::console::escape::escape(&text));
            }
            let lines = &mut self.lock().lines;
            lines.push_back(text);
            if lines.len() > LINES {
                lines.pop_front();
            }
            line.clear();
        }
        self.lock().complete = true;
    }

    /// The last few lines: escape them. Of a service that has ended, what it said at the very end too.
    pub fn last(&self, count: usize) -> Vec<String> {
        let until = Instant::now() + ON_THEIR_WAY;
        while !self.lock().complete && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let lines = &self.lock().lines;
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
