//! Cgroups.

use super::{Address, probe, probe_at};
use crate::offsets::{
    CGROUP_NODE, CGROUP_PARENT, CGROUP_ROOT, CSS_CGROUP, NODE_ID, NODE_NAME, ROOT_HIERARCHY,
};

/// `struct cgroup`.
#[derive(Clone, Copy)]
pub struct Cgroup(Address);

impl Cgroup {
    /// The one at this address.
    #[inline(always)]
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    /// Whether it is of the v2 hierarchy. The ids of others overlap with it.
    #[inline(always)]
    pub fn is_unified(self) -> bool {
        let root = probe(self.0, &CGROUP_ROOT);
        probe::<u32>(root, &ROOT_HIERARCHY) == 0
    }

    /// Its id.
    #[inline(always)]
    pub fn id(self) -> u64 {
        let node = probe(self.0, &CGROUP_NODE);
        probe(node, &NODE_ID)
    }

    /// Whether its name has `pod` at this byte. The byte must not lie beyond the shortest name that is asked: what is
    /// read behind a name's end is somebody else's.
    #[inline(always)]
    pub fn is_pod_at(self, byte: u64) -> bool {
        let name: Address = probe(probe(self.0, &CGROUP_NODE), &NODE_NAME);
        probe_at::<[u8; 3]>(name + byte) == *b"pod"
    }

    /// The id of its parent. 0: it is the root.
    #[inline(always)]
    pub fn parent_id(self) -> u64 {
        let parent: Address = probe(self.0, &CGROUP_PARENT);
        if parent == 0 { 0 } else { Self(probe(parent, &CSS_CGROUP)).id() }
    }
}
