//! What is being done, on standard error, once it takes longer than a second and somebody looks.

use super::escape::escape;
use super::paint::Paint;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing is said, and how often it is said anew.
const SECOND: Duration = Duration::from_secs(1);

/// Does the work.
pub fn patiently<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || tell(what, &waiting));
        // Dropped when the work is done, however it ends.
        let _done = done;
        work()
    })
}

fn tell(what: &str, waiting: &Receiver<()>) {
    let began = Instant::now();
    let mut line = StatusLine::on_stderr();
    while waiting.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout) {
        line.show(&format!("{what} ({} s)", began.elapsed().as_secs()));
    }
    line.clear();
}

/// One line on standard error whose text changes; nothing where it is no terminal, or one without control sequences.
#[derive(Debug)]
pub struct StatusLine {
    can_show: bool,
    is_shown: bool,
}

impl StatusLine {
    /// Nothing is shown yet.
    pub fn on_stderr() -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { can_show: io::stderr().is_terminal() && !is_dumb, is_shown: false }
    }

    /// Shows this instead of what was shown.
    pub fn show(&mut self, text: &str) {
        if self.can_show {
            self.is_shown = true;
            let text = Paint::stderr().faint(&escape(text));
            let mut err = io::stderr().lock();
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
        }
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            eprint!("\r\x1b[2K");
        }
    }
}
