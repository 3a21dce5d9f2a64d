//! The kernel side, loaded and attached: records come out of it, and it can be asked.
//!
//! - [`btf`], [`layout`] and [`excerpt()`]: what this kernel looks like.
//! - [`spec`], [`load`] and [`verdict`]: the probes, and what became of each.
//! - [`cgroup`]: which containers exist already.
//! - [`records`], [`containers`] and [`stats`]: what comes out.
//!
//! Invariants: nothing is pinned, so that the end of this process detaches everything; a probe that
//! cannot run says so by name, and what it would have seen is never taken for zero.

pub mod btf;
mod cgroup;
mod containers;
mod error;
mod excerpt;
mod kfunc;
pub mod layout;
mod load;
mod maps;
mod protocols;
mod records;
pub mod spec;
mod stats;
mod verdict;
mod watch;

pub use cgroup::{Cgroup, Hierarchy};
pub use containers::ContainerTable;
pub use error::ProbeError;
pub use excerpt::excerpt;
pub use protocols::Protocols;
pub use records::RecordReader;
pub use stats::ProgramStats;
pub use verdict::{Outcome, Status, Verdict, judge};
pub use watch::Watch;

use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use containers::lock;
use maps::{Maps, Watched};
use rustix::time::{ClockId, clock_gettime};
use shutdown_probe_common::connection::Process;
use shutdown_probe_common::container::watched as watched_value;
use shutdown_probe_common::loss::Loss;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What the kernel side is told when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which cgroups are containers.
    pub watch: Watch,
    /// Where cgroup v2 is mounted; found where it is not said.
    pub cgroup_root: Option<PathBuf>,
    /// The signals that ask a process to end. SIGKILL is watched in any case.
    pub stop_signals: Vec<i32>,
    /// The ring's size in bytes: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
    /// Which protocols are followed.
    pub protocols: Protocols,
}

impl Default for Settings {
    fn default() -> Self {
        let (sigint, sigquit, sigterm) = (2, 3, 15);
        Self {
            watch: Watch::All,
            cgroup_root: None,
            stop_signals: vec![sigint, sigquit, sigterm],
            ring_bytes: 4 << 20,
            protocols: Protocols::ALL,
        }
    }
}

/// A container that was there when the probes were attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingContainer {
    /// Its cgroup's id.
    pub id: u64,
    /// Its path below the v2 root, with a leading slash.
    pub path: String,
    /// The cgroups nested in it.
    pub nested: Vec<u64>,
    /// The oldest process that came from outside. tgid 0: none.
    pub main: Process,
    /// That process's name: escape it. Empty when unknown.
    pub comm: String,
    /// Whether it has processes.
    pub populated: bool,
}

/// The attached probes. Dropping it detaches them.
pub struct Probes {
    ebpf: Arc<Mutex<Ebpf>>,
    verdicts: Vec<Verdict>,
    existing: Vec<ExistingContainer>,
    reader: Option<RecordReader>,
    containers: ContainerTable,
    losses: PerCpuArray<MapData, u64>,
    watch: Watch,
    watched: Watched,
}

impl Probes {
    /// Loads and attaches the kernel side, and takes stock of what exists.
    ///
    /// # Errors
    /// [`ProbeError`] when nothing could be said on this kernel, or with these permissions.
    pub fn attach(settings: &Settings) -> Result<Self, ProbeError> {
        let hierarchy = Hierarchy::at(settings.cgroup_root.as_deref())?;
        let root = settings.watch.root(&hierarchy);
        if !root.is_dir() {
            return Err(ProbeError::WatchedCgroupMissing(root));
        }
        let kernel = load::Kernel::read()?;
        let mut ebpf = load::load(settings, &kernel)?;
        let Maps { events, cgroups, containers, mut watched, losses } = Maps::take(&mut ebpf)?;
        if let Watch::Children(_) = settings.watch {
            let id = hierarchy.id(&root).map_err(|_| ProbeError::WatchedCgroupMissing(root.clone()))?;
            maps::add(&mut watched, id, watched_value::CONTAINERS).map_err(maps::failed("WATCHED"))?;
        }
        let mut verdicts = load::attach(&mut ebpf, &kernel, settings)?;
        let ebpf = Arc::new(Mutex::new(ebpf));
        let containers = ContainerTable::new(cgroups, containers, &ebpf);
        if settings.watch == Watch::Pods {
            watch::watch_pods(&mut watched, &hierarchy.below(&root)?)?;
        }
        let found = hierarchy.below(&root)?;
        let mut existing = enter(&containers, &found, &settings.watch)?;
        verdicts.extend(load::look_around(&mut lock(&ebpf), &kernel)?);
        for container in &mut existing {
            describe(container, &containers, &hierarchy);
        }
        let reader = Some(RecordReader::new(events));
        let watch = settings.watch.clone();
        Ok(Self { ebpf, verdicts, existing, reader, containers, losses, watch, watched })
    }

    /// Looks for places where pods are made that were not there before: a kubelet that has come since. Gives how many
    /// places there are, and the containers in them that the kernel side did not know; their main process stays
    /// unknown.
    ///
    /// # Errors
    /// What the tree or the kernel side's maps refuse.
    pub fn look_for_pods(
        &mut self,
        hierarchy: &Hierarchy,
    ) -> Result<(usize, Vec<ExistingContainer>), ProbeError> {
        let found = hierarchy.below(hierarchy.mount())?;
        let places = watch::watch_pods(&mut self.watched, &found)?;
        let is_known = |id: u64| self.containers.get(id).is_some();
        let containers = self.watch.containers(&found);
        let known: Vec<u64> = containers.iter().flatten().copied().filter(|&id| is_known(id)).collect();
        let mut news = enter(&self.containers, &found, &self.watch)?;
        news.retain(|container| !known.contains(&container.id));
        for container in &mut news {
            describe(container, &self.containers, hierarchy);
        }
        Ok((places, news))
    }

    /// What became of each probe.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The containers that existed when the probes were attached. One that was made at that moment
    /// may have a record besides.
    pub fn existing(&self) -> &[ExistingContainer] {
        &self.existing
    }

    /// The reading end of the ring; there is one.
    pub fn take_reader(&mut self) -> Option<RecordReader> {
        self.reader.take()
    }

    /// A handle to the containers.
    pub fn containers(&self) -> ContainerTable {
        self.containers.clone()
    }

    /// What the kernel side lost so far, by place.
    pub fn losses(&self) -> [(Loss, u64); Loss::COUNT] {
        Loss::ALL.map(|loss| {
            let counts = self.losses.get(&(loss as u32), 0);
            (loss, counts.map(|counts| counts.iter().sum()).unwrap_or_default())
        })
    }

    /// What each program cost so far.
    pub fn stats(&self) -> Vec<ProgramStats> {
        stats::read(&lock(&self.ebpf))
    }
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("verdicts", &self.verdicts).finish_non_exhaustive()
    }
}

/// Ns since boot, suspend included: the clock of the records.
pub fn boot_now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// Makes the existing cgroups known to the kernel side.
fn enter(
    table: &ContainerTable,
    found: &[Cgroup],
    watch: &Watch,
) -> Result<Vec<ExistingContainer>, ProbeError> {
    let mut existing: Vec<ExistingContainer> = Vec::new();
    let mut place_of: HashMap<u64, usize> = HashMap::new();
    for (cgroup, container) in found.iter().zip(watch.containers(found)) {
        let Some(container) = container else { continue };
        table.add(cgroup.id, container)?;
        match place_of.get(&container) {
            Some(&place) => existing[place].nested.push(cgroup.id),
            None => {
                place_of.insert(container, existing.len());
                existing.push(ExistingContainer::bare(cgroup));
            }
        }
    }
    Ok(existing)
}

impl ExistingContainer {
    fn bare(cgroup: &Cgroup) -> Self {
        Self {
            id: cgroup.id,
            path: cgroup.path.clone(),
            nested: Vec::new(),
            main: Process::default(),
            comm: String::new(),
            populated: false,
        }
    }
}

/// Adds what the kernel side found out about it.
fn describe(container: &mut ExistingContainer, table: &ContainerTable, hierarchy: &Hierarchy) {
    container.main = table.get(container.id).map(|known| known.main).unwrap_or_default();
    container.populated = hierarchy.is_populated(&container.path);
    if container.main.tgid != 0 {
        let comm = Path::new("/proc").join(container.main.tgid.to_string()).join("comm");
        let comm = fs::read(comm).unwrap_or_default();
        container.comm = String::from_utf8_lossy(&comm).trim_end_matches('\n').to_owned();
    }
}
