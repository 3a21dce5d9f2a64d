//! Which containers the engine was told of, and what the cgroup tree says.
//!
//! The records say it first. Where some were lost, the tree is looked at: a termination of which the last record
//! is missing would never be over.

use crate::probe::{Hierarchy, Watch};
use crate::probe_input::Heard;
use shutdown_probe_core::Input;
use shutdown_probe_core::identity::{ContainerId, KernelInstant};
use std::collections::{HashMap, HashSet};

/// What is known of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Path below the v2 root.
    pub path: String,
    /// Whether it has processes.
    pub populated: bool,
    /// The cgroups nested in it.
    pub nested: HashSet<u64>,
    /// It was removed, and is not forgotten yet.
    pub removed: bool,
}

/// Containers by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Containers(HashMap<ContainerId, Container>);

impl Containers {
    /// What the cgroup tree says now; nothing where it cannot be read.
    pub fn look(hierarchy: &Hierarchy, watch: &Watch) -> Option<Self> {
        let found = hierarchy.below(&watch.root(hierarchy)).ok()?;
        let mut containers = Self::default();
        for (cgroup, container) in found.iter().zip(watch.containers(&found)) {
            let Some(container) = container else { continue };
            let entry = containers.0.entry(ContainerId(container)).or_default();
            if cgroup.id == container {
                entry.populated = hierarchy.is_populated(&cgroup.path);
                entry.path.clone_from(&cgroup.path);
            } else {
                entry.nested.insert(cgroup.id);
            }
        }
        Some(containers)
    }

    /// Learns from what the engine is told.
    pub fn note(&mut self, heard: &Heard) {
        match heard {
            Heard::Input(Input::ContainerAdded { container, path, .. }) => {
                self.0.entry(*container).or_default().path.clone_from(path);
            }
            Heard::Input(Input::ContainerPopulated { container, populated, .. }) => {
                if let Some(known) = self.0.get_mut(container) {
                    known.populated = *populated;
                }
            }
            Heard::Input(Input::ContainerRemoved { container, .. }) => {
                if let Some(known) = self.0.get_mut(container) {
                    known.removed = true;
                }
            }
            Heard::NestedMade { container, cgroup } => {
                self.0.entry(*container).or_default().nested.insert(*cgroup);
            }
            Heard::NestedRemoved { container, cgroup } => {
                if let Some(known) = self.0.get_mut(container) {
                    known.nested.remove(cgroup);
                }
            }
            Heard::Input(_) | Heard::AddedWithCutPath { .. } => {}
        }
    }

    /// The ids of all.
    pub fn ids(&self) -> impl Iterator<Item = ContainerId> {
        self.0.keys().copied()
    }

    /// Forgets one, and gives what was known of it.
    pub fn forget(&mut self, container: ContainerId) -> Option<Container> {
        self.0.remove(&container)
    }

    /// What the engine has to be told for it to know what the tree says.
    pub fn missing(&self, tree: &Self, at: KernelInstant) -> Vec<Heard> {
        let mut missing = Vec::new();
        let nothing = Container::default();
        for (&container, found) in &tree.0 {
            if !self.0.contains_key(&container) {
                let path = found.path.clone();
                missing.push(Heard::Input(Input::ContainerAdded { at, container, path, from_birth: false }));
            }
            let known = self.0.get(&container).unwrap_or(&nothing);
            missing.extend(difference(container, known, found, at));
        }
        let gone = self.0.iter().filter(|(id, known)| !known.removed && !tree.0.contains_key(id));
        for (&container, known) in gone {
            missing.extend(difference(container, known, &nothing, at));
            missing.push(Heard::Input(Input::ContainerRemoved { at, container }));
        }
        missing
    }
}

fn difference(container: ContainerId, known: &Container, found: &Container, at: KernelInstant) -> Vec<Heard> {
    let populated = found.populated;
    let changed = Heard::Input(Input::ContainerPopulated { at, container, populated });
    let made = found.nested.difference(&known.nested).map(|&cgroup| Heard::NestedMade { container, cgroup });
    let gone =
        known.nested.difference(&found.nested).map(|&cgroup| Heard::NestedRemoved { container, cgroup });
    let changed = (known.populated != populated).then_some(changed);
    changed.into_iter().chain(made).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: KernelInstant = KernelInstant(9);

    fn container(path: &str, populated: bool, nested: &[u64]) -> Container {
        Container { path: path.into(), populated, nested: nested.iter().copied().collect(), removed: false }
    }

    fn containers(known: &[(u64, Container)]) -> Containers {
        Containers(known.iter().map(|(id, container)| (ContainerId(*id), container.clone())).collect())
    }

    #[test]
    fn what_is_known_needs_no_telling() {
        let known = containers(&[(1, container("/a", true, &[5])), (2, container("/b", false, &[]))]);
        assert_eq!(known.missing(&known, AT), []);
    }

    #[test]
    fn what_was_missed_is_told_and_then_known() {
        let mut removed = container("/e", false, &[]);
        removed.removed = true;
        let mut known =
            containers(&[(1, container("/a", true, &[5])), (2, container("/b", true, &[6])), (5, removed)]);
        let tree = containers(&[(1, container("/a", false, &[7])), (3, container("/c", true, &[]))]);
        let missing = known.missing(&tree, AT);
        let populated = |container, populated| {
            Heard::Input(Input::ContainerPopulated { at: AT, container: ContainerId(container), populated })
        };
        let expected = [
            populated(1, false),
            Heard::NestedMade { container: ContainerId(1), cgroup: 7 },
            Heard::NestedRemoved { container: ContainerId(1), cgroup: 5 },
            populated(2, false),
            Heard::NestedRemoved { container: ContainerId(2), cgroup: 6 },
            Heard::Input(Input::ContainerRemoved { at: AT, container: ContainerId(2) }),
            Heard::Input(Input::ContainerAdded {
                at: AT,
                container: ContainerId(3),
                path: "/c".into(),
                from_birth: false,
            }),
            populated(3, true),
        ];
        assert_eq!(missing.len(), expected.len(), "{missing:?}");
        for heard in &expected {
            assert!(missing.contains(heard), "{heard:?} is not in {missing:?}");
        }
        missing.iter().for_each(|heard| known.note(heard));
        assert_eq!(known.missing(&tree, AT), [], "it is told once");
    }
}
