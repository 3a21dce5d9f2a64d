//! Processes enter containers, end, and are chosen by the OOM killer.

use crate::container::{Known, of_cgroup, of_task};
use crate::emit::{emit, header};
use crate::kernel::{Cgroup, Task};
use shutdown_probe_common::connection::Process;
use shutdown_probe_common::record::{OomVictim, ProcessEntered, ProcessExited, kind, signal_flag};

/// How far up a process tree is walked.
const MAX_DEPTH: u32 = 16;

/// `cgroup_attach_task`. Moves between cgroups of one container are told too: where the task came
/// from is no longer known here.
#[inline(always)]
pub fn attached(cgroup: Cgroup, task: Task) {
    if !cgroup.is_unified() || !task.is_leader() {
        return;
    }
    if let Some(container) = of_cgroup(cgroup.id()) {
        entered(container, task);
    }
}

/// `sched_process_fork`. Only a child made in another container than its parent's enters one.
#[inline(always)]
pub fn forked(parent: Task, child: Task) {
    let cgroup = child.cgroup().id();
    let parents = parent.cgroup().id();
    if cgroup == parents || !child.is_leader() {
        return;
    }
    let Some(container) = of_cgroup(cgroup) else { return };
    if of_cgroup(parents) != Some(container) {
        entered(container, child);
    }
}

#[inline(always)]
fn entered(container: u64, task: Task) {
    let process = task.process();
    if let Some(known) = Known::get(container) {
        known.offer_main(process);
    }
    emit!(
        container,
        ProcessEntered { header: header(kind::PROCESS_ENTERED, container), process, comm: task.comm() }
    );
}

/// `sched_process_exit` of the last thread of a process.
#[inline(always)]
pub fn exited(task: Task) {
    let Some(container) = of_task(task).and_then(Known::get) else { return };
    let leader = task.leader();
    let process = leader.process();
    let is_top = of_task(leader.parent()) != Some(container.id);
    let flags = process_flags(leader, process, container);
    let exit_code = task.exit_code();
    // An exec'd helper is a top too, and comes and goes while the main process lives.
    if flags != 0 || (is_top && container.main().tgid == 0) {
        container.open_narration_of_end(exit_code == 0);
    } else if !is_top && !container.is_narrating() {
        return;
    }
    if flags & signal_flag::TARGET_IS_MAIN != 0 {
        container.forget_main();
    }
    emit!(
        container.id,
        ProcessExited {
            header: header(kind::PROCESS_EXITED, container.id),
            process,
            root: if is_top { process } else { root(leader, container.id) },
            exit_code,
            flags,
            comm: leader.comm(),
        }
    );
}

/// Bits of `signal_flag` that say what a process is to its container.
#[inline(always)]
pub fn process_flags(leader: Task, process: Process, container: Known) -> u32 {
    let mut flags = 0;
    if leader.is_init() {
        flags |= signal_flag::TARGET_IS_INIT;
    }
    let main = container.main();
    if main.tgid == process.tgid && main.start == process.start {
        flags |= signal_flag::TARGET_IS_MAIN;
    }
    flags
}

/// The topmost ancestor of a process that is in its container.
#[inline(always)]
pub fn root(leader: Task, container: u64) -> Process {
    let mut top = leader;
    for _ in 0..MAX_DEPTH {
        let parent = top.parent();
        if parent == top || of_task(parent) != Some(container) {
            break;
        }
        top = parent;
    }
    top.process()
}

/// `mark_victim`.
#[inline(always)]
pub fn oom_victim(task: Task) {
    let Some(container) = of_task(task).and_then(Known::get) else { return };
    container.open_narration();
    emit!(
        container.id,
        OomVictim { header: header(kind::OOM_VICTIM, container.id), process: task.process() }
    );
}

/// `mark_victim` of kernels that give a pid alone: whose it is, user space has to find out.
#[inline(always)]
pub fn oom_victim_pid(pid: u32) {
    let process = Process { start: 0, tgid: pid, reserved: 0 };
    emit!(0, OomVictim { header: header(kind::OOM_VICTIM, 0), process });
}
