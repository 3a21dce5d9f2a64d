//! Processes and threads.

use super::{Address, Cgroup, probe};
use crate::offsets::*;
use aya_ebpf::helpers::generated::bpf_get_current_task;
use shutdown_probe_common::connection::Process;
use shutdown_probe_common::record::COMM_LENGTH;

/// `PF_EXITING` of `include/linux/sched.h`.
const PF_EXITING: u32 = 4;
/// `SIGNAL_UNKILLABLE` of `include/linux/sched/signal.h`.
const SIGNAL_UNKILLABLE: u32 = 0x40;

/// `struct task_struct`: a thread.
#[derive(Clone, Copy, PartialEq)]
pub struct Task(Address);

impl Task {
    /// The one at this address.
    #[inline(always)]
    pub fn new(address: Address) -> Self {
        Self(address)
    }

    /// The one that runs, or that an interrupt has stopped.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper takes nothing and always succeeds.
        Self(unsafe { bpf_get_current_task() })
    }

    /// The thread that its group is named after.
    #[inline(always)]
    pub fn leader(self) -> Self {
        Self(probe(self.0, &TASK_GROUP_LEADER))
    }

    /// The process that waits for it: the parent's thread group leader.
    #[inline(always)]
    pub fn parent(self) -> Self {
        Self(probe(self.0, &TASK_REAL_PARENT)).leader()
    }

    #[inline(always)]
    pub fn tgid(self) -> u32 {
        probe(self.0, &TASK_TGID)
    }

    #[inline(always)]
    pub fn is_leader(self) -> bool {
        probe::<u32>(self.0, &TASK_PID) == self.tgid()
    }

    /// The process it is a thread of.
    #[inline(always)]
    pub fn process(self) -> Process {
        let leader = self.leader();
        Process { start: probe(leader.0, &TASK_START_BOOTTIME), tgid: leader.tgid(), reserved: 0 }
    }

    #[inline(always)]
    pub fn comm(self) -> [u8; COMM_LENGTH] {
        probe(self.0, &TASK_COMM)
    }

    #[inline(always)]
    pub fn exit_code(self) -> u32 {
        probe(self.0, &TASK_EXIT_CODE)
    }

    #[inline(always)]
    pub fn is_exiting(self) -> bool {
        probe::<u32>(self.0, &TASK_FLAGS) & PF_EXITING != 0
    }

    /// Its cgroup of the v2 hierarchy.
    #[inline(always)]
    pub fn cgroup(self) -> Cgroup {
        let set = probe(self.0, &TASK_CGROUPS);
        Cgroup::new(probe(set, &CSS_SET_CGROUP))
    }

    /// Whether it is PID 1 of its PID namespace.
    #[inline(always)]
    pub fn is_init(self) -> bool {
        let signal = probe(self.0, &TASK_SIGNAL);
        probe::<u32>(signal, &SIGNAL_FLAGS) & SIGNAL_UNKILLABLE != 0
    }

    /// How many threads of its process have not begun to exit.
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        let signal = probe(self.0, &TASK_SIGNAL);
        probe(signal, &SIGNAL_LIVE)
    }

    /// What is installed for this signal (1 to 64): the handler's address, 0 or 1.
    #[inline(always)]
    pub fn handler(self, signal: u32) -> u64 {
        let hand: Address = probe(self.0, &TASK_SIGHAND);
        let action = hand + SIGHAND_ACTION.load() + u64::from(signal - 1) * K_SIGACTION_SIZE.load();
        probe(action, &K_SIGACTION_HANDLER)
    }

    /// Its signal mask: bit n - 1 for signal n.
    #[inline(always)]
    pub fn blocked(self) -> u64 {
        // A thread in sigtimedwait() has what it waits for unblocked; `real_blocked` is what it blocks.
        probe::<u64>(self.0, &TASK_BLOCKED) | probe::<u64>(self.0, &TASK_REAL_BLOCKED)
    }
}
