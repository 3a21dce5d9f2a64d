//! The programs that tests use, how each is recognised, and which package has it.

use crate::command::probe;
use crate::context::Context;
use crate::terminal::{Status, line};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// One thing that tests need.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: &'static str,
    /// It is there if all of these are.
    executables: &'static [&'static str],
    /// Where it is, if no search path leads there: one of these is enough.
    places: &'static [&'static str],
    /// Where an executable alone proves too little: arguments of the first one that must succeed.
    trial: &'static [&'static str],
    /// Debian packages that have it, the best first.
    pub packages: &'static [&'static str],
    /// The service that the package would start.
    service: Option<&'static str>,
    pub purpose: &'static str,
}

impl Tool {
    /// The usual case: a program in a package of its own.
    const fn program(name: &'static str, packages: &'static [&'static str], purpose: &'static str) -> Self {
        Self { name, executables: &[], places: &[], trial: &[], packages, service: None, purpose }
    }

    const fn recognised_by(self, executables: &'static [&'static str]) -> Self {
        Self { executables, ..self }
    }

    const fn found_at(self, places: &'static [&'static str]) -> Self {
        Self { places, ..self }
    }

    const fn tried_with(self, trial: &'static [&'static str]) -> Self {
        Self { trial, ..self }
    }

    const fn starts(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }

    /// Where it is, or nothing.
    pub fn find(&self, context: &Context) -> Option<String> {
        if !self.places.is_empty() {
            return self.places.iter().find(|place| Path::new(place).exists()).map(ToString::to_string);
        }
        let own_name = [self.name];
        let names = if self.executables.is_empty() { own_name.as_slice() } else { self.executables };
        let paths: Vec<_> = names.iter().map(|name| context.search_path.find(name)).collect::<Option<_>>()?;
        let first = paths.first()?;
        let works = self.trial.is_empty() || probe(Command::new(first).args(self.trial)).is_some();
        works.then(|| first.display().to_string())
    }
}

/// What tests need.
pub const TOOLS: [Tool; 19] = [
    Tool::program("node", &["nodejs"], "services of the zoo"),
    Tool::program("npm", &["npm"], "services behind npm"),
    Tool::program("python3", &["python3"], "services of the zoo"),
    Tool::program("python3 venv", &["python3-venv"], "services of the zoo")
        .recognised_by(&["python3"])
        .tried_with(&["-c", "import ensurepip, venv"]),
    Tool::program("go", &["golang-go"], "services of the zoo"),
    Tool::program("java", &["default-jdk-headless"], "services of the zoo").recognised_by(&["java", "javac"]),
    Tool::program("nginx", &["nginx-light", "nginx"], "services of the zoo").starts("nginx"),
    Tool::program("openssl", &["openssl"], "certificates of the zoo"),
    Tool::program("haproxy", &["haproxy"], "services of the zoo").starts("haproxy"),
    Tool::program("tini", &["tini"], "PID 1 of the zoo"),
    Tool::program("dumb-init", &["dumb-init"], "PID 1 of the zoo"),
    Tool::program("runc", &["runc"], "a check inside a container"),
    Tool::program("wrk", &["wrk"], "load"),
    Tool::program("curl", &["curl"], "requests"),
    Tool::program("bpftool", &["bpftool", "linux-tools-common"], "what is loaded in the kernel"),
    Tool::program("ip", &["iproute2"], "network namespaces"),
    Tool::program("unshare", &["util-linux"], "PID namespaces")
        .recognised_by(&["unshare", "nsenter", "setpriv"]),
    Tool::program("ss", &["iproute2"], "sockets"),
    Tool::program("promtool", &["prometheus"], "metrics and alert rules").starts("prometheus"),
];

/// A browser that playwright can drive.
pub const CHROMIUM: Tool = Tool::program("chromium", &["chromium", "chromium-browser"], "the daemon's page")
    .found_at(&[
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
        "/opt/google/chrome/chrome",
    ]);

/// What the tests of the page need.
pub const BROWSER_TOOLS: [Tool; 3] = [
    CHROMIUM,
    Tool::program("node", &["nodejs"], "the daemon's page"),
    Tool::program("npm", &["npm"], "the daemon's page"),
];

/// What virtual machines need. Large, so nobody gets it who does not ask for them.
pub const VIRTUAL_MACHINE_TOOLS: [Tool; 7] = [
    Tool::program("qemu-system-x86_64", &["qemu-system-x86"], "virtual machines"),
    Tool::program("apt-get", &["apt"], "kernels of Debian").recognised_by(&["apt-get", "apt-cache"]),
    Tool::program("dpkg-deb", &["dpkg"], "kernels of Debian"),
    Tool::program("strip", &["binutils"], "programs of guests"),
    Tool::program("ldd", &["libc-bin"], "programs of guests"),
    Tool::program("ip", &["iproute2"], "programs of guests"),
    Tool::program("kill", &["procps"], "programs of guests"),
];

/// What a cluster needs. Nobody gets a container runtime who does not ask for one.
pub const CLUSTER_TOOLS: [Tool; 10] = [
    Tool::program("go", &["golang-go"], "building Kubernetes"),
    Tool::program("containerd", &["containerd"], "containers")
        .recognised_by(&["containerd", "ctr"])
        .starts("containerd"),
    Tool::program("runc", &["runc"], "containers"),
    Tool::program("network plugins", &["containernetworking-plugins"], "the network of pods")
        .found_at(&["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"]),
    Tool::program("iptables", &["iptables"], "services"),
    Tool::program("conntrack", &["conntrack"], "services"),
    Tool::program("ip", &["iproute2"], "the node's address"),
    Tool::program("openssl", &["openssl"], "certificates"),
    Tool::program("busybox", &["busybox-static"], "images of tests"),
    Tool::program("umount", &["mount"], "taking it down").recognised_by(&["umount", "mount"]),
];

/// Reports the tools and returns those that are not there.
pub fn missing(context: &Context, tools: &'static [Tool]) -> Vec<&'static Tool> {
    let mut missing = Vec::new();
    for tool in tools {
        match tool.find(context) {
            Some(path) => line(Status::Found, tool.name, path),
            None => {
                line(Status::Missing, tool.name, format!("needed for: {}", tool.purpose));
                missing.push(tool);
            }
        }
    }
    missing
}

/// What to ask of apt.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection<'a> {
    pub packages: Vec<&'static str>,
    /// Services that must not be left running.
    pub services: Vec<&'static str>,
    /// No package is on offer.
    pub unavailable: Vec<&'a Tool>,
}

/// For each tool the best package on offer.
pub fn select<'a>(tools: &[&'a Tool], offered: &BTreeSet<String>) -> Selection<'a> {
    let mut selection = Selection::default();
    for tool in tools {
        match tool.packages.iter().find(|package| offered.contains(**package)) {
            Some(package) => {
                line(Status::Installing, tool.name, format!("package {package}"));
                selection.packages.push(package);
                selection.services.extend(tool.service);
            }
            None => selection.unavailable.push(tool),
        }
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(packages: &[&str]) -> BTreeSet<String> {
        packages.iter().map(ToString::to_string).collect()
    }

    const NGINX: Tool = Tool::program("nginx", &["nginx-light", "nginx"], "x").starts("nginx");
    const WRK: Tool = Tool::program("wrk", &["wrk"], "x");

    #[test]
    fn the_best_package_on_offer_is_selected() {
        let both = select(&[&NGINX, &WRK], &offered(&["nginx", "nginx-light", "wrk"]));
        assert_eq!(both.packages, ["nginx-light", "wrk"]);
        assert_eq!(both.services, ["nginx"]);
        assert!(both.unavailable.is_empty());
        assert_eq!(select(&[&NGINX], &offered(&["nginx"])).packages, ["nginx"]);
    }

    #[test]
    fn what_nobody_offers_is_named() {
        let selection = select(&[&NGINX, &WRK], &offered(&["nginx-light"]));
        assert_eq!(selection.packages, ["nginx-light"]);
        assert_eq!(selection.unavailable, [&WRK]);
    }

    #[test]
    fn every_tool_has_a_package_and_a_purpose() {
        for tool in TOOLS.iter().chain(&BROWSER_TOOLS).chain(&VIRTUAL_MACHINE_TOOLS).chain(&CLUSTER_TOOLS) {
            assert!(!tool.packages.is_empty() && !tool.purpose.is_empty(), "{}", tool.name);
        }
    }
}
