//! The kernel side's containers, seen from user space.

use super::error::ProbeError;
use super::maps::{Cgroups, Containers, Plain, add, failed};
use aya::Ebpf;
use aya::programs::{RawTracePoint, RawTracePointRunOptions, TestRun};
use shutdown_probe_common::container::Container;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A handle to the containers. Cheap to clone. It does not keep the probes attached: after they are
/// gone it still reads, and changes nothing.
#[derive(Clone)]
pub struct ContainerTable {
    maps: Arc<Mutex<Maps>>,
    /// For the program that opens and closes narrations.
    ebpf: Weak<Mutex<Ebpf>>,
}

struct Maps {
    cgroups: Cgroups,
    containers: Containers,
}

impl ContainerTable {
    pub(super) fn new(cgroups: Cgroups, containers: Containers, ebpf: &Arc<Mutex<Ebpf>>) -> Self {
        Self { maps: Arc::new(Mutex::new(Maps { cgroups, containers })), ebpf: Arc::downgrade(ebpf) }
    }

    /// What the kernel side keeps of this container. Nothing: it knows none of this id.
    pub fn get(&self, id: u64) -> Option<Container> {
        self.maps().containers.get(&id, 0).ok().map(|Plain(container)| container)
    }

    /// Lets the container's records be sent until then, in ns since boot; 0: no more of them;
    /// `u64::MAX`: until further notice, and no signal begins the story anew.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the probes are gone or the kernel refuses.
    pub fn narrate_until(&self, id: u64, until: u64) -> Result<(), ProbeError> {
        let unable = |reason: String| ProbeError::Map { map: "CONTAINERS", reason };
        let ebpf = self.ebpf.upgrade().ok_or_else(|| unable("the probes are detached".to_owned()))?;
        let ebpf = lock(&ebpf);
        let program = ebpf.program("set_narration").map(<&RawTracePoint>::try_from);
        let Some(Ok(program)) = program else { return Err(unable("set_narration is missing".to_owned())) };
        let mut options = RawTracePointRunOptions::new();
        options.args[0] = id;
        options.args[1] = until;
        program.test_run(options).map_err(|error| unable(error.to_string()))?;
        Ok(())
    }

    /// Forgets a container and the cgroups that belonged to it. What is not there is forgotten.
    pub fn forget(&self, id: u64, cgroups: &[u64]) {
        let mut maps = self.maps();
        for cgroup in cgroups.iter().chain([&id]) {
            let _ = maps.cgroups.remove(cgroup);
        }
        let _ = maps.containers.remove(&id);
    }

    /// Makes an existing cgroup known, unless the kernel side was faster.
    pub(super) fn add(&self, cgroup: u64, container: u64) -> Result<(), ProbeError> {
        let mut maps = self.maps();
        if cgroup == container {
            let empty = Plain(Container::default());
            add(&mut maps.containers, container, empty).map_err(failed("CONTAINERS"))?;
        }
        add(&mut maps.cgroups, cgroup, container).map_err(failed("CGROUPS"))
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        lock(&self.maps)
    }
}

impl std::fmt::Debug for ContainerTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerTable").finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves the maps as they were: the kernel keeps them.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
