//! What the kernel side keeps for each container. Exact even when records are lost.

use crate::connection::Process;
use crate::fate::Fate;
use bytemuck::{Pod, Zeroable};

/// Totals of one container since it was first seen. They only grow, but for `fates`, where a
/// connection whose fate is revised moves from one to another.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Counters {
    /// Connections the kernel completed for a listener of this container (passive opens).
    pub opened: u64,
    /// Connections by [`Fate`], counted when they end; index: the fate's discriminant.
    pub fates: [u64; Fate::COUNT],
    /// Records that the ring had no room for.
    pub lost: u64,
}

/// The value of the map `CONTAINERS`; the key is the container's cgroup id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Container {
    /// Records are sent until then, in ns since boot. 0: silent. The kernel side opens it for
    /// [`SUSPICION_NS`] when something looks like an end; user space prolongs or closes it.
    pub narrate_until: u64,
    /// When `narrate_until` was last opened from silence, in ns since boot.
    pub began_at: u64,
    /// The same moment, in jiffies.
    pub began_jiffies: u64,
    /// The same moment, in ns of `CLOCK_MONOTONIC`.
    pub began_monotonic: u64,
    /// 1: the story began with more than a process that ended well.
    pub is_firm: u64,
    /// The first process that entered the container from outside.
    pub main: Process,
    /// Totals since the container was first seen.
    pub counters: Counters,
    /// What `counters` was at `began_at`.
    pub at_begin: Counters,
}

/// The values of the map `WATCHED`; the key is a cgroup's id.
pub mod watched {
    /// Each child is a container, with whatever is nested in it.
    pub const CONTAINERS: u32 = 0;
    /// Less this: the byte at which the names of those children have `pod` that are pods' cgroups, in which
    /// containers are made. Other children are nothing to us.
    pub const PODS: u32 = 1;
}

/// How long the kernel side narrates on a suspicion that nobody confirms, in ns.
pub const SUSPICION_NS: u64 = 15_000_000_000;

const _: () = {
    assert!(size_of::<Counters>() == 128);
    assert!(size_of::<Container>() == 312);
};
