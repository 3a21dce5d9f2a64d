//! What to change about how a service is stopped: measured numbers, the reasons for them, and patches to copy.
//!
//! Invariants: a number comes from terminations that were seen, and says so where those are few. A name that the API
//! server would not take never gets into a patch for it. What to change in the program is said by [`crate::advice`].

mod changes;
mod history;
mod kubernetes;
mod patches;
mod standalone;
mod yaml;

pub(crate) use changes::changes;
pub(crate) use history::{Histories, History, Name, Sample};
pub(crate) use patches::patches;

use core::time::Duration;

/// What recommendations need to know beyond the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The programs that served, by the names of their processes.
    pub serving: Vec<String>,
    /// Why the stop signal did nothing, where it did.
    pub unheard: Option<Unheard>,
    /// How long its preStop hook took, where there was time for one.
    pub pre_stop: Duration,
    /// The grace period of its spec, or the one that is set for all.
    pub grace: Option<Duration>,
    /// Major and minor version of the API server, where it told.
    pub server_version: Option<(u32, u32)>,
}

/// Why a stop signal did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unheard {
    /// PID 1 of a namespace without a handler, or with one that asks for the default action.
    DefaultOfPid1,
    /// `SIG_IGN`.
    Ignored,
    /// Blocked, and never taken.
    Blocked,
}

/// A duration in whole seconds, rounded up.
const fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + (duration.subsec_nanos() > 0) as u64
}
