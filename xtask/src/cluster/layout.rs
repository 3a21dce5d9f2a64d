//! Where the cluster lies on this machine, and its addresses.
//!
//! Invariant: one cluster per machine. Its bridges, rules and addresses have one name each, whichever checkout
//! started it.

use std::path::{Path, PathBuf};

/// The node's name.
pub const NODE: &str = "node-a";
/// The node's address, on a bridge of its own: no interface of the machine is touched.
pub const NODE_ADDRESS: &str = "10.245.0.1";
/// The same of IPv6.
pub const NODE_ADDRESS_6: &str = "fd00:245::1";
/// That bridge.
pub const NODE_BRIDGE: &str = "sp-node";
/// The bridge that pods are on; its address is the first of [`PODS`].
pub const POD_BRIDGE: &str = "sp-pods";
/// Addresses of pods.
pub const PODS: &str = "10.244.0.0/24";
/// The same of IPv6.
pub const PODS_6: &str = "fd00:244::/64";
/// Addresses of services.
pub const SERVICES: &str = "10.96.0.0/16";
/// The same of IPv6.
pub const SERVICES_6: &str = "fd00:96::/112";
/// The service of the API server itself: the first of [`SERVICES`].
pub const API_SERVICE: &str = "10.96.0.1";
/// The image that holds a pod's namespaces.
pub const PAUSE: &str = "localhost/pause:1";
/// Where the kubelet looks for the system bus, in the abstract namespace: nobody need be there.
pub const SYSTEM_BUS: &str = "shutdown-probe-cluster-bus";
/// Not the usual 6443, 2379 and 2380: somebody's own cluster may be there.
pub const API_PORT: u16 = 16443;
const ETCD_PORT: u16 = 12379;
/// Between etcd and itself.
const ETCD_PEER_PORT: u16 = 12380;

/// Where plugins of the container network interface are: Debian's directory, and everybody else's.
pub const CNI_DIRECTORIES: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The files.
#[derive(Clone, Debug)]
pub struct Layout {
    home: PathBuf,
}

impl Layout {
    pub fn of_this_machine() -> Self {
        Self { home: "/var/lib/shutdown-probe-cluster".into() }
    }

    /// All of it.
    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// The administrator's way in.
    pub fn kubeconfig(&self) -> PathBuf {
        self.file("kubeconfig")
    }

    /// What was started, and what it takes to undo it.
    pub fn state(&self) -> PathBuf {
        self.file("state.json")
    }

    pub fn logs(&self) -> PathBuf {
        self.file("logs")
    }

    pub fn log(&self, component: &str) -> PathBuf {
        self.logs().join(format!("{component}.log"))
    }

    /// The requests of the daemon.
    pub fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.jsonl")
    }

    pub fn keys(&self) -> PathBuf {
        self.file("keys")
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.key"))
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.crt"))
    }

    pub fn configuration(&self, name: &str) -> PathBuf {
        self.file("configuration").join(name)
    }

    /// Where containerd listens.
    pub fn socket(&self) -> PathBuf {
        self.file("containerd.sock")
    }

    /// Configuration of the pods' network.
    pub fn network(&self) -> PathBuf {
        self.file("network")
    }

    /// Directories to make before anything is started.
    pub fn directories(&self) -> [PathBuf; 7] {
        ["logs", "keys", "configuration", "network", "etcd", "containerd", "kubelet"]
            .map(|name| self.file(name))
    }
}

/// Whether the cluster has addresses of IPv6, too: where the kernel has them.
pub fn is_dual_stack() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Addresses or ranges as Kubernetes takes them: those of IPv6 behind those of IPv4.
pub fn both(four: &str, six: &str) -> String {
    if is_dual_stack() { format!("{four},{six}") } else { four.to_owned() }
}

pub fn api() -> String {
    format!("https://{NODE_ADDRESS}:{API_PORT}")
}

pub fn etcd() -> String {
    format!("http://127.0.0.1:{ETCD_PORT}")
}

pub fn etcd_peer() -> String {
    format!("http://127.0.0.1:{ETCD_PEER_PORT}")
}
