//! Containers come and go. The maps are filled here, not by user space: a container may be over
//! before user space hears of it.

use crate::container::{Known, of_cgroup};
use crate::emit::{count, emit, header, lost, now, wakeup};
use crate::kernel::{Address, Cgroup};
use crate::maps::{CGROUPS, CONTAINERS, EVENTS, WATCHED};
use crate::offsets::WATCH_ALL;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use core::mem::zeroed;
use shutdown_probe_common::container::{Container, watched};
use shutdown_probe_common::loss::Loss;
use shutdown_probe_common::record::{CgroupMade, CgroupRemoved, PATH_LENGTH, Populated, kind};

/// A static, for the stack has no room for it.
// SAFETY: a container is integers only.
static EMPTY: Container = unsafe { zeroed() };

/// `cgroup_mkdir`.
#[inline(always)]
pub fn made(cgroup: Cgroup, path: Address) {
    if !cgroup.is_unified() {
        return;
    }
    let id = cgroup.id();
    let Some(container) = container_for(cgroup, id) else { return };
    if container == id && !add_container(id) {
        return;
    }
    if CGROUPS.insert(id, container, 0).is_err() {
        count(Loss::Containers);
        return;
    }
    tell_made(container, id, path);
}

#[inline(always)]
fn container_for(cgroup: Cgroup, id: u64) -> Option<u64> {
    if WATCH_ALL.load() != 0 {
        return Some(id);
    }
    let parent = cgroup.parent_id();
    let Some(watched) = WATCHED.get_ptr(parent) else { return of_cgroup(parent) };
    // SAFETY: the map's value lives at least until the program ends; it is written whole.
    let made_here = unsafe { *watched };
    if made_here == watched::CONTAINERS {
        return Some(id);
    }
    if cgroup.is_pod_at((made_here - watched::PODS).into()) {
        add_pod(id);
    }
    None
}

/// A pod that finds no room has containers that nobody sees.
#[inline(always)]
fn add_pod(id: u64) {
    if WATCHED.insert(id, watched::CONTAINERS, 0).is_err() {
        count(Loss::Containers);
    }
}

#[inline(always)]
fn add_container(id: u64) -> bool {
    let empty: &Container = &EMPTY;
    match CONTAINERS.insert(id, empty, BPF_NOEXIST.into()) {
        Ok(()) => true,
        Err(_) => {
            count(Loss::Containers);
            false
        }
    }
}

/// The record is too large for the stack: it is written in place.
#[inline(always)]
fn tell_made(container: u64, cgroup: u64, path: Address) {
    let flags = wakeup();
    let Some(mut entry) = EVENTS.reserve::<CgroupMade>(0) else {
        lost(container);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the entry has room for the record; the helper writes at most the path's length, and
    // what is behind the NUL is zeroed first.
    unsafe {
        (&raw mut (*record).header.at).write(now());
        (&raw mut (*record).header.container).write(container);
        (&raw mut (*record).header.kind).write(kind::CGROUP_MADE);
        (&raw mut (*record).header.reserved).write(0);
        (&raw mut (*record).cgroup).write(cgroup);
        let words = (&raw mut (*record).path).cast::<u64>();
        let mut index = 0;
        while index < PATH_LENGTH / 8 {
            words.add(index).write_volatile(0);
            index += 1;
        }
        bpf_probe_read_kernel_str((&raw mut (*record).path).cast(), PATH_LENGTH as u32, path as *const _);
    }
    entry.submit(flags);
}

/// `cgroup_rmdir`. The maps keep it: its sockets may still have something to tell.
#[inline(always)]
pub fn removed(cgroup: Cgroup) {
    if !cgroup.is_unified() {
        return;
    }
    let id = cgroup.id();
    // Most were not watched.
    let _ = WATCHED.remove(id);
    if let Some(container) = of_cgroup(id) {
        emit!(container, CgroupRemoved { header: header(kind::CGROUP_REMOVED, container), cgroup: id });
    }
}

/// `cgroup_notify_populated`.
#[inline(always)]
pub fn populated(cgroup: Cgroup, populated: u64) {
    if !cgroup.is_unified() {
        return;
    }
    let id = cgroup.id();
    if Known::get(id).is_some() {
        let populated = u64::from(populated as u32 != 0);
        emit!(id, Populated { header: header(kind::POPULATED, id), populated });
    }
}
