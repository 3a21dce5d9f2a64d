//! The node's programs: how each is started, and how it is known again.
//!
//! Invariant: a process is known by its id and its start, so that nobody else's is ever stopped.

use super::layout::{
    API_PORT, Layout, NODE, NODE_ADDRESS, NODE_ADDRESS_6, SERVICES, SERVICES_6, SYSTEM_BUS, both, etcd,
    etcd_peer,
};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of them, running or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Component {
    pub name: String,
    program: PathBuf,
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    process: Option<Process>,
}

/// A process, and when it was started, in ticks since boot: `starttime` of proc_pid_stat(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    id: i32,
    start: u64,
}

impl Component {
    fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, program, arguments, environment: BTreeMap::new(), process: None }
    }

    fn with(mut self, variable: &str, value: impl std::fmt::Display) -> Self {
        self.environment.insert(variable.to_owned(), value.to_string());
        self
    }

    /// Starts it, in the background and away from this terminal.
    pub fn start(&mut self, layout: &Layout) -> Result<()> {
        ensure!(!self.is_running(), "{} runs already", self.name);
        let path = layout.log(&self.name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| path.display().to_string())?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: between fork and exec, only a system call is made.
        unsafe { command.pre_exec(|| Ok(setsid().map(|_| ())?)) };
        let child = command.spawn().with_context(|| self.program.display().to_string())?;
        let id = i32::try_from(child.id()).context("a process without an id")?;
        self.process = start_of(id).map(|start| Process { id, start });
        Ok(())
    }

    /// Whether it was started and not stopped by us.
    pub fn was_started(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the process that was started is still there.
    pub fn is_running(&self) -> bool {
        self.process.is_some_and(|process| start_of(process.id) == Some(process.start))
    }

    /// Ends it at once, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        let Some(id) = Pid::from_raw(process.id) else { return Ok(()) };
        // The descriptor comes first: from then on the number cannot become somebody else's unseen.
        let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return Ok(()) };
        if start_of(process.id) != Some(process.start) {
            return Ok(());
        }
        pidfd_send_signal(&handle, Signal::KILL).with_context(|| format!("stopping {}", self.name))?;
        super::wait::until(super::wait::SOON, &format!("the end of {}", self.name), || {
            start_of(process.id) != Some(process.start)
        })
    }

    /// The end of its log, for whoever asks why it does not run.
    pub fn last_words(&self, layout: &Layout) -> String {
        let text = fs::read_to_string(layout.log(&self.name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// When a process was started. Nothing: it is gone, or a zombie.
fn start_of(id: i32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The name in parentheses may contain anything, so fields are counted from its end.
fn start_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// All of them, in the order in which they are started. `programs`: where those of Kubernetes are.
pub fn all(layout: &Layout, programs: &Path, containerd: &Path) -> Vec<Component> {
    let configuration = |name: &str| layout.configuration(name).display().to_string();
    let file = |path: PathBuf| path.display().to_string();
    let component = |name: &str, arguments: Vec<String>| Component::new(programs.join(name), arguments);
    vec![
        Component::new(containerd.to_owned(), vec!["--config".into(), configuration("containerd.toml")]),
        component("etcd", etcd_arguments(layout)),
        component("kube-apiserver", api_server_arguments(layout)),
        component(
            "kube-controller-manager",
            vec![
                option("kubeconfig", configuration("controller-manager.kubeconfig")),
                option("bind-address", "127.0.0.1"),
                option("secure-port", "20257"),
                option("leader-elect", "false"),
                option("use-service-account-credentials", "true"),
                option("service-account-private-key-file", file(layout.key("service-accounts"))),
                option("root-ca-file", file(layout.certificate("ca"))),
            ],
        ),
        component(
            "kube-scheduler",
            vec![
                option("kubeconfig", configuration("scheduler.kubeconfig")),
                option("bind-address", "127.0.0.1"),
                option("secure-port", "20259"),
                option("leader-elect", "false"),
            ],
        ),
        component(
            "kubelet",
            vec![
                option("config", configuration("kubelet.yaml")),
                option("kubeconfig", configuration("kubelet.kubeconfig")),
                option("hostname-override", NODE),
                option("node-ip", both(NODE_ADDRESS, NODE_ADDRESS_6)),
                option("root-dir", file(layout.file("kubelet"))),
                option("cert-dir", file(layout.keys())),
            ],
        )
        // It is to hear of no real shutdown: a case says when there is one.
        .with("DBUS_SYSTEM_BUS_ADDRESS", format_args!("unix:abstract={SYSTEM_BUS}")),
        component("kube-proxy", vec![option("config", configuration("proxy.yaml"))]),
    ]
}

fn option(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

/// What it stores is thrown away with the cluster, so it need not reach the disk.
fn etcd_arguments(layout: &Layout) -> Vec<String> {
    vec![
        option("name", NODE),
        option("data-dir", layout.file("etcd").display()),
        option("unsafe-no-fsync", "true"),
        option("listen-client-urls", etcd()),
        option("advertise-client-urls", etcd()),
        option("listen-peer-urls", etcd_peer()),
        option("initial-advertise-peer-urls", etcd_peer()),
        option("initial-cluster", format_args!("{NODE}={}", etcd_peer())),
    ]
}

fn api_server_arguments(layout: &Layout) -> Vec<String> {
    let file = |path: PathBuf| path.display().to_string();
    vec![
        option("etcd-servers", etcd()),
        option("bind-address", NODE_ADDRESS),
        option("advertise-address", NODE_ADDRESS),
        option("secure-port", API_PORT),
        option("service-cluster-ip-range", both(SERVICES, SERVICES_6)),
        option("tls-cert-file", file(layout.certificate("apiserver"))),
        option("tls-private-key-file", file(layout.key("apiserver"))),
        option("client-ca-file", file(layout.certificate("ca"))),
        option("kubelet-client-certificate", file(layout.certificate("apiserver-to-kubelet"))),
        option("kubelet-client-key", file(layout.key("apiserver-to-kubelet"))),
        option("kubelet-preferred-address-types", "InternalIP"),
        option("service-account-issuer", "https://kubernetes.default.svc"),
        option("service-account-key-file", layout.keys().join("service-accounts.pub").display()),
        option("service-account-signing-key-file", file(layout.key("service-accounts"))),
        option("authorization-mode", "Node,RBAC"),
        option("enable-admission-plugins", "NodeRestriction"),
        option("allow-privileged", "true"),
        option("audit-policy-file", file(layout.configuration("audit.yaml"))),
        option("audit-log-path", file(layout.audit_log())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = (4..=25).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_in(&format!("12 (a) b ) S {rest}")), Some(22));
        assert_eq!(start_in(&format!("12 (a) Z {rest}")), None, "a zombie is gone");
        assert_eq!(start_in("12 (a"), None);
    }

    #[test]
    fn a_process_is_known_by_its_start() {
        let id = i32::try_from(std::process::id()).unwrap();
        let process = Process { id, start: start_of(id).unwrap() };
        let mut component = Component::new("/nowhere/x".into(), vec![]);
        component.process = Some(process);
        assert!(component.is_running());
        component.process = Some(Process { start: process.start + 1, ..process });
        assert!(!component.is_running());
        component.kill().unwrap();
        assert!(start_of(id).is_some(), "somebody else with that number lives on");
    }
}
