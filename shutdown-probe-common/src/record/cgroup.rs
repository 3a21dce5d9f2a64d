//! Containers come and go: `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_notify_populated`.

use super::Header;
use bytemuck::{Pod, Zeroable};

/// The longest path carried, in bytes. A longer one is cut; user space then looks it up by id.
pub const PATH_LENGTH: usize = 512;

/// A cgroup of the v2 hierarchy was made. `header.container` is the container it belongs to: itself,
/// or an ancestor.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct CgroupMade {
    /// The header.
    pub header: Header,
    /// The cgroup's own id.
    pub cgroup: u64,
    /// Path below the v2 root, NUL-terminated unless it fills the field.
    pub path: [u8; PATH_LENGTH],
}

/// A cgroup was removed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct CgroupRemoved {
    /// The header.
    pub header: Header,
    /// The cgroup's own id.
    pub cgroup: u64,
}

/// A container got its first process, or lost its last.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Populated {
    /// The header.
    pub header: Header,
    /// 1: it has processes; 0: it has none.
    pub populated: u64,
}

const _: () = {
    assert!(size_of::<CgroupMade>() == 32 + PATH_LENGTH);
    assert!(size_of::<CgroupRemoved>() == 32);
    assert!(size_of::<Populated>() == 32);
};
