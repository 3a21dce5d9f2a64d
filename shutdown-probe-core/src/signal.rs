//! Signals by name, and what became of them.

use crate::closed_set::closed_set;
use std::borrow::Cow;

/// SIGINT.
pub const SIGINT: u32 = 2;
/// SIGQUIT.
pub const SIGQUIT: u32 = 3;
/// SIGKILL.
pub const SIGKILL: u32 = 9;
/// SIGTERM.
pub const SIGTERM: u32 = 15;

const NAMES: [&str; 32] = [
    "0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// First real-time signal as the kernel counts (signal(7)); libc's SIGRTMIN is two more.
const FIRST_REAL_TIME: u32 = 32;

/// The name of a signal on Linux, as in signal(7).
pub fn name(signal: u32) -> Cow<'static, str> {
    match NAMES.get(signal as usize) {
        Some(&name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("SIG{}", signal.max(FIRST_REAL_TIME))),
    }
}

/// The number of a signal, by its name with or without `SIG`, or by the number itself.
pub fn number(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse::<u32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    NAMES.iter().skip(1).position(|&known| known == full).map(|index| index as u32 + 1)
}

closed_set! {
    /// What the stop signal met. Judged by what happened, not by the handler's address alone.
    Disposition {
        /// A handler ran, and it was the program's own.
        Handled = "handled",
        /// The default action, also where a runtime re-raised the signal to get it.
        Default = "default",
        /// Nothing: SIG_IGN, or PID 1 of a namespace with the default action.
        Ignored = "ignored",
        /// Queued for sigwait or signalfd.
        Blocked = "blocked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for signal in 1..=31 {
            assert_eq!(number(&name(signal)), Some(signal));
        }
        assert_eq!(number("term"), Some(SIGTERM));
        assert_eq!(number("65"), None);
        assert_eq!(number("SIGNOPE"), None);
        assert_eq!(name(37), "SIG37");
    }
}
