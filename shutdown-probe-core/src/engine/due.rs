//! What is due for a container, and when.

use crate::identity::KernelInstant;

/// When which step is to be taken; nothing: not at all.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// A suspicion lapses.
    pub lapse: Option<KernelInstant>,
    /// What goes on is reported.
    pub report: Option<KernelInstant>,
    /// The losses of an ended process are counted.
    pub settle: Option<KernelInstant>,
    /// The termination is complete.
    pub complete: Option<KernelInstant>,
}

impl Due {
    /// The first of them.
    pub fn next(&self) -> Option<KernelInstant> {
        [self.lapse, self.report, self.settle, self.complete].into_iter().flatten().min()
    }
}

/// The time has come.
pub(super) fn is_due(at: Option<KernelInstant>, now: KernelInstant) -> bool {
    at.is_some_and(|at| at <= now)
}
