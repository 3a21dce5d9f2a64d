//! The pods of this node that the API told of, and those it has no more whose containers still end.

use super::Pod;
use super::cgroup_path::PodContainer;
use super::source::{Network, Source};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// How many pods are kept; a node has some hundred.
const PODS: usize = 4_096;
/// How many are kept that the API has no more: their last containers may still be telling their end.
const GONE: usize = 512;

/// The pods by uid.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pods: HashMap<String, Arc<Pod>>,
    /// Static pods by the hash that their cgroups have.
    hashes: HashMap<String, String>,
    gone: VecDeque<String>,
    node: Vec<IpAddr>,
}

impl Registry {
    /// Takes what the API says now; what finds no room stays nameless.
    pub fn take(&mut self, pod: Pod) -> Option<Arc<Pod>> {
        if self.pods.len() >= PODS && !self.pods.contains_key(&pod.uid) {
            return None;
        }
        if let Some(hash) = &pod.config_hash {
            // The first to say so: whoever repeats it later is an impostor, or the same pod under a new uid.
            let known = self
                .hashes
                .get(hash)
                .is_some_and(|uid| self.pods.contains_key(uid) && !self.gone.contains(uid));
            if !known {
                self.hashes.insert(hash.clone(), pod.uid.clone());
            }
        }
        // One that is gone stays gone: what is told of it now are answers that came late.
        let pod = Arc::new(pod);
        self.pods.insert(pod.uid.clone(), Arc::clone(&pod));
        Some(pod)
    }

    /// The API has this one no more.
    pub fn remove(&mut self, uid: &str) {
        if self.pods.contains_key(uid) && !self.gone.iter().any(|gone| gone == uid) {
            self.gone.push_back(uid.to_owned());
        }
        while self.gone.len() > GONE {
            let Some(oldest) = self.gone.pop_front() else { break };
            if let Some(hash) = self.pods.remove(&oldest).and_then(|pod| pod.config_hash.clone())
                && self.hashes.get(&hash) == Some(&oldest)
            {
                self.hashes.remove(&hash);
            }
        }
    }

    /// The pod of this uid.
    pub fn get(&self, uid: &str) -> Option<Arc<Pod>> {
        self.pods.get(uid).cloned()
    }

    /// The pod of a container, and whether the API has it no more.
    pub fn of(&self, key: &PodContainer) -> Option<(Arc<Pod>, bool)> {
        // A uid is its pod's, whatever another pod's annotations say.
        let uid = if self.pods.contains_key(&key.pod) { &key.pod } else { self.hashes.get(&key.pod)? };
        let pod = self.pods.get(uid)?;
        Some((Arc::clone(pod), self.gone.contains(uid)))
    }

    /// By which addresses the node speaks to its pods.
    pub fn note_node(&mut self, addresses: Vec<IpAddr>) {
        self.node = addresses;
    }

    /// Whether the node itself speaks from this address. What it forwards may, too.
    pub fn is_node(&self, address: IpAddr) -> bool {
        self.node.contains(&address) || self.pods.values().any(|pod| pod.node_addresses.contains(&address))
    }

    /// Where an address belongs.
    pub fn source(&self, address: IpAddr, cluster: &[Network]) -> Source {
        let is_here = |pod: &Arc<Pod>| pod.addresses.contains(&address);
        if address.is_loopback() || self.is_node(address) || self.pods.values().any(is_here) {
            Source::SameNode
        } else if cluster.iter().any(|network| network.contains(address)) {
            Source::Cluster
        } else {
            Source::Outside
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::private_networks;
    use super::*;

    fn pod(uid: &str) -> Pod {
        Pod { uid: uid.into(), ..Pod::default() }
    }

    fn key(pod: &str) -> PodContainer {
        PodContainer { pod: pod.into(), id: "c".into() }
    }

    #[test]
    fn a_static_pod_is_found_by_its_hash() {
        let mut registry = Registry::default();
        registry.take(Pod { config_hash: Some("hash".into()), ..pod("mirror") });
        assert_eq!(registry.of(&key("hash")).map(|(pod, _)| pod.uid.clone()), Some("mirror".into()));
    }

    #[test]
    fn a_late_word_brings_nobody_back() {
        let mut registry = Registry::default();
        registry.take(pod("a"));
        registry.remove("a");
        registry.take(Pod { name: "web-1".into(), ..pod("a") });
        let found = registry.of(&key("a")).map(|(pod, gone)| (pod.name.clone(), gone));
        assert_eq!(found, Some(("web-1".into(), true)));
    }

    #[test]
    fn nobody_takes_the_place_of_another() {
        let mut registry = Registry::default();
        registry.take(pod("victim"));
        registry.take(Pod { config_hash: Some("hash".into()), ..pod("mirror") });
        for hash in ["victim", "hash"] {
            registry.take(Pod { config_hash: Some(hash.into()), ..pod("impostor") });
        }
        let found = |key_of: &str| registry.of(&key(key_of)).map(|(pod, _)| pod.uid.clone());
        assert_eq!(found("victim").as_deref(), Some("victim"));
        assert_eq!(found("hash").as_deref(), Some("mirror"));
    }

    #[test]
    fn a_static_pod_that_is_made_anew_has_its_hash_again() {
        let mut registry = Registry::default();
        let mirror = |uid: &str| Pod { config_hash: Some("hash".into()), ..pod(uid) };
        registry.take(mirror("first"));
        registry.remove("first");
        registry.take(mirror("second"));
        assert_eq!(registry.of(&key("hash")).map(|(pod, _)| pod.uid.clone()).as_deref(), Some("second"));
    }

    #[test]
    fn one_that_is_gone_stays_until_others_need_the_room() {
        let mut registry = Registry::default();
        registry.take(pod("a"));
        registry.remove("a");
        registry.remove("a");
        assert_eq!(registry.of(&key("a")).map(|(_, gone)| gone), Some(true));
        for index in 0..GONE {
            registry.take(pod(&index.to_string()));
            registry.remove(&index.to_string());
        }
        assert!(registry.of(&key("a")).is_none());
        registry.remove("never seen");
        assert_eq!(registry.gone.len(), GONE);
    }

    #[test]
    fn addresses_have_a_class() {
        let mut registry = Registry::default();
        let here: IpAddr = "10.244.0.7".parse().expect("valid");
        let node: IpAddr = "203.0.113.9".parse().expect("valid");
        registry.take(Pod { addresses: vec![here], node_addresses: vec![node], ..pod("a") });
        let source = |address: &str| registry.source(address.parse().expect("valid"), &private_networks());
        assert_eq!(source("10.244.0.7"), Source::SameNode);
        assert_eq!(source("203.0.113.9"), Source::SameNode);
        assert_eq!(source("127.0.0.1"), Source::SameNode);
        assert_eq!(source("10.244.1.7"), Source::Cluster);
        assert_eq!(source("198.51.100.1"), Source::Outside);
    }
}
