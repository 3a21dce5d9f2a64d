//! The observation itself is to end while containers do.

use super::Engine;
use crate::container::Container;

impl Engine {
    /// The paths of the containers that are on their way to their end, or whose last records may be.
    pub fn ending(&self) -> impl Iterator<Item = &str> {
        let ends = |container: &Container| {
            container.termination.as_ref().is_some_and(|it| it.confirmed && it.empty_at.is_none())
        };
        let settles = |id| self.due.get(id).is_some_and(|due| due.settle.is_some());
        let ending = self.containers.iter().filter(move |(id, it)| ends(it) || settles(id));
        ending.map(|(_, container)| container.path.as_str())
    }

    /// Completes the terminations of containers that have ended. What came in the rest of the linger is not known.
    pub fn conclude(&mut self) {
        let ids: Vec<_> = self.due.keys().copied().collect();
        for id in ids {
            let termination = self.containers.get_mut(&id).and_then(|it| it.termination.as_mut());
            if let Some(termination) = termination.filter(|it| it.confirmed && it.empty_at.is_some()) {
                termination.cut_linger();
                self.complete(id);
            }
        }
    }
}
