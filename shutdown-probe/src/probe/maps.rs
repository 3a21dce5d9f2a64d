//! The kernel side's maps, typed.

use super::error::ProbeError;
use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use shutdown_probe_common::container::Container;
use std::io::ErrorKind;

/// `BPF_NOEXIST` of `include/uapi/linux/bpf.h`.
const NO_EXIST: u64 = 1;

/// Plain data, in a form that aya moves in and out of maps.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

// SAFETY: `bytemuck::Pod` promises what `aya::Pod` asks for, and the wrapper adds nothing.
unsafe impl<T: bytemuck::Pod> aya::Pod for Plain<T> {}

/// Cgroup id to container id.
pub type Cgroups = HashMap<MapData, u64, u64>;
/// Container id to container.
pub type Containers = HashMap<MapData, u64, Plain<Container>>;

/// Where containers and pods are made.
pub type Watched = HashMap<MapData, u64, u32>;

/// The maps that user space works with.
pub struct Maps {
    pub events: RingBuf<MapData>,
    pub cgroups: Cgroups,
    pub containers: Containers,
    pub watched: Watched,
    pub losses: PerCpuArray<MapData, u64>,
}

impl Maps {
    /// Takes them out of the loaded object.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            events: take(ebpf, "EVENTS")?,
            cgroups: take(ebpf, "CGROUPS")?,
            containers: take(ebpf, "CONTAINERS")?,
            watched: take(ebpf, "WATCHED")?,
            losses: take(ebpf, "LOSSES")?,
        })
    }
}

fn take<T: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, ProbeError> {
    let map = ebpf.take_map(name).ok_or_else(|| ProbeError::Object(format!("it has no map {name}")))?;
    T::try_from(map).map_err(|error| ProbeError::Object(format!("map {name}: {error}")))
}

/// Makes a failure of this map an error of ours.
pub fn failed(map: &'static str) -> impl Fn(MapError) -> ProbeError {
    move |error| ProbeError::Map { map, reason: error.to_string() }
}

/// Adds an entry where there is none. What the kernel side wrote first stays.
pub fn add<K: aya::Pod, V: aya::Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: K,
    value: V,
) -> Result<(), MapError> {
    match map.insert(key, value, NO_EXIST) {
        Err(MapError::SyscallError(error)) if error.io_error.kind() == ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}
