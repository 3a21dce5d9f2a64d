//! What became of each probe.
//!
//! Invariant: a probe that does not run takes fates with it by name; none is counted as zero.

use super::spec::Spec;
use shutdown_probe_common::fate::Fate;

/// Whether a probe runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It runs.
    Attached,
    /// This kernel does not offer what it needs.
    Unsupported,
    /// The kernel offers it, and refused it.
    Broken,
    /// It was not asked for.
    SwitchedOff,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Attached, Self::Unsupported, Self::Broken, Self::SwitchedOff];

    /// The name used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Unsupported => "unsupported",
            Self::Broken => "broken",
            Self::SwitchedOff => "switched_off",
        }
    }
}

/// What became of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The probe's name.
    pub probe: &'static str,
    /// Whether it runs.
    pub status: Status,
    /// Why it does not, for a human. Empty when it runs.
    pub reason: String,
    /// What can not be known therefore.
    pub fates_lost: &'static [Fate],
}

/// How the attempt to attach a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its programs run.
    Attached,
    /// The kernel lacks this.
    Lacking(String),
    /// The kernel refused with this reason.
    Refused(String),
    /// The settings do not ask for it.
    SwitchedOff,
}

/// Judges an attempt.
pub fn judge(spec: &Spec, outcome: Outcome) -> Verdict {
    let (status, reason) = match outcome {
        Outcome::Attached => (Status::Attached, String::new()),
        Outcome::Lacking(reason) => (Status::Unsupported, reason),
        Outcome::Refused(reason) => (Status::Broken, reason),
        Outcome::SwitchedOff => (Status::SwitchedOff, "switched off by the settings".to_owned()),
    };
    let fates_lost = if status == Status::Attached { &[] } else { spec.fates_lost };
    Verdict { probe: spec.name, status, reason, fates_lost }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::spec::PROBES;

    fn spec(name: &str) -> &'static Spec {
        PROBES.iter().find(|spec| spec.name == name).unwrap()
    }

    #[test]
    fn what_runs_loses_nothing() {
        let verdict = judge(spec("read"), Outcome::Attached);
        assert_eq!((verdict.status, verdict.fates_lost), (Status::Attached, [].as_slice()));
    }

    #[test]
    fn what_does_not_run_names_what_is_lost() {
        let lacking = judge(spec("reset_sent"), Outcome::Lacking("no such hook".into()));
        assert_eq!(lacking.status, Status::Unsupported);
        assert_eq!(lacking.fates_lost, [Fate::Refused, Fate::RequestAfterClose, Fate::UndeliveredResponse]);
        let refused = judge(spec("reset_received"), Outcome::Refused("permission denied".into()));
        assert_eq!((refused.status, refused.reason.as_str()), (Status::Broken, "permission denied"));
        assert_eq!(refused.fates_lost, [Fate::PeerAborted]);
    }
}
