//! What can be set of the work in a cluster.

use crate::exit::{Exit, Failure};
use crate::kube;
use crate::output::metrics::OwnLabel;
use clap::Args;
use serde::Deserialize;
use shutdown_probe_core::kubernetes::source::Network;
use std::path::PathBuf;

/// Where the API of the cluster is, for whoever runs in one of its pods.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// How to work in a cluster.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesOptions {
    /// The node whose pods are observed [default: this machine's name]
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node_name: Option<String>,
    /// How to reach the API from outside a pod
    #[arg(long, value_name = "FILE", env = "SHUTDOWN_PROBE_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Whether to write Events on pods and workloads [default: true]
    #[arg(long, value_name = "BOOL", env = "SHUTDOWN_PROBE_EVENTS", hide_possible_values = true)]
    pub events: Option<bool>,
    /// By what numbers are told apart [default: namespace,workload_kind,workload,container]
    #[arg(
        long,
        value_name = "LABELS",
        value_delimiter = ',',
        num_args = 1,
        env = "SHUTDOWN_PROBE_METRIC_LABELS"
    )]
    pub metric_labels: Option<Vec<OwnLabel>>,
    /// A network of the cluster, for where late clients come from [default: the private ones]
    #[arg(
        long,
        value_name = "NETWORKS",
        value_delimiter = ',',
        num_args = 1,
        env = "SHUTDOWN_PROBE_CLUSTER_CIDR"
    )]
    pub cluster_cidr: Option<Vec<Network>>,
}

/// The same, checked and complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Kubernetes {
    /// The link to the API.
    pub link: kube::Settings,
    /// By what numbers are told apart.
    pub metric_labels: Vec<OwnLabel>,
    /// The networks of the cluster, if they were said.
    pub cluster_networks: Option<Vec<Network>>,
}

impl KubernetesOptions {
    /// What is set here, else what is set there.
    pub fn or(self, file: Self) -> Self {
        Self {
            node_name: self.node_name.or(file.node_name),
            kubeconfig: self.kubeconfig.or(file.kubeconfig),
            events: self.events.or(file.events),
            metric_labels: self.metric_labels.or(file.metric_labels),
            cluster_cidr: self.cluster_cidr.or(file.cluster_cidr),
        }
    }
}

impl Kubernetes {
    /// Whether there is a cluster to work in.
    pub fn is_there(given: &KubernetesOptions) -> bool {
        given.kubeconfig.is_some() || std::env::var_os(SERVICE_HOST).is_some()
    }

    /// Checks what was given and fills in the rest.
    ///
    /// # Errors
    /// [`Exit::Usage`], naming the option.
    pub fn check(given: KubernetesOptions) -> Result<Self, Failure> {
        let node = given.node_name.filter(|name| !name.is_empty()).unwrap_or_else(this_machine);
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if node.is_empty() || node.len() > 253 || !node.bytes().all(is_of_a_name) {
            return Err(Failure::new(Exit::Usage, format!("--node-name {node:?} is no name of a node")));
        }
        let mut metric_labels = given.metric_labels.unwrap_or_else(|| OwnLabel::DEFAULT.to_vec());
        metric_labels.dedup();
        if metric_labels.is_empty() {
            return Err(Failure::new(Exit::Usage, "--metric-labels names no label"));
        }
        let own_pod = std::env::var("POD_NAMESPACE").ok().zip(std::env::var("POD_NAME").ok());
        Ok(Self {
            link: kube::Settings {
                node,
                own_pod,
                kubeconfig: given.kubeconfig,
                events: given.events.unwrap_or(true),
            },
            metric_labels,
            cluster_networks: given.cluster_cidr,
        })
    }
}

/// The kubelet's default: the host's name in small letters.
fn this_machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut KubernetesOptions)) -> Result<Kubernetes, Failure> {
        let mut options = KubernetesOptions::default();
        change(&mut options);
        Kubernetes::check(options)
    }

    #[test]
    fn defaults_are_complete() {
        let found = check(|_| ()).expect("valid");
        assert_eq!(found.link.node, this_machine());
        assert!(found.link.events && found.cluster_networks.is_none());
        assert_eq!(found.metric_labels, OwnLabel::DEFAULT);
    }

    #[test]
    fn what_could_not_be_a_node_is_refused() {
        for name in ["spec.nodeName=a,b", "a b", &"n".repeat(254)] {
            assert!(check(|options| options.node_name = Some(name.to_owned())).is_err(), "{name:?}");
        }
        let empty = check(|options| options.node_name = Some(String::new())).expect("as if not given");
        assert_eq!(empty.link.node, this_machine());
        assert!(check(|options| options.metric_labels = Some(vec![])).is_err());
    }
}
