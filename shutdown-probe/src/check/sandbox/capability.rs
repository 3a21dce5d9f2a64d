//! Whether we may do what a container runtime does, said before anything is done.

use crate::check::options::{Network, Plan};
use crate::exit::{Exit, Failure};
use caps::{CapSet, Capability, CapsHashSet};

/// Checks that the capabilities suffice.
///
/// # Errors
/// [`Exit::NotMeasured`], naming those that are missing and how to get them.
pub fn check(plan: &Plan) -> Result<(), Failure> {
    // Where they cannot be read, what is done with them says what is missing.
    let Ok(effective) = caps::read(None, CapSet::Effective) else { return Ok(()) };
    let needs_namespaces = !plan.args.no_pid_namespace || plan.args.network == Network::Own;
    let missing = missing(&effective, needs_namespaces);
    if missing.is_empty() {
        return Ok(());
    }
    let add: Vec<_> = missing.iter().map(|name| format!("--cap-add {}", &name[4..])).collect();
    Err(Failure::new(
        Exit::NotMeasured,
        format!(
            "these capabilities are missing: {}. Run it as root (sudo shutdown-probe check ...); in a container, \
             as root with docker run {} --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or \
             --privileged",
            missing.join(", "),
            add.join(" ")
        ),
    ))
}

fn missing(effective: &CapsHashSet, needs_namespaces: bool) -> Vec<String> {
    // CAP_SYS_ADMIN has been split: it stands for the two that eBPF takes.
    let has_all = effective.contains(&Capability::CAP_SYS_ADMIN);
    let has = |one: Capability| effective.contains(&one);
    let mut needed = vec![];
    if needs_namespaces {
        needed.push(Capability::CAP_SYS_ADMIN);
    }
    if !has_all {
        needed.extend([Capability::CAP_BPF, Capability::CAP_PERFMON]);
    }
    needed.into_iter().filter(|one| !has(*one)).map(|one| one.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(capabilities: &[Capability]) -> CapsHashSet {
        capabilities.iter().copied().collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        use Capability::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN};
        let all = ["CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"];
        assert_eq!(missing(&set(&[]), true), all);
        assert_eq!(missing(&set(&[CAP_SYS_ADMIN]), true), [""; 0]);
        assert_eq!(missing(&set(&[CAP_BPF, CAP_PERFMON]), false), [""; 0]);
        assert_eq!(missing(&set(&[CAP_BPF, CAP_PERFMON]), true), ["CAP_SYS_ADMIN"]);
    }
}
