//! The kernel side as the engine sees it.

use super::containers::Containers;
use crate::clock::boot_now;
use crate::probe::ContainerTable;
use crate::witness::Kernel;
use shutdown_probe_common::container;
use shutdown_probe_common::fate::Fate;
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use shutdown_probe_core::input::{Counters, FateName};
use std::collections::VecDeque;
use std::time::Duration;

/// How long the sockets of a cgroup that is gone may still have something to tell: the kernel gives up on an
/// orphan that awaits its last acknowledgement after a minute.
const AFTERLIFE: Duration = Duration::from_secs(60);

/// The kernel side's containers, and which cgroups belong to each.
#[derive(Debug)]
pub struct LiveKernel {
    table: ContainerTable,
    afterlife: Duration,
    /// What the engine was told of.
    pub containers: Containers,
    /// Nested cgroups that are gone, and until when they are kept, in that order.
    leaving: VecDeque<(KernelInstant, u64)>,
    /// Records that forgotten containers had lost.
    lost_by_forgotten: u64,
}

impl LiveKernel {
    /// A kernel side of which nothing is known yet.
    pub fn new(table: ContainerTable, linger: Duration) -> Self {
        let afterlife = linger.max(AFTERLIFE);
        Self {
            table,
            afterlife,
            containers: Containers::default(),
            leaving: VecDeque::new(),
            lost_by_forgotten: 0,
        }
    }

    /// Whether it still does what it is told.
    pub fn obeys(&self) -> bool {
        // No cgroup has the id 0: this changes nothing.
        self.table.narrate_until(0, 0).is_ok()
    }

    /// A cgroup nested in a container was removed.
    pub fn nested_removed(&mut self, cgroup: u64) {
        self.leaving.push_back((boot_now().after(self.afterlife), cgroup));
    }

    /// Forgets nested cgroups that have nothing more to tell.
    pub fn tidy(&mut self, now: KernelInstant) {
        while let Some((_, cgroup)) = self.leaving.pop_front_if(|(until, _)| *until <= now) {
            self.table.forget(cgroup, &[]);
        }
    }

    /// How many of `total` lost records the containers' own counters name. Asks nobody if there are none.
    pub fn lost_by_name(&self, total: u64) -> u64 {
        if total == 0 {
            return 0;
        }
        let lost = |id: ContainerId| self.table.get(id.0).map_or(0, |container| container.counters.lost);
        self.lost_by_forgotten + self.containers.ids().map(lost).sum::<u64>()
    }
}

impl Kernel for LiveKernel {
    fn now(&self) -> KernelInstant {
        boot_now()
    }

    fn narrate_until(&mut self, container: ContainerId, until: KernelInstant) {
        if let Err(error) = self.table.narrate_until(container.0, until.0) {
            tracing::warn!(container = container.0, %error, "the kernel side does not narrate as it is told");
        }
    }

    fn counters(&mut self, container: ContainerId) -> Option<Counters> {
        self.table.get(container.0).map(|known| grown(&known))
    }

    fn forget(&mut self, container: ContainerId) {
        if let Some(known) = self.table.get(container.0) {
            self.lost_by_forgotten += known.counters.lost;
        }
        let known = self.containers.forget(container).unwrap_or_default();
        let nested: Vec<u64> = known.nested.into_iter().collect();
        self.table.forget(container.0, &nested);
    }
}

/// What the counters grew by since narration began. One that a revision made smaller did not grow.
fn grown(container: &container::Container) -> Counters {
    let (now, then) = (&container.counters, &container.at_begin);
    let fates = Fate::ALL.into_iter().map(|fate| {
        let index = fate as usize;
        (FateName(fate), now.fates[index].saturating_sub(then.fates[index]))
    });
    Counters {
        opened: now.opened.saturating_sub(then.opened),
        fates: fates.filter(|(_, count)| *count > 0).collect(),
        lost: now.lost.saturating_sub(then.lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_tell_what_is_new() {
        let mut container = container::Container::default();
        container.at_begin.opened = 3;
        container.counters.opened = 10;
        container.counters.lost = 2;
        container.at_begin.fates[Fate::ClosedIdle as usize] = 5;
        container.counters.fates[Fate::ClosedIdle as usize] = 4;
        container.counters.fates[Fate::Drained as usize] = 6;
        let expected = Counters { opened: 7, fates: vec![(FateName(Fate::Drained), 6)], lost: 2 };
        assert_eq!(grown(&container), expected);
    }
}
