//! Which cgroups are containers, as user space decides it for those that exist already.
//!
//! The kernel side decides the same for those that are made later, from the map `WATCHED`.

use super::cgroup::{Cgroup, Hierarchy};
use super::error::ProbeError;
use super::maps::{Watched, add, failed};
use shutdown_probe_common::container::watched;
use shutdown_probe_core::kubernetes::cgroup_path::{Place, place};
use std::collections::HashMap;
use std::path::PathBuf;

/// Which cgroups are containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Each one but the root.
    All,
    /// Each child of this directory, with whatever is nested in it. The full path, or the path below
    /// the v2 root.
    Children(PathBuf),
    /// Those of pods, wherever the kubelet makes them.
    Pods,
}

impl Watch {
    /// The directory below which containers are looked for.
    pub fn root(&self, hierarchy: &Hierarchy) -> PathBuf {
        match self {
            Self::All | Self::Pods => hierarchy.mount().to_owned(),
            Self::Children(path) => hierarchy.directory(path),
        }
    }

    /// The container that each of these belongs to, in their order. Parents must come before their children.
    pub fn containers(&self, found: &[Cgroup]) -> Vec<Option<u64>> {
        let pods = if *self == Self::Pods { watched_for_pods(found) } else { HashMap::new() };
        let mut container_of: HashMap<u64, u64> = HashMap::new();
        let top = found.first().map(|first| first.parent);
        let assign = |cgroup: &Cgroup| {
            let container = match self {
                Self::All => Some(cgroup.id),
                Self::Children(_) if Some(cgroup.parent) == top => Some(cgroup.id),
                Self::Pods if pods.get(&cgroup.parent) == Some(&watched::CONTAINERS) => Some(cgroup.id),
                Self::Children(_) | Self::Pods => container_of.get(&cgroup.parent).copied(),
            };
            container_of.extend(container.map(|container| (cgroup.id, container)));
            container
        };
        found.iter().map(assign).collect()
    }
}

/// Tells the kernel side where pods and their containers are made. Gives how many such places there are.
///
/// # Errors
/// [`ProbeError::Map`] where the map has no room.
pub fn watch_pods(map: &mut Watched, found: &[Cgroup]) -> Result<usize, ProbeError> {
    let places = watched_for_pods(found);
    for (&id, &value) in &places {
        add(map, id, value).map_err(failed("WATCHED"))?;
    }
    Ok(places.len())
}

/// The contents of `WATCHED` for this tree.
fn watched_for_pods(found: &[Cgroup]) -> HashMap<u64, u32> {
    let mut places = HashMap::new();
    for cgroup in found {
        match place(&cgroup.path) {
            Place::PodsParent { pod_at } => {
                let byte = u32::try_from(pod_at).unwrap_or_default();
                places.insert(cgroup.id, watched::PODS + byte);
            }
            Place::Pod => {
                places.insert(cgroup.id, watched::CONTAINERS);
            }
            // Pod and container in one directory: the parent is a service that has nothing else.
            Place::Container(_) => {
                places.entry(cgroup.parent).or_insert(watched::CONTAINERS);
            }
            Place::Monitor | Place::Inside(_) | Place::Elsewhere => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";

    /// Each path with its parent's place in the list; 1 is the root.
    fn tree(paths: &[(&str, u64)]) -> Vec<Cgroup> {
        let cgroup = |(index, (path, parent)): (usize, &(&str, u64))| Cgroup {
            id: index as u64 + 2,
            path: path.replace("{id}", ID),
            parent: *parent,
        };
        paths.iter().enumerate().map(cgroup).collect()
    }

    #[test]
    fn pods_have_containers_and_those_have_what_is_nested() {
        let found = tree(&[
            ("/system.slice", 1),
            ("/system.slice/ssh.service", 2),
            ("/kubepods.slice", 1),
            ("/kubepods.slice/kubepods-burstable.slice", 4),
            ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice", 5),
            ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-{id}.scope", 6),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/crio-{id}.scope/container",
                7,
            ),
        ]);
        let containers = [None, None, None, None, None, Some(7), Some(7)];
        assert_eq!(Watch::Pods.containers(&found), containers);
        let watched = watched_for_pods(&found);
        let expected = [(4, 1 + 9), (5, 1 + 19), (6, 0)];
        assert_eq!(watched, HashMap::from(expected));
    }

    #[test]
    fn a_flattened_layout_is_watched_from_the_service() {
        let found = tree(&[
            ("/system.slice", 1),
            ("/system.slice/containerd.service", 2),
            ("/system.slice/containerd.service/kubepods-pod1_2.slice:cri-containerd:{id}", 3),
        ]);
        assert_eq!(watched_for_pods(&found), HashMap::from([(3, watched::CONTAINERS)]));
        assert_eq!(Watch::Pods.containers(&found), [None, None, Some(4)]);
    }

    #[test]
    fn children_and_all() {
        let found = tree(&[("/a/b", 1), ("/a/b/c", 2), ("/a/d", 1)]);
        assert_eq!(Watch::Children("/a".into()).containers(&found), [Some(2), Some(2), Some(4)]);
        assert_eq!(Watch::All.containers(&found), [Some(2), Some(3), Some(4)]);
    }
}
