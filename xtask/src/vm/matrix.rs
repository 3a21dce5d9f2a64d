//! The kernels: where each package is found, and what is expected of each, probe by probe.

use anyhow::{Result, bail};

/// A kernel of the matrix.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As it is typed, and the head of its column in docs/kernels.md.
    pub version: &'static str,
    /// The Debian suite that has it.
    pub suite: &'static str,
    /// Beginnings of package names, the best first. What follows is a revision, then the flavour.
    pub prefixes: &'static [&'static str],
    /// Since Linux 7.0 a task can be preempted inside a hook, and what comes on the same CPU until it runs again is not
    /// seen. On an emulated processor that is no rare event: there, processes are scheduled so that none preempts
    /// another.
    pub preempts_hooks: bool,
    /// It takes memory for socket storage without locks (`kmalloc_nolock`), which it has only on processors with
    /// cmpxchg16b: on others no socket is ever remembered.
    pub needs_cmpxchg16b: bool,
    pub expected: Expected,
}

/// What is known of a kernel, and asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The daemon runs, and the tests pass.
    Carries,
    /// The daemon refuses to run, and `doctor` says no, both in these words.
    Refuses(&'static str),
}

/// All of them, the oldest first.
pub const KERNELS: [Kernel; 4] = [
    Kernel {
        version: "5.10",
        suite: "bullseye",
        prefixes: &["linux-image-5.10.0-"],
        preempts_hooks: false,
        needs_cmpxchg16b: false,
        expected: Expected::Refuses(NO_CGROUP_OF_SOCKETS),
    },
    Kernel {
        version: "6.1",
        suite: "bookworm",
        prefixes: &["linux-image-6.1.0-"],
        preempts_hooks: false,
        needs_cmpxchg16b: false,
        expected: Expected::Carries,
    },
    Kernel {
        version: "6.12",
        suite: "trixie",
        prefixes: &["linux-image-6.12."],
        preempts_hooks: false,
        needs_cmpxchg16b: false,
        expected: Expected::Carries,
    },
    Kernel {
        version: "7",
        suite: "trixie-backports",
        // Since 7.1 the kernel is in a package of its own, and the image package has no image.
        prefixes: &["linux-binary-7.", "linux-image-7."],
        preempts_hooks: true,
        needs_cmpxchg16b: true,
        expected: Expected::Carries,
    },
];

const NO_CGROUP_OF_SOCKETS: &str = "this kernel's sock has no sk_cgrp_data.cgroup";

/// What `doctor` answers to one of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it stands in the JSON.
    pub answer: &'static str,
    /// What it finds, where that is a matter of the kernel alone.
    pub finding: Option<&'static str>,
}

/// One check of `doctor` on each kernel, in the order of [`KERNELS`].
#[derive(Debug)]
pub struct Row {
    pub check: &'static str,
    pub answers: [Answer; KERNELS.len()],
}

/// A probe runs, by these.
const fn by(places: &'static str) -> Answer {
    Answer { answer: "yes", finding: Some(places) }
}

const fn no(lack: &'static str) -> Answer {
    Answer { answer: "no", finding: Some(lack) }
}

const YES: Answer = Answer { answer: "yes", finding: None };
const NOT_TRIED: Answer = Answer { answer: "could_not_tell", finding: None };

const fn everywhere(check: &'static str, places: &'static str) -> Row {
    Row { check, answers: [by(places); KERNELS.len()] }
}

/// Every probe, and what all of them rest on. A kernel that offers more than is written here fails as one that offers
/// less: the boundary has moved, and somebody should know.
pub const ROWS: &[Row] = &[
    Row { check: "kernel structures", answers: [no(NO_CGROUP_OF_SOCKETS), YES, YES, YES] },
    everywhere(
        "probe cgroup",
        "tracepoint cgroup_mkdir (2 arguments), tracepoint cgroup_rmdir (2 arguments)",
    ),
    everywhere("probe populated", "tracepoint cgroup_notify_populated (3 arguments)"),
    everywhere(
        "probe entry",
        "tracepoint cgroup_attach_task (4 arguments), tracepoint sched_process_fork (2 arguments)",
    ),
    Row {
        check: "probe exit",
        answers: [
            by("tracepoint sched_process_exit (1 arguments)"),
            by("tracepoint sched_process_exit (1 arguments)"),
            by("tracepoint sched_process_exit (1 arguments)"),
            by("tracepoint sched_process_exit (2 arguments)"),
        ],
    },
    everywhere("probe signal", "tracepoint signal_generate (5 arguments)"),
    everywhere("probe signal_delivery", "tracepoint signal_deliver (3 arguments)"),
    Row {
        check: "probe oom",
        answers: [
            by("tracepoint mark_victim (1 arguments)"),
            by("tracepoint mark_victim (2 arguments)"),
            by("tracepoint mark_victim (2 arguments)"),
            by("tracepoint mark_victim (2 arguments)"),
        ],
    },
    everywhere("probe read", "tracepoint tcp_rcv_space_adjust (1 arguments)"),
    Row {
        check: "probe framing",
        answers: [
            by("return of skb_copy_datagram_iter, return of tcp_sendmsg_locked"),
            by("return of skb_copy_datagram_iter, return of tcp_sendmsg_locked"),
            by("return of skb_copy_datagram_iter, return of tcp_sendmsg_locked"),
            by(
                "tracepoint skb_copy_datagram_iovec (2 arguments), tracepoint tcp_sendmsg_locked (4 arguments)",
            ),
        ],
    },
    everywhere("probe reset_received", "tracepoint tcp_receive_reset (1 arguments)"),
    everywhere("probe state", "tracepoint inet_sock_set_state (3 arguments)"),
    Row {
        check: "probe reset_sent",
        answers: [
            by("function tcp_v4_send_reset, function tcp_v6_send_reset"),
            by("function tcp_v4_send_reset, function tcp_v6_send_reset"),
            by("tracepoint tcp_send_reset (3 arguments)"),
            by("tracepoint tcp_send_reset (3 arguments)"),
        ],
    },
    Row {
        check: "probe stranded",
        answers: [
            by("return of tcp_retransmit_skb, return of tcp_write_wakeup"),
            by("return of tcp_retransmit_skb, return of tcp_write_wakeup"),
            by("return of tcp_retransmit_skb, return of tcp_write_wakeup"),
            by("tracepoint tcp_retransmit_skb (3 arguments)"),
        ],
    },
    everywhere("probe existing", "iterator task, iterator task_file, iterator task_file"),
    Row { check: "attachment", answers: [NOT_TRIED, YES, YES, YES] },
];

/// The kernels of these versions; without any, all.
///
/// # Errors
/// When one is not of the matrix.
pub fn select(versions: &[String]) -> Result<Vec<&'static Kernel>> {
    for version in versions {
        if KERNELS.iter().all(|kernel| kernel.version != version) {
            let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.version).collect();
            bail!("there is no kernel '{version}' in the matrix; there are {}", known.join(", "));
        }
    }
    let chosen = |kernel: &&Kernel| versions.is_empty() || versions.iter().any(|v| v == kernel.version);
    Ok(KERNELS.iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_chosen_in_the_matrix_order() {
        let chosen = |versions: &[&str]| {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            select(&versions).map(|kernels| kernels.iter().map(|kernel| kernel.version).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]).unwrap(), ["5.10", "6.1", "6.12", "7"]);
        assert_eq!(chosen(&["7", "6.1"]).unwrap(), ["6.1", "7"]);
        let error = chosen(&["6"]).unwrap_err().to_string();
        assert_eq!(error, "there is no kernel '6' in the matrix; there are 5.10, 6.1, 6.12, 7");
    }
}
