//! Gives privileges up once they are not needed any more.
//!
//! Invariant: capabilities belong to threads, so every thread of the daemon gives up its own: those that serve as
//! they start, the one that attached the probes as soon as they run.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use rustix::thread::set_no_new_privs;

/// What a thread is left with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// What it can do.
    pub effective: Vec<String>,
    /// The bounding set could not be emptied, for want of CAP_SETPCAP. Without new privileges it grants nothing.
    pub bounding_kept: bool,
}

/// What reading maps takes on kernels before 5.19, where `kernel.unprivileged_bpf_disabled` is set.
pub const MAP_ACCESS: Capability = Capability::CAP_BPF;

/// Whether this thread may load programs, as far as its capabilities tell.
pub fn may_load() -> bool {
    let Ok(effective) = caps::read(None, CapSet::Effective) else { return true };
    let has = |one: Capability| effective.contains(&one);
    has(Capability::CAP_SYS_ADMIN) || has(Capability::CAP_BPF) && has(Capability::CAP_PERFMON)
}

/// Gives up all capabilities of this thread but `kept`, and the ways back to them.
///
/// # Errors
/// What the kernel refused; the thread may then still have capabilities.
pub fn give_up(kept: &[Capability]) -> Result<Remaining, CapsError> {
    set_no_new_privs(true).map_err(|error| CapsError::from(error.to_string()))?;
    caps::clear(None, CapSet::Ambient)?;
    // The bounding set goes first: emptying it takes a capability that goes next.
    let bounding_kept = caps::clear(None, CapSet::Bounding).is_err();
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = kept.iter().copied().filter(|one| permitted.contains(one)).collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    caps::clear(None, CapSet::Inheritable)?;
    let effective = caps::read(None, CapSet::Effective)?;
    let mut effective: Vec<String> = effective.iter().map(Capability::to_string).collect();
    effective.sort();
    Ok(Remaining { effective, bounding_kept })
}

/// Runs `check` as if everything was given up, without giving it up yet.
///
/// # Errors
/// What the kernel refused.
pub fn rehearse<T>(check: impl FnOnce() -> T) -> Result<T, CapsError> {
    let effective = caps::read(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Effective)?;
    let outcome = check();
    caps::set(None, CapSet::Effective, &effective)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own: what is given up does not come back.
    fn alone(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().expect("the thread ends well");
    }

    fn set(which: CapSet) -> CapsHashSet {
        caps::read(None, which).expect("readable")
    }

    #[test]
    fn nothing_remains() {
        alone(|| {
            let remaining = give_up(&[]).expect("giving up is always allowed");
            assert_eq!(remaining.effective, Vec::<String>::new());
            for which in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
                assert!(set(which).is_empty(), "{which:?}");
            }
            assert!(rustix::thread::no_new_privs().expect("readable"));
        });
    }

    #[test]
    fn what_is_kept_is_kept_if_it_was_there() {
        alone(|| {
            let had = set(CapSet::Permitted).contains(&MAP_ACCESS);
            let remaining = give_up(&[MAP_ACCESS]).expect("giving up is always allowed");
            assert_eq!(remaining.effective.len(), usize::from(had));
            assert_eq!(set(CapSet::Permitted).contains(&MAP_ACCESS), had);
        });
    }

    #[test]
    fn a_rehearsal_gives_up_nothing_for_good() {
        alone(|| {
            let before = set(CapSet::Effective);
            assert!(rehearse(|| set(CapSet::Effective).is_empty()).expect("allowed"));
            assert_eq!(set(CapSet::Effective), before);
        });
    }
}
