//! The node's place on this machine: a bridge with its address, forwarding, and a rule that keeps pods in.

use super::layout::{NODE_ADDRESS, NODE_BRIDGE, POD_BRIDGE, PODS};
use crate::command::{self, probe};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Set for the cluster.
const WANTED: [(&str, &str); 2] = [("net.ipv4.ip_forward", "1"), ("fs.inotify.max_user_instances", "1024")];
/// Set by the kubelet.
const KUBELETS: [&str; 3] = ["vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops"];

/// Pods reach each other, the node and the services, and nobody outside.
const KEPT_IN: [&str; 8] = ["FORWARD", "-s", PODS, "!", "-o", POD_BRIDGE, "-j", "DROP"];

fn setting(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name.replace('.', "/"))
}

/// The kernel's settings that will change, as they are now.
pub fn settings() -> Result<BTreeMap<String, String>> {
    let names = WANTED.iter().map(|(name, _)| *name).chain(KUBELETS);
    names
        .map(|name| {
            let path = setting(name);
            let value = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect()
}

pub fn make() -> Result<()> {
    let address = format!("{NODE_ADDRESS}/32");
    ip(&["link", "add", NODE_BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &address, "dev", NODE_BRIDGE])?;
    ip(&["link", "set", NODE_BRIDGE, "up"])?;
    for (name, value) in WANTED {
        let path = setting(name);
        // Larger is as good: only what is too small is set.
        let now = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if now.trim().parse::<u64>().unwrap_or(0) < value.parse()? {
            fs::write(&path, value).with_context(|| path.display().to_string())?;
        }
    }
    command::run(Command::new("iptables").args(["-w", "-I"]).args(KEPT_IN))
}

fn ip(arguments: &[&str]) -> Result<()> {
    command::run(Command::new("ip").args(arguments))
}

/// Undoes what is there of it. What is not there needs no undoing, so that no answer is an error.
pub fn unmake(before: &BTreeMap<String, String>) {
    let quietly = |program: &str, arguments: &[&str]| probe(Command::new(program).args(arguments));
    let _absent = quietly("iptables", &[&["-w", "-D"][..], &KEPT_IN].concat());
    for chain in ["INPUT", "OUTPUT"] {
        // kube-proxy leaves the hook of a chain that the kubelet once filled.
        let _absent = quietly("iptables", &["-w", "-D", chain, "-j", "KUBE-FIREWALL"]);
    }
    let _absent = quietly("iptables", &["-w", "-X", "KUBE-FIREWALL"]);
    for bridge in [NODE_BRIDGE, POD_BRIDGE] {
        let _absent = quietly("ip", &["link", "del", bridge]);
    }
    for (name, value) in before {
        if let Err(error) = fs::write(setting(name), value) {
            eprintln!("{name} could not be set back to {value}: {error}");
        }
    }
}
