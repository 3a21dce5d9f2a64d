//! Colours, where somebody looks at a terminal that has them and wants them: `--color`, `NO_COLOR`, `CLICOLOR` and
//! `TERM=dumb` are heeded.

use anstream::{AutoStream, ColorChoice};
use std::io;

/// The colours of one output, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    coloured: bool,
}

impl Paint {
    /// Nothing but text.
    pub const PLAIN: Self = Self { coloured: false };
    /// Whatever it is written to.
    #[cfg(test)]
    pub const COLOURED: Self = Self { coloured: true };

    /// For standard output.
    pub fn stdout() -> Self {
        Self { coloured: AutoStream::choice(&io::stdout()) != ColorChoice::Never }
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Self { coloured: AutoStream::choice(&io::stderr()) != ColorChoice::Never }
    }

    /// Whether there are colours.
    pub const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// A heading.
    pub fn title(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Something was lost.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Something would have been lost but for luck, or could not be measured.
    pub fn doubtful(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Nothing was lost.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Of less weight than what stands beside it.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Line by line, so that no line's end carries a colour into the next.
    fn paint(self, code: &str, text: &str) -> String {
        if !self.coloured {
            return text.to_owned();
        }
        let painted = |line: &str| match line.strip_suffix('\n') {
            Some(line) => format!("\x1b[{code}m{line}\x1b[0m\n"),
            None => format!("\x1b[{code}m{line}\x1b[0m"),
        };
        text.split_inclusive('\n').map(painted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_end_with_their_line() {
        assert_eq!(Paint::PLAIN.bad("a\nb"), "a\nb");
        assert_eq!(Paint::COLOURED.bad("a\nb\n"), "\x1b[1;31ma\x1b[0m\n\x1b[1;31mb\x1b[0m\n");
        assert_eq!(Paint::COLOURED.faint(""), "");
    }
}
