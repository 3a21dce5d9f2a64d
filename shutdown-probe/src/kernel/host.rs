//! The node around eBPF: kernel, capabilities, cgroups, limits, cluster.

use super::Check;
use crate::probe::Hierarchy;
use caps::{CapSet, Capability};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::io;
use std::path::Path;

/// The inode of the first cgroup namespace, `PROC_CGROUP_INIT_INO` of `include/linux/proc_ns.h`.
const FIRST_CGROUP_NAMESPACE: &str = "cgroup:[4026531835]";
/// More than the probe's maps take; what counts against the limit at all before Linux 5.11.
const LOCKED_BYTES: u64 = 64 << 20;

/// The kernel's release, as uname(2) tells it.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Everything but eBPF itself.
pub fn checks() -> Vec<Check> {
    let root = Path::new("/");
    let mut checks = vec![Check::yes("kernel", release())];
    checks.extend([Capability::CAP_BPF, Capability::CAP_PERFMON].map(capability));
    checks.push(cgroup2(root));
    checks.push(cgroup_namespace(root));
    checks.push(lockdown(root));
    checks.push(memory_lock());
    checks.push(Check::yes("tracefs", "not needed: probes are attached by bpf() alone").optional());
    checks.push(cluster(is_in_cluster()));
    checks
}

/// Whether this is a pod, as its environment tells.
pub fn is_in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

fn capability(needed: Capability) -> Check {
    let name = needed.to_string();
    let has = |which| caps::has_cap(None, CapSet::Effective, which);
    match (has(needed), has(Capability::CAP_SYS_ADMIN)) {
        (Ok(true), _) => Check::yes(name, "held"),
        (_, Ok(true)) => Check::yes(name, "not held, but CAP_SYS_ADMIN is, which includes it"),
        (Ok(false), _) => {
            let remedy =
                "run as root, or give the file cap_bpf,cap_perfmon+ep, or the container these capabilities";
            Check::no(name, "not held", remedy)
        }
        (Err(error), _) => Check::unknown(name, error.to_string(), "see CapEff in /proc/self/status"),
    }
}

fn cgroup2(root: &Path) -> Check {
    const NAME: &str = "cgroup v2";
    let Ok(hierarchy) = Hierarchy::find() else {
        let remedy =
            "mount it: `mount -t cgroup2 none /sys/fs/cgroup/unified`; in a container, mount the host's";
        return Check::no(NAME, "not mounted", remedy);
    };
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let beside = if has_v1(&mounts) { ", beside v1 (hybrid)" } else { "" };
    Check::yes(NAME, format!("mounted at {}{beside}", hierarchy.mount().display()))
}

/// Whether a v1 hierarchy is mounted, in the format of `/proc/self/mountinfo`.
fn has_v1(mounts: &str) -> bool {
    mounts.lines().filter_map(|line| line.split_once(" - ")).any(|(_, behind)| behind.starts_with("cgroup "))
}

fn cgroup_namespace(root: &Path) -> Check {
    const NAME: &str = "cgroup paths";
    match fs::read_link(root.join("proc/self/ns/cgroup")) {
        Ok(link) if link.as_os_str() == FIRST_CGROUP_NAMESPACE => {
            Check::yes(NAME, "seen as the host sees them")
        }
        Ok(_) => {
            let finding =
                "seen from inside a cgroup namespace: what is outside cannot be watched by its path";
            Check::unknown(NAME, finding, "run in the host's cgroup namespace (Docker: --cgroupns host)")
        }
        Err(error) => Check::unknown(NAME, error.to_string(), "see /proc/self/ns/cgroup"),
    }
    .optional()
}

fn lockdown(root: &Path) -> Check {
    const NAME: &str = "lockdown";
    match fs::read_to_string(root.join("sys/kernel/security/lockdown")) {
        Ok(modes) if modes.contains("[confidentiality]") => {
            let remedy = "boot without lockdown=confidentiality: it forbids eBPF to read kernel memory";
            Check::no(NAME, "confidentiality", remedy)
        }
        Ok(modes) => {
            let mode = modes.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
            Check::yes(NAME, mode.map_or("none", |(mode, _)| mode))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let finding = "the kernel does not say: it has no lockdown, or securityfs is not mounted";
            Check::unknown(NAME, finding, "nothing, if the probes attach").optional()
        }
        Err(error) => {
            Check::unknown(NAME, error.to_string(), "see /sys/kernel/security/lockdown as root").optional()
        }
    }
}

fn memory_lock() -> Check {
    const NAME: &str = "locked memory";
    match getrlimit(Resource::Memlock).current {
        None => Check::yes(NAME, "unlimited"),
        Some(limit) if limit >= LOCKED_BYTES => Check::yes(NAME, format!("{} MiB", limit >> 20)),
        Some(limit) => {
            let finding = format!("{} KiB, which only kernels before 5.11 hold against maps", limit >> 10);
            Check::unknown(NAME, finding, "if maps cannot be made: `ulimit -l unlimited`")
        }
    }
    .optional()
}

fn cluster(is_in_cluster: bool) -> Check {
    const NAME: &str = "cluster";
    if is_in_cluster {
        return Check::yes(NAME, "this is a pod; what its API allows is below").optional();
    }
    Check::no(
        NAME,
        "not in a Kubernetes cluster",
        "run --standalone: every cgroup is a container; or run --kubeconfig",
    )
    .optional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Answer;

    fn lockdown_of(text: &str) -> Check {
        let root = tempfile::tempdir().expect("a directory");
        let security = root.path().join("sys/kernel/security");
        fs::create_dir_all(&security).expect("writable");
        fs::write(security.join("lockdown"), text).expect("writable");
        lockdown(root.path())
    }

    #[test]
    fn lockdown_matters_where_it_hides_memory() {
        assert_eq!(lockdown_of("[none] integrity confidentiality\n").finding, "none");
        let integrity = lockdown_of("none [integrity] confidentiality\n");
        assert_eq!((integrity.answer, integrity.finding.as_str()), (Answer::Yes, "integrity"));
        let confidential = lockdown_of("none integrity [confidentiality]\n");
        assert!(confidential.answer == Answer::No && confidential.required);
        let root = tempfile::tempdir().expect("a directory");
        let silent = lockdown(root.path());
        assert!(silent.answer == Answer::CouldNotTell && !silent.required);
    }

    #[test]
    fn a_hybrid_host_is_recognised() {
        let v2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 - cgroup2 cgroup2 rw\n";
        let v1 = "32 31 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        assert!(!has_v1(v2));
        assert!(has_v1(&[v2, v1].concat()));
    }

    #[test]
    fn a_cgroup_namespace_is_recognised() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("proc/self/ns");
        fs::create_dir_all(&directory).expect("writable");
        let link = directory.join("cgroup");
        std::os::unix::fs::symlink(FIRST_CGROUP_NAMESPACE, &link).expect("writable");
        assert_eq!(cgroup_namespace(root.path()).answer, Answer::Yes);
        fs::remove_file(&link).expect("writable");
        std::os::unix::fs::symlink("cgroup:[4026532999]", &link).expect("writable");
        assert_eq!(cgroup_namespace(root.path()).answer, Answer::CouldNotTell);
    }

    #[test]
    fn no_cluster_is_no_obstacle() {
        assert!(!cluster(false).required && cluster(false).answer == Answer::No);
        assert_eq!(cluster(true).answer, Answer::Yes);
    }
}
