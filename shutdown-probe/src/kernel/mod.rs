//! What this node is: everything the probe rests on, looked at piece by piece.
//!
//! Invariant: an answer is yes, no or could-not-tell, and says what to do; nothing here changes the node.

mod bpf;
mod host;

use serde::Serialize;

pub use host::{is_in_cluster, release};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is as it should be.
    Yes,
    /// It is not.
    No,
    /// It cannot be seen from here.
    CouldNotTell,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// What was found.
    pub answer: Answer,
    /// Whether the probe cannot work without it.
    pub required: bool,
    /// What was found, in words.
    pub finding: String,
    /// What to do, where something should be done.
    pub remedy: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, answer: Answer, finding: impl Into<String>) -> Self {
        Self { name: name.into(), answer, required: true, finding: finding.into(), remedy: None }
    }

    pub(crate) fn yes(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(name, Answer::Yes, finding)
    }

    pub(crate) fn no(name: impl Into<String>, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, Answer::No, finding) }
    }

    pub(crate) fn unknown(
        name: impl Into<String>,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, Answer::CouldNotTell, finding) }
    }

    pub(crate) fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

/// Looks at everything. Where nothing speaks against it, the last step attaches the probes for a moment, which is
/// the one proof that they can be.
pub fn inspect() -> Vec<Check> {
    let mut checks = host::checks();
    checks.extend(bpf::checks());
    let attachment = if would_work(&checks) { bpf::attach() } else { bpf::not_attached() };
    checks.push(attachment);
    checks
}

/// Whether nothing that the probe needs is known to be missing.
pub fn would_work(checks: &[Check]) -> bool {
    !checks.iter().any(|check| check.required && check.answer == Answer::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_required_no_forbids() {
        let yes = Check::yes("a", "there");
        let optional = Check::no("b", "missing", "live with it").optional();
        let unknown = Check::unknown("c", "hidden", "look yourself");
        assert!(would_work(&[yes.clone(), optional.clone(), unknown]));
        assert!(!would_work(&[yes, optional, Check::no("d", "missing", "get it")]));
    }
}
