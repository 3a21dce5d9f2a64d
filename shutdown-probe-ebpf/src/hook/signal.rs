//! Signals that end processes. Attributed by the target: the sender is the container's runtime,
//! outside, or an interrupt that happened to stop somebody else.

use crate::container::{Known, of_task};
use crate::emit::{emit, header};
use crate::hook::process::{process_flags, root};
use crate::kernel::{Address, Task, probe_at};
use crate::offsets::{K_SIGACTION_HANDLER, STOP_SIGNALS};
use shutdown_probe_common::connection::Process;
use shutdown_probe_common::record::{SignalDelivered, SignalGenerated, disposition, kind, signal_flag};

const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
/// `SEND_SIG_PRIV`: the kernel's own doing. 0, `SEND_SIG_NOINFO`, is the running task's: kill(2) itself
/// since 7.3, a write to `cgroup.kill`, the death of a parent. Nothing else is looked into: it need
/// not be a pointer.
const SEND_SIG_PRIV: Address = 1;

#[inline(always)]
fn is_stop_signal(signal: u32) -> bool {
    (1..=64).contains(&signal) && STOP_SIGNALS.load() >> (signal - 1) & 1 == 1
}

/// `signal_generate`.
#[inline(always)]
pub fn generated(signal: u32, info: Address, target: Task, result: u32) {
    if signal != SIGKILL && !is_stop_signal(signal) {
        return;
    }
    let Some(container) = of_task(target).and_then(Known::get) else { return };
    let leader = target.leader();
    let process = leader.process();
    let origin = origin(info, container.id);
    let flags = process_flags(leader, process, container);
    if origin.flags & signal_flag::FROM_INSIDE == 0 {
        // What was told on the suspicion that a helper's or a worker's end was the container's is not
        // part of the story.
        if flags != 0 { container.begin_anew() } else { container.open_narration() }
    }
    // Nothing can be installed for SIGKILL; what the process would have done with SIGTERM says more.
    let asked = if signal == SIGKILL { SIGTERM } else { signal };
    let blocked = leader.blocked() >> (asked - 1) & 1 == 1;
    emit!(
        container.id,
        SignalGenerated {
            header: header(kind::SIGNAL_GENERATED, container.id),
            target: process,
            root: root(leader, container.id),
            sender: origin.sender,
            opened: container.opened(),
            signal,
            result,
            disposition: disposition_of(leader.handler(asked)),
            flags: origin.flags | flags | if blocked { signal_flag::BLOCKED } else { 0 },
            comm: leader.comm(),
        }
    );
}

struct Origin {
    sender: Process,
    flags: u32,
}

#[inline(always)]
fn origin(info: Address, container: u64) -> Origin {
    let current = Task::current();
    let inside = if of_task(current) == Some(container) { signal_flag::FROM_INSIDE } else { 0 };
    if info == SEND_SIG_PRIV {
        Origin {
            sender: Process { start: 0, tgid: 0, reserved: 0 },
            flags: inside | signal_flag::FROM_KERNEL,
        }
    } else {
        Origin { sender: current.process(), flags: inside }
    }
}

#[inline(always)]
fn disposition_of(handler: u64) -> u32 {
    match handler {
        0 => disposition::DEFAULT,
        1 => disposition::IGNORED,
        _ => disposition::HANDLED,
    }
}

/// `signal_deliver`.
#[inline(always)]
pub fn delivered(signal: u32, action: Address) {
    if !is_stop_signal(signal) {
        return;
    }
    let task = Task::current();
    let Some(container) = of_task(task).and_then(Known::get) else { return };
    if !container.is_narrating() {
        return;
    }
    emit!(
        container.id,
        SignalDelivered {
            header: header(kind::SIGNAL_DELIVERED, container.id),
            process: task.process(),
            signal,
            disposition: disposition_of(probe_at(action + K_SIGACTION_HANDLER.load())),
        }
    );
}
