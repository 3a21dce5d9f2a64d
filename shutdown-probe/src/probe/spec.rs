//! The probes: which programs each is made of, what the kernel must offer for it, and which fates
//! are not known without it.

use super::btf::Btf;
use shutdown_probe_common::fate::Fate;

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A tracepoint with typed arguments.
    Tracepoint(&'static str),
    /// The beginning of a kernel function.
    Function(&'static str),
    /// The return of a kernel function.
    Return(&'static str),
    /// An iterator, run once at the start.
    Iterator(&'static str),
}

impl Place {
    /// Whether this kernel has it.
    pub fn exists(self, btf: &Btf) -> bool {
        match self {
            Self::Tracepoint(hook) => btf.hook_arguments(hook).is_some(),
            Self::Function(function) | Self::Return(function) => btf.has_function(function),
            Self::Iterator(kind) => btf.has_function(&format!("bpf_iter_{kind}")),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tracepoint(name) => write!(f, "tracepoint {name}"),
            Self::Function(name) => write!(f, "function {name}"),
            Self::Return(name) => write!(f, "return of {name}"),
            Self::Iterator(name) => write!(f, "iterator {name}"),
        }
    }
}

/// A program of the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it goes.
    pub place: Place,
}

/// One way to do what a probe does.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How many arguments the first program's hook must give at least.
    pub arguments: u32,
    /// Its programs.
    pub programs: &'static [Program],
    /// The kernel functions that they call by number (kfuncs).
    pub calls: &'static [&'static str],
}

impl Variant {
    /// Whether this kernel offers it.
    fn fits(&self, btf: &Btf) -> bool {
        let has_calls = self.calls.iter().all(|name| btf.has_function(name));
        has_calls
            && self.programs.iter().all(|program| match program.place {
                Place::Tracepoint(hook) => {
                    btf.hook_arguments(hook).is_some_and(|given| given >= self.arguments)
                }
                place => place.exists(btf),
            })
    }
}

/// A probe: what stands or falls together.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name in `/probes` and metrics.
    pub name: &'static str,
    /// Whether nothing can be said without it.
    pub required: bool,
    /// What is not known without it.
    pub fates_lost: &'static [Fate],
    /// The best first.
    pub variants: &'static [Variant],
}

impl Spec {
    /// The variants that this kernel offers, the best first.
    pub fn offered(&self, btf: &Btf) -> impl Iterator<Item = &'static Variant> {
        self.variants.iter().filter(|variant| variant.fits(btf))
    }

    /// The best variant that this kernel offers.
    pub fn choose(&self, btf: &Btf) -> Option<&'static Variant> {
        self.offered(btf).next()
    }

    /// What this kernel lacks for it, in words.
    pub fn lack(&self, btf: &Btf) -> String {
        let programs = self.variants.iter().flat_map(|variant| variant.programs);
        let missing = programs.map(|program| program.place).find(|place| !place.exists(btf));
        match missing {
            Some(place) => format!("this kernel has no {place}"),
            None => "this kernel's hook gives too few arguments".to_owned(),
        }
    }
}

const fn tracepoint(name: &'static str, hook: &'static str) -> Program {
    Program { name, place: Place::Tracepoint(hook) }
}

const fn function(name: &'static str, function: &'static str) -> Program {
    Program { name, place: Place::Function(function) }
}

const fn at_return(name: &'static str, function: &'static str) -> Program {
    Program { name, place: Place::Return(function) }
}

const fn iterator(name: &'static str, kind: &'static str) -> Program {
    Program { name, place: Place::Iterator(kind) }
}

const fn variant(arguments: u32, programs: &'static [Program]) -> Variant {
    Variant { arguments, programs, calls: &[] }
}

/// The probe that looks at payload.
pub const FRAMING: &str = "framing";

/// Every probe, in the order of attachment: what names containers first, what judges last.
pub const PROBES: &[Spec] = &[
    Spec {
        name: "cgroup",
        required: true,
        fates_lost: &Fate::ALL,
        variants: &[variant(
            1,
            &[tracepoint("cgroup_mkdir", "cgroup_mkdir"), tracepoint("cgroup_rmdir", "cgroup_rmdir")],
        )],
    },
    Spec {
        name: "populated",
        required: false,
        fates_lost: &[],
        variants: &[variant(3, &[tracepoint("cgroup_populated", "cgroup_notify_populated")])],
    },
    Spec {
        name: "entry",
        required: false,
        fates_lost: &[],
        variants: &[variant(
            2,
            &[
                tracepoint("cgroup_attach", "cgroup_attach_task"),
                tracepoint("process_fork", "sched_process_fork"),
            ],
        )],
    },
    Spec {
        name: "exit",
        required: true,
        fates_lost: &Fate::ALL,
        variants: &[
            variant(2, &[tracepoint("process_exit_group", "sched_process_exit")]),
            variant(1, &[tracepoint("process_exit", "sched_process_exit")]),
        ],
    },
    Spec {
        name: "signal",
        required: true,
        fates_lost: &Fate::ALL,
        variants: &[variant(5, &[tracepoint("signal_generate", "signal_generate")])],
    },
    Spec {
        name: "signal_delivery",
        required: false,
        fates_lost: &[],
        variants: &[variant(3, &[tracepoint("signal_deliver", "signal_deliver")])],
    },
    Spec {
        name: "oom",
        required: false,
        fates_lost: &[],
        variants: &[
            variant(2, &[tracepoint("oom_victim_task", "mark_victim")]),
            variant(1, &[tracepoint("oom_victim_pid", "mark_victim")]),
        ],
    },
    Spec {
        name: "read",
        required: true,
        fates_lost: &[Fate::UnansweredRequest, Fate::TruncatedResponse, Fate::OutboundUnanswered],
        variants: &[variant(1, &[tracepoint("tcp_read", "tcp_rcv_space_adjust")])],
    },
    Spec {
        name: FRAMING,
        required: false,
        fates_lost: &[Fate::TruncatedResponse],
        variants: &[
            Variant {
                arguments: 2,
                programs: &[
                    tracepoint("tcp_copying", "skb_copy_datagram_iovec"),
                    tracepoint("tcp_sending", "tcp_sendmsg_locked"),
                ],
                calls: &["bpf_dynptr_from_skb"],
            },
            variant(
                0,
                &[
                    at_return("tcp_copied", "skb_copy_datagram_iter"),
                    at_return("tcp_sent", "tcp_sendmsg_locked"),
                ],
            ),
        ],
    },
    Spec {
        name: "reset_received",
        required: false,
        fates_lost: &[Fate::PeerAborted],
        variants: &[variant(1, &[tracepoint("tcp_reset_received", "tcp_receive_reset")])],
    },
    Spec {
        name: "state",
        required: true,
        fates_lost: &Fate::ALL,
        variants: &[variant(3, &[tracepoint("tcp_state", "inet_sock_set_state")])],
    },
    Spec {
        name: "reset_sent",
        required: false,
        fates_lost: &[Fate::Refused, Fate::RequestAfterClose, Fate::UndeliveredResponse],
        variants: &[
            Variant {
                arguments: 3,
                programs: &[tracepoint("tcp_reset_sent_seen", "tcp_send_reset")],
                calls: &["bpf_dynptr_from_skb"],
            },
            variant(3, &[tracepoint("tcp_reset_sent", "tcp_send_reset")]),
            variant(
                2,
                &[
                    function("tcp_reset_sent_v4", "tcp_v4_send_reset"),
                    function("tcp_reset_sent_v6", "tcp_v6_send_reset"),
                ],
            ),
        ],
    },
    Spec {
        name: "stranded",
        required: false,
        fates_lost: &[Fate::UndeliveredResponse],
        variants: &[
            variant(3, &[tracepoint("tcp_retransmitted", "tcp_retransmit_skb")]),
            variant(
                0,
                &[
                    at_return("tcp_retransmission_returned", "tcp_retransmit_skb"),
                    at_return("tcp_window_probe_returned", "tcp_write_wakeup"),
                ],
            ),
        ],
    },
    Spec {
        name: "existing",
        required: false,
        // What was open before the probe stays unknown until it is next read from.
        fates_lost: &[],
        variants: &[variant(
            0,
            &[
                iterator("existing_processes", "task"),
                iterator("existing_listeners", "task_file"),
                iterator("existing_connections", "task_file"),
            ],
        )],
    },
];
