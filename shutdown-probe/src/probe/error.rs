//! Why the kernel side cannot work here.

use super::btf::BtfError;
use super::layout::LayoutError;
use std::io;
use std::path::PathBuf;

/// Why the kernel side cannot work here. Each has another remedy.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The capabilities do not suffice.
    #[error("not permitted to load eBPF programs: CAP_BPF and CAP_PERFMON (or root) are needed")]
    NotPermitted,
    /// The kernel does not describe itself.
    #[error("this kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)")]
    NoBtf,
    /// Its description cannot be read.
    #[error("the kernel's BTF cannot be read: {0}")]
    Btf(#[from] BtfError),
    /// It has no `bpf` system call.
    #[error("this kernel has no bpf() system call (CONFIG_BPF_SYSCALL)")]
    NoBpf,
    /// No cgroup v2 hierarchy is mounted.
    #[error("no cgroup v2 hierarchy is mounted")]
    NoCgroup2,
    /// The directory to watch does not exist.
    #[error("no such cgroup: {}", .0.display())]
    WatchedCgroupMissing(PathBuf),
    /// The kernel keeps something elsewhere than is known.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The object is not what this binary expects.
    #[error("the eBPF object is unsuitable: {0}")]
    Object(String),
    /// A map could not be made or used.
    #[error("map {map}: {reason}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        reason: String,
    },
    /// A probe without which nothing can be said does not run.
    #[error("probe {probe} does not run: {reason}")]
    Required {
        /// Its name.
        probe: &'static str,
        /// The kernel's last words, the verifier's included.
        reason: String,
    },
    /// The existing cgroups could not be read.
    #[error("cgroups cannot be read: {}: {source}", path.display())]
    Scan {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}
