//! How progress is written: plain lines, coloured only for a person who looks.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Whether and how to colour one output stream.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    coloured: bool,
}

/// The palette of standard output.
pub fn stdout() -> Palette {
    Palette::of(&io::stdout())
}

/// The palette of standard error.
pub fn stderr() -> Palette {
    Palette::of(&io::stderr())
}

impl Palette {
    fn of(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: stream.is_terminal() && !refused }
    }

    /// For programs that have to be told.
    pub fn option(self) -> &'static str {
        if self.coloured { "--color=always" } else { "--color=never" }
    }

    pub fn bold(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub fn red(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    pub fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// What `setup` says of one thing.
#[derive(Clone, Copy, Debug)]
pub enum Status {
    Found,
    Installing,
    Missing,
    Note,
}

/// One line about one thing. The status is padded before it is coloured, so that columns stay straight.
pub fn line(status: Status, name: &str, detail: impl Display) {
    let palette = stdout();
    let status = match status {
        Status::Found => palette.green("found     "),
        Status::Installing => palette.yellow("installing"),
        Status::Missing => palette.red("missing   "),
        Status::Note => palette.bold("note      "),
    };
    println!("{status} {name:<18} {detail}");
}

/// Minutes and seconds, for a person.
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_palette_adds_nothing() {
        assert_eq!(Palette { coloured: false }.red("x"), "x");
        assert_eq!(Palette { coloured: true }.red("x"), "\x1b[1;31mx\x1b[0m");
    }

    #[test]
    fn clock_is_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_millis(900)), "0:00");
        assert_eq!(clock(Duration::from_secs(61)), "1:01");
        assert_eq!(clock(Duration::from_secs(3_725)), "62:05");
    }
}
