//! Which container something belongs to, and whether its story is being told.

use crate::emit::{add, now};
use crate::kernel::{Task, jiffies, monotonic, opaque};
use crate::maps::{CGROUPS, CONTAINERS};
use aya_ebpf::helpers::bpf_get_current_cgroup_id;
use core::ptr::{copy_nonoverlapping, read_volatile, write_volatile};
use shutdown_probe_common::connection::Process;
use shutdown_probe_common::container::{Container, SUSPICION_NS};
use shutdown_probe_common::fate::Fate;

/// [`Container::narrate_until`] of a termination that user space has confirmed.
const CONFIRMED: u64 = u64::MAX;

/// A container that the maps know.
#[derive(Clone, Copy)]
pub struct Known {
    /// Its cgroup's id.
    pub id: u64,
    value: *mut Container,
}

/// The container that this cgroup belongs to.
#[inline(always)]
pub fn of_cgroup(cgroup: u64) -> Option<u64> {
    CGROUPS.get_ptr(cgroup).map(|container| {
        // SAFETY: the map's value lives at least until the program ends; it is never changed in
        // place.
        unsafe { *container }
    })
}

/// The container of the running task. Means nothing in an interrupt.
#[inline(always)]
pub fn of_current() -> Option<u64> {
    // SAFETY: the helper takes nothing and always succeeds.
    of_cgroup(unsafe { bpf_get_current_cgroup_id() })
}

/// The container of this task.
#[inline(always)]
pub fn of_task(task: Task) -> Option<u64> {
    of_cgroup(task.cgroup().id())
}

impl Known {
    /// The container of this id.
    #[inline(always)]
    pub fn get(id: u64) -> Option<Self> {
        CONTAINERS.get_ptr_mut(id).map(|value| Self { id, value })
    }

    /// Whether records are to be sent.
    #[inline(always)]
    pub fn is_narrating(self) -> bool {
        now() < self.narrate_until()
    }

    #[inline(always)]
    fn narrate_until(self) -> u64 {
        // SAFETY: the map's value lives at least until the program ends. Another CPU may write the
        // word at the same time; it is read whole.
        unsafe { read_volatile(&raw const (*self.value).narrate_until) }
    }

    /// When the story began, in ns of `CLOCK_MONOTONIC`.
    #[inline(always)]
    pub fn began_monotonic(self) -> u64 {
        // SAFETY: as in `narrate_until`.
        unsafe { read_volatile(&raw const (*self.value).began_monotonic) }
    }

    /// When the story began, in ns since boot.
    #[inline(always)]
    pub fn began_at(self) -> u64 {
        // SAFETY: as in `narrate_until`.
        unsafe { read_volatile(&raw const (*self.value).began_at) }
    }

    /// The same moment, as TCP stamps its sockets.
    #[inline(always)]
    pub fn began_jiffies(self) -> u32 {
        // SAFETY: as in `narrate_until`.
        unsafe { read_volatile(&raw const (*self.value).began_jiffies) as u32 }
    }

    /// The process that first entered from outside. tgid 0: none yet.
    #[inline(always)]
    pub fn main(self) -> Process {
        // SAFETY: as in `narrate_until`; it is written once, before the container does anything.
        unsafe { read_volatile(&raw const (*self.value).main) }
    }

    /// Makes this its main process, where it has none.
    #[inline(always)]
    pub fn offer_main(self, process: Process) {
        if self.main().tgid == 0 {
            self.set_main(process);
        }
    }

    /// Its main process has ended: the next that enters is its main process.
    #[inline(always)]
    pub fn forget_main(self) {
        self.set_main(Process { start: 0, tgid: 0, reserved: 0 });
    }

    /// Makes this its main process.
    #[inline(always)]
    pub fn set_main(self, process: Process) {
        // SAFETY: as in `narrate_until`.
        unsafe { write_volatile(&raw mut (*self.value).main, process) };
    }

    /// Connections ever accepted.
    #[inline(always)]
    pub fn opened(self) -> u64 {
        // SAFETY: as in `narrate_until`.
        unsafe { read_volatile(&raw const (*self.value).counters.opened) }
    }

    /// Begins to tell its story, for as long as a suspicion lasts; a story being told goes on.
    ///
    /// The story begins anew where it was no more than a suspicion.
    #[inline(always)]
    pub fn begin_anew(self) {
        let now = now();
        if self.narrate_until() != CONFIRMED {
            self.begin(now);
        }
        self.open_narration();
    }

    /// Begins to tell its story on a suspicion; a story being told goes on.
    #[inline(always)]
    pub fn open_narration(self) {
        self.narrate(now() + SUSPICION_NS, false);
        self.make_firm();
    }

    /// The same because its main process has ended.
    ///
    /// The story begins anew where it was no more than that another had ended well: the first step of a runtime, which
    /// makes the real one.
    #[inline(always)]
    pub fn open_narration_of_end(self, ended_well: bool) {
        let now = now();
        let until = self.narrate_until();
        if until > now && until != CONFIRMED && !self.is_firm() {
            self.begin(now);
        }
        self.narrate(now + SUSPICION_NS, false);
        if !ended_well {
            self.make_firm();
        }
    }

    #[inline(always)]
    fn is_firm(self) -> bool {
        // SAFETY: as in `narrate_until`.
        unsafe { read_volatile(&raw const (*self.value).is_firm) != 0 }
    }

    #[inline(always)]
    fn make_firm(self) {
        // SAFETY: as in `narrate_until`.
        unsafe { write_volatile(&raw mut (*self.value).is_firm, 1) };
    }

    /// Tells its story until then; where `shorten` is false, never less long than before.
    #[inline(always)]
    pub fn narrate(self, until: u64, shorten: bool) {
        let now = now();
        let before = self.narrate_until();
        if before <= now && until > now {
            self.begin(now);
        }
        if shorten || until > before {
            // SAFETY: as in `narrate_until`.
            unsafe { write_volatile(&raw mut (*self.value).narrate_until, until) };
        }
    }

    #[inline(always)]
    fn begin(self, now: u64) {
        // SAFETY: as in `narrate_until`. `counters` and `at_begin` are two fields of one type. Two
        // CPUs that begin at once write the same but for what was counted in between.
        unsafe {
            (*self.value).began_at = now;
            (*self.value).is_firm = 0;
            (*self.value).began_jiffies = jiffies();
            (*self.value).began_monotonic = monotonic();
            copy_nonoverlapping(
                (&raw const (*self.value).counters).cast::<[u64; 16]>(),
                (&raw mut (*self.value).at_begin).cast::<[u64; 16]>(),
                1,
            );
        }
    }

    /// Counts a connection opened.
    #[inline(always)]
    pub fn count_opened(self) {
        // SAFETY: the field is in a map's value and aligned.
        unsafe { add(&raw mut (*self.value).counters.opened, 1) };
    }

    /// Counts a fate, by its byte on the wire.
    #[inline(always)]
    pub fn count_fate(self, fate: u8) {
        self.add_fate(fate, 1);
    }

    /// Moves a connection from one fate to another.
    #[inline(always)]
    pub fn move_fate(self, from: u8, to: u8) {
        self.add_fate(from, u64::MAX);
        self.add_fate(to, 1);
    }

    #[inline(always)]
    fn add_fate(self, fate: u8, by: u64) {
        let index = opaque(fate.into());
        if index < Fate::COUNT as u64 {
            // SAFETY: the index was checked; the field is in a map's value and aligned.
            unsafe { add((&raw mut (*self.value).counters.fates).cast::<u64>().add(index as usize), by) };
        }
    }
}
