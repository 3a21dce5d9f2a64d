//! The node's place on this machine: a bridge with its address, forwarding, and a rule that keeps pods in.

use super::layout::{NODE_ADDRESS, NODE_ADDRESS_6, NODE_BRIDGE, POD_BRIDGE, PODS, PODS_6, is_dual_stack};
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

/// Set by the network plugin, for each interface at once.
const PLUGINS: &str = "net.ipv6.conf.all.forwarding";
/// Where each interface has its settings of IPv6.
const INTERFACES: &str = "/proc/sys/net/ipv6/conf";
/// Whether an interface takes its routes from a router: only while it forwards nothing, or always.
const FROM_ROUTER: (&str, &str) = ("1", "2");

/// The packet filters, and whom each keeps in: pods reach each other, the node and the services, and nobody outside.
fn kept_in() -> Vec<(&'static str, [&'static str; 8])> {
    let rule = |pods| ["FORWARD", "-s", pods, "!", "-o", POD_BRIDGE, "-j", "DROP"];
    let six = is_dual_stack().then(|| ("ip6tables", rule(PODS_6)));
    [("iptables", rule(PODS))].into_iter().chain(six).collect()
}

/// As sysctl(8) has it, a dot of an interface's name is a slash.
fn setting(name: &str) -> PathBuf {
    let swapped = name.chars().map(|c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    PathBuf::from("/proc/sys").join(swapped.collect::<String>())
}

fn read(name: &str) -> Result<String> {
    let path = setting(name);
    let value = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(value.trim().to_owned())
}

fn write(name: &str, value: &str) -> Result<()> {
    let path = setting(name);
    fs::write(&path, value).with_context(|| path.display().to_string())
}

/// Settings of this name, one for each interface that there is.
fn of_interfaces(name: &str) -> Vec<String> {
    let entries = fs::read_dir(INTERFACES).into_iter().flatten().flatten();
    let interfaces = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let real = interfaces.filter(|interface| !["all", "default"].contains(&interface.as_str()));
    real.map(|interface| format!("net.ipv6.conf.{}.{name}", interface.replace('.', "/"))).collect()
}

/// The kernel's settings that will change, as they are now.
pub fn settings() -> Result<BTreeMap<String, String>> {
    let mut names: Vec<String> =
        WANTED.iter().map(|(name, _)| *name).chain(KUBELETS).map(String::from).collect();
    if is_dual_stack() {
        names.push(PLUGINS.to_owned());
        names.extend(["forwarding", "accept_ra"].into_iter().flat_map(of_interfaces));
    }
    names.into_iter().map(|name| Ok((name.clone(), read(&name)?))).collect()
}

/// A machine that begins to forward drops the routes that it has from a router, unless it is told not to.
fn keep_routes() -> Result<()> {
    let (as_host, always) = FROM_ROUTER;
    for name in of_interfaces("accept_ra") {
        if read(&name)? == as_host {
            write(&name, always)?;
        }
    }
    Ok(())
}

pub fn make() -> Result<()> {
    let address = format!("{NODE_ADDRESS}/32");
    ip(&["link", "add", NODE_BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &address, "dev", NODE_BRIDGE])?;
    if is_dual_stack() {
        let address = format!("{NODE_ADDRESS_6}/128");
        ip(&["addr", "add", &address, "dev", NODE_BRIDGE, "nodad"])?;
        keep_routes()?;
    }
    ip(&["link", "set", NODE_BRIDGE, "up"])?;
    for (name, value) in WANTED {
        // Larger is as good: only what is too small is set.
        if read(name)?.parse::<u64>().unwrap_or(0) < value.parse()? {
            write(name, value)?;
        }
    }
    kept_in()
        .into_iter()
        .try_for_each(|(filter, rule)| command::run(Command::new(filter).args(["-w", "-I"]).args(rule)))
}

fn ip(arguments: &[&str]) -> Result<()> {
    command::run(Command::new("ip").args(arguments))
}

/// Undoes what is there of it. What is not there needs no undoing, so that no answer is an error.
pub fn unmake(before: &BTreeMap<String, String>) {
    let quietly = |program: &str, arguments: &[&str]| probe(Command::new(program).args(arguments));
    for (filter, rule) in kept_in() {
        let _absent = quietly(filter, &[&["-w", "-D"][..], &rule].concat());
        for chain in ["INPUT", "OUTPUT"] {
            // kube-proxy leaves the hook of a chain that the kubelet once filled.
            let _absent = quietly(filter, &["-w", "-D", chain, "-j", "KUBE-FIREWALL"]);
        }
        let _absent = quietly(filter, &["-w", "-X", "KUBE-FIREWALL"]);
    }
    for bridge in [NODE_BRIDGE, POD_BRIDGE] {
        let _absent = quietly("ip", &["link", "del", bridge]);
    }
    for (name, value) in before {
        // An interface that has gone took its settings along.
        if setting(name).exists()
            && let Err(error) = write(name, value)
        {
            eprintln!("{error:#}: could not be set back to {value}");
        }
    }
}
