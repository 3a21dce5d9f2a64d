//! What happened, in order, for people.

use crate::identity::{KernelInstant, ProcessId};
use crate::input::{EndpointStep, ProcessExited, Sender, Signal};
use crate::signal;
use shutdown_probe_common::fate::Fate;
use std::net::SocketAddr;

/// How many entries are kept; what is more is only counted.
const KEPT: usize = 200;

#[derive(Debug)]
pub(crate) struct Entry {
    pub at: KernelInstant,
    pub event: &'static str,
    pub text: String,
}

/// The timeline of one termination.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    entries: Vec<Entry>,
    dropped: u64,
}

impl Timeline {
    fn push(&mut self, at: KernelInstant, event: &'static str, text: String) {
        if self.entries.len() < KEPT {
            self.entries.push(Entry { at, event, text });
        } else {
            self.dropped += 1;
        }
    }

    pub fn announced(&mut self, at: KernelInstant) {
        self.push(at, "announced", "its pod was deleted".to_owned());
    }

    pub fn endpoint(&mut self, at: KernelInstant, service: &str, step: EndpointStep) {
        let (event, became) = match step {
            EndpointStep::Ready => ("endpoint_ready", "is ready"),
            EndpointStep::NotReady => ("endpoint_not_ready", "is not ready any more"),
            EndpointStep::Removed => ("endpoint_removed", "was removed"),
        };
        let service = service.escape_debug();
        self.push(at, event, format!("its endpoint of Service {service} {became}"));
    }

    pub fn stopped(&mut self, signal: &Signal) {
        let from = match signal.sender {
            Sender::Kernel | Sender::KernelInside => "by the kernel",
            Sender::Outside | Sender::Inside => "from outside",
        };
        let what =
            format!("{} sent {from} to {}", signal::name(signal.signal), named(signal.target, &signal.comm));
        let met = if signal.dropped {
            "; the kernel dropped it: nothing handles it"
        } else if signal.blocked {
            "; queued: the process waits for it or blocks it"
        } else {
            ""
        };
        self.push(signal.at, "stop_signal", what + met);
    }

    pub fn reraised(&mut self, signal: &Signal) {
        let name = signal::name(signal.signal);
        let text = format!(
            "{} sent {name} to itself again, for its default action",
            named(signal.target, &signal.comm)
        );
        self.push(signal.at, "signal_reraised", text);
    }

    pub fn killed(&mut self, signal: &Signal) {
        let text = format!("SIGKILL sent from outside to {}", named(signal.target, &signal.comm));
        self.push(signal.at, "kill_signal", text);
    }

    pub fn oom(&mut self, at: KernelInstant, process: ProcessId) {
        self.push(at, "oom_kill", format!("the OOM killer chose process {}", process.tgid));
    }

    pub fn exited(&mut self, exit: &ProcessExited) {
        let how = match (exit.code, exit.signal) {
            (_, Some(number)) => format!("was ended by {}", signal::name(number)),
            (Some(code), None) => format!("exited with status {code}"),
            (None, None) => "ended".to_owned(),
        };
        self.push(exit.at, "exit", format!("{} {how}", named(exit.process, &exit.comm)));
    }

    pub fn emptied(&mut self, at: KernelInstant) {
        self.push(at, "empty", "the container's last process was gone".to_owned());
    }

    pub fn severed(&mut self, at: KernelInstant, fate: Fate, peer: SocketAddr) {
        self.push(at, "severed", format!("severed {peer}: {}", fate.as_str()));
    }

    pub fn listener(&mut self, at: KernelInstant, local: SocketAddr, open: bool, by_death: bool) {
        let (event, text) = match (open, by_death) {
            (true, _) => ("listener_opened", format!("began to listen on {local}")),
            (false, false) => ("listener_closed", format!("closed its listener on {local}")),
            (false, true) => ("listener_closed", format!("the listener on {local} died with its process")),
        };
        self.push(at, event, text);
    }

    /// The entries in order of time.
    pub fn sorted(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// How many entries found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn named(process: ProcessId, comm: &str) -> String {
    if comm.is_empty() {
        format!("process {}", process.tgid)
    } else {
        // The name is chosen by whoever runs the program.
        format!("{} ({})", comm.escape_debug(), process.tgid)
    }
}
