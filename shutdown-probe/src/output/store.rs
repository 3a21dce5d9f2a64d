//! The terminations of late: what the API and the page show.
//!
//! Invariants: the number of complete ones is bounded, and so is what they list; the oldest go first; one in
//! progress is always there; a report replaces what was said before under its id.

use shutdown_probe_core::report::{State, Termination};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

/// How many connections and timeline entries the complete ones list altogether, at most: some 100 MiB.
const LISTED_MOST: usize = 200_000;

/// The terminations of late.
#[derive(Debug)]
pub struct Store {
    keep: usize,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    by_id: HashMap<String, Arc<Termination>>,
    /// Ids in the order in which they became complete.
    complete: VecDeque<String>,
    /// What they list altogether.
    listed: usize,
}

impl Store {
    /// An empty store that keeps this many complete terminations.
    pub fn new(keep: usize) -> Self {
        Self { keep, held: RwLock::default() }
    }

    /// Takes a termination as it stands now.
    pub fn put(&self, termination: Termination) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let id = termination.id.clone();
        held.listed += listed(&termination);
        let is_complete = termination.state == State::Complete;
        let before = held.by_id.insert(id.clone(), Arc::new(termination));
        held.listed -= before.as_deref().map_or(0, listed);
        if is_complete && before.is_none_or(|before| before.state != State::Complete) {
            held.complete.push_back(id);
        }
        // The last one stays, however much it lists.
        while held.complete.len() > self.keep || (held.listed > LISTED_MOST && held.complete.len() > 1) {
            held.drop_oldest();
        }
    }

    /// The termination of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Termination>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// The terminations that fit, those that began last first.
    pub fn newest(&self, fits: impl Fn(&Termination) -> bool) -> Vec<Arc<Termination>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = held.by_id.values().filter(|it| fits(it)).cloned().collect();
        drop(held);
        found.sort_by(|a, b| b.began_at.total_cmp(&a.began_at).then_with(|| b.id.cmp(&a.id)));
        found
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.read().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }
}

impl Held {
    fn drop_oldest(&mut self) {
        let oldest = self.complete.pop_front().and_then(|id| self.by_id.remove(&id));
        self.listed -= oldest.as_deref().map_or(0, listed);
    }
}

/// What a complete termination lists. One in progress does not count: it cannot be dropped.
fn listed(termination: &Termination) -> usize {
    match termination.state {
        State::InProgress => 0,
        State::Complete => {
            termination.severed.len() + termination.unsevered.len() + termination.timeline.len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    fn ids(store: &Store) -> Vec<String> {
        store.newest(|_| true).iter().map(|it| it.id.clone()).collect()
    }

    fn termination(id: &str, state: State, began_at: f64) -> Termination {
        Termination { id: id.into(), state, began_at, ..sample::termination() }
    }

    #[test]
    fn the_oldest_complete_ones_go_first_and_those_in_progress_stay() {
        let store = Store::new(2);
        store.put(termination("running", State::InProgress, 1.0));
        for (id, began_at) in [("a", 2.0), ("b", 3.0), ("c", 4.0)] {
            store.put(termination(id, State::InProgress, began_at));
            store.put(termination(id, State::Complete, began_at));
        }
        assert_eq!(ids(&store), ["c", "b", "running"]);
        assert!(store.get("a").is_none());
        assert_eq!(store.count(), 3);
    }

    #[test]
    fn a_later_report_replaces_and_a_repeated_one_counts_once() {
        let store = Store::new(2);
        store.put(termination("a", State::Complete, 1.0));
        store.put(Termination { severed_total: 7, ..termination("a", State::Complete, 1.0) });
        store.put(termination("b", State::Complete, 2.0));
        assert_eq!(ids(&store), ["b", "a"]);
        assert_eq!(store.get("a").map(|it| it.severed_total), Some(7));
    }

    #[test]
    fn what_lists_too_much_goes_before_its_time() {
        let store = Store::new(1_000);
        let large = |id: &str, began_at| Termination {
            severed: vec![sample::severed(); LISTED_MOST / 3],
            ..termination(id, State::Complete, began_at)
        };
        for (id, began_at) in [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)] {
            store.put(large(id, began_at));
            store.put(large(id, began_at));
        }
        assert_eq!(ids(&store), ["d", "c"]);
        let mut huge = large("e", 5.0);
        huge.severed = vec![sample::severed(); LISTED_MOST + 1];
        store.put(huge);
        assert_eq!(ids(&store), ["e"]);
        store.put(termination("f", State::Complete, 6.0));
        assert_eq!(ids(&store), ["f"]);
    }

    #[test]
    fn newest_are_chosen() {
        let store = Store::new(10);
        for n in 0..6_u8 {
            store.put(termination(&n.to_string(), State::Complete, f64::from(n)));
        }
        let even = |it: &Termination| it.began_at % 2.0 == 0.0;
        let found: Vec<_> = store.newest(even).iter().map(|it| it.id.clone()).collect();
        assert_eq!(found, ["4", "2", "0"]);
    }
}
