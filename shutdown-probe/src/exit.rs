//! How the program ends: the closed set of exit codes, and the error that carries one.
//!
//! The numbers follow sysexits(3) where it has one. The table in `--help` and in `docs/cli.md` is
//! made from [`Exit::ALL`].

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

macro_rules! exits {
    ($($variant:ident = $code:literal, $meaning:literal;)*) => {
        /// How the program ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit { $(#[doc = $meaning] $variant = $code,)* }

        impl Exit {
            /// Every way, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What it tells the caller.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

exits! {
    Success = 0, "all went well";
    No = 1, "the answer is no (doctor: the probe would not work here; check: the shutdown loses requests)";
    NotMeasured = 2, "check could not measure, and says why";
    Usage = 64, "the command line, an environment variable or the configuration file is wrong";
    Data = 65, "the input is not what it should be (replay: no usable line, or a newer format)";
    NoInput = 66, "there is no such cgroup, file or termination, or Prometheus has no series of ours";
    Unavailable = 69, "the daemon or Prometheus cannot be reached, or cannot answer";
    Internal = 70, "a fault of the program itself";
    Kernel = 71, "the kernel lacks what the probe needs (see doctor)";
    CannotWrite = 73, "the output cannot be written";
    PortBusy = 74, "the address to listen on is taken, or not ours";
    Permission = 77, "privileges are missing (see doctor)";
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// All of them, one a line, for people.
    pub fn table() -> String {
        let lines = Self::ALL.iter().map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.collect::<String>())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error, and how the program ends for it.
#[derive(Debug)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// What went wrong.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure in words.
    pub fn new(exit: Exit, message: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { exit, error: anyhow::Error::msg(message) }
    }

    /// The failure to write what was asked for.
    pub fn cannot_write(error: io::Error) -> Self {
        Self { exit: Exit::CannotWrite, error: anyhow::Error::new(error).context("cannot write the output") }
    }

    /// Whether the reader of our output went away, as `| head` does: nothing to complain about.
    pub fn is_broken_pipe(&self) -> bool {
        let kinds = self.error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
        self.exit == Exit::CannotWrite && kinds.into_iter().any(|e| e.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Gives an error its exit code and says what was being done.
pub trait OrExit<T> {
    /// Ends the program so if this is an error.
    ///
    /// # Errors
    /// The same error, with its exit code and the context before it.
    fn or_exit<C: Display + Send + Sync + 'static>(
        self,
        exit: Exit,
        context: impl FnOnce() -> C,
    ) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit<C: Display + Send + Sync + 'static>(
        self,
        exit: Exit,
        context: impl FnOnce() -> C,
    ) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into().context(context()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_listed() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert!(Exit::table().contains("  77  privileges are missing"));
    }

    #[test]
    fn a_closed_pipe_is_recognised_through_its_context() {
        let closed = Failure::cannot_write(io::ErrorKind::BrokenPipe.into());
        assert!(closed.is_broken_pipe());
        assert!(!Failure::cannot_write(io::ErrorKind::StorageFull.into()).is_broken_pipe());
        assert!(closed.to_string().starts_with("cannot write the output: "));
    }
}
