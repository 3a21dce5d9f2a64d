//! What is being done, on standard error, for a check that takes more than a second.

use crate::output::console::escape::escape;
use std::io::{IsTerminal, Write};

/// What surely fits on a line of a terminal.
const WIDTH: usize = 78;

/// Where progress is told.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    /// On a terminal each line replaces the one before.
    replaces: bool,
}

impl Progress {
    /// On standard error, unless it is to be quiet.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, replaces: std::io::stderr().is_terminal() }
    }

    /// Says one line.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let text = escape(text);
        // What is longer than the line could not be taken away again.
        let text: String = if self.replaces { text.chars().take(WIDTH).collect() } else { text.into_owned() };
        let mut err = std::io::stderr().lock();
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.replaces { write!(err, "\r\x1b[2K{text}") } else { writeln!(err, "{text}") };
        let _ = err.flush();
    }

    /// Takes the last line away.
    pub fn done(&self) {
        if self.replaces && !self.quiet {
            eprint!("\r\x1b[2K");
        }
    }
}
