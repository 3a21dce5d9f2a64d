//! The configuration files of the node's programs.

use super::layout::{
    CNI_DIRECTORIES, Layout, NODE, NODE_ADDRESS, NODE_ADDRESS_6, PAUSE, POD_BRIDGE, PODS, PODS_6, both,
    is_dual_stack,
};
use crate::failure::MissingTool;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// What the daemon asks is written down, and nothing else: `cargo xtask e2e --measure` counts it.
const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, users: [\"system:serviceaccount:shutdown-probe:shutdown-probe\"]}
  - {level: None}
";

/// Writes all of them.
pub fn write(layout: &Layout) -> Result<()> {
    let plugins = CNI_DIRECTORIES.into_iter().find(|directory| Path::new(directory).join("bridge").exists());
    let plugins = plugins.ok_or_else(|| {
        MissingTool::new("no network plugins: containernetworking-plugins", ["cargo xtask cluster up"])
    })?;
    put(&layout.network().join("10-pods.conflist"), &network(layout))?;
    put(&layout.configuration("containerd.toml"), &containerd(layout, plugins))?;
    put(&layout.configuration("kubelet.yaml"), &kubelet(layout))?;
    put(&layout.configuration("proxy.yaml"), &proxy(layout))?;
    put(&layout.configuration("audit.yaml"), AUDIT)?;
    // There is no cluster DNS: pods ask an address of their own, which refuses at once.
    put(&layout.configuration("resolv.conf"), "nameserver 127.0.0.1\n")
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn network(layout: &Layout) -> String {
    let leases = layout.file("leases");
    let leases = leases.display();
    let (ranges, routes) = if is_dual_stack() {
        (
            format!(r#"[{{"subnet": "{PODS}"}}], [{{"subnet": "{PODS_6}"}}]"#),
            r#"{"dst": "0.0.0.0/0"}, {"dst": "::/0"}"#,
        )
    } else {
        (format!(r#"[{{"subnet": "{PODS}"}}]"#), r#"{"dst": "0.0.0.0/0"}"#)
    };
    format!(
        r#"{{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {{
      "type": "bridge", "bridge": "{POD_BRIDGE}", "isGateway": true, "hairpinMode": true,
      "ipam": {{
        "type": "host-local", "dataDir": "{leases}",
        "ranges": [{ranges}], "routes": [{routes}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
"#
    )
}

/// Nothing may lower its `oom_score_adj`: that takes CAP_SYS_RESOURCE, which a container that this runs in may lack.
fn containerd(layout: &Layout, plugins: &str) -> String {
    let [root, state, socket] =
        ["containerd", "containerd-state", "containerd.sock"].map(|name| layout.file(name));
    let (root, state, socket) = (root.display(), state.display(), socket.display());
    let network = layout.network();
    let network = network.display();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{network}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#
    )
}

/// Disks of developers are full; a node under pressure would evict pods that no test has evicted. When the node shuts
/// down, the daemon's pod goes after the ordinary ones, as in a cluster of somebody who has read `docs/install.md`.
fn kubelet(layout: &Layout) -> String {
    let (socket, authority) = (layout.socket(), layout.certificate("ca"));
    let (socket, authority) = (socket.display(), authority.display());
    let [resolver, logs, plugins] =
        [layout.configuration("resolv.conf"), layout.file("pod-logs"), layout.file("kubelet/volume-plugins")];
    let (resolver, logs, plugins) = (resolver.display(), logs.display(), plugins.display());
    format!(
        "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{socket}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
address: {NODE_ADDRESS}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {authority}}}
authorization: {{mode: Webhook}}
clusterDNS: [127.0.0.1]
resolvConf: {resolver}
podLogsDir: {logs}
volumePluginDir: {plugins}
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {{memory.available: 100Mi, nodefs.available: 0%, imagefs.available: 0%}}
evictionPressureTransitionPeriod: 1s
volumeStatsAggPeriod: 5s
shutdownGracePeriodByPodPriority:
- {{priority: 0, shutdownGracePeriodSeconds: 60}}
- {{priority: 1000000, shutdownGracePeriodSeconds: 15}}
"
    )
}

fn proxy(layout: &Layout) -> String {
    let kubeconfig = layout.configuration("proxy.kubeconfig");
    let kubeconfig = kubeconfig.display();
    let pods = both(PODS, PODS_6);
    let node_ports = match is_dual_stack() {
        true => format!("\"{NODE_ADDRESS}/32\", \"{NODE_ADDRESS_6}/128\""),
        false => format!("\"{NODE_ADDRESS}/32\""),
    };
    format!(
        "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: {NODE}
bindAddress: {NODE_ADDRESS}
nodePortAddresses: [{node_ports}]
clusterCIDR: \"{pods}\"
clientConnection: {{kubeconfig: {kubeconfig}}}
healthzBindAddress: 127.0.0.1:20256
metricsBindAddress: 127.0.0.1:20249
oomScoreAdj: 0
conntrack: {{maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
iptables: {{minSyncPeriod: 0s}}
"
    )
}
