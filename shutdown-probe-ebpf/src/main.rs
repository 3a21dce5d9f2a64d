//! The kernel side: one entry point per hook, thin; the work is in [`hook`].
//!
//! Invariants: counters are exact whatever becomes of the records; a container that nobody stops
//! sends none. What runs in softirq attributes by socket and by target, never by `current`.
#![no_std]
#![no_main]
// The target has no `memset` and no `memcpy` that stores could be merged into.
#![no_builtins]
#![feature(asm_experimental_arch)]

mod connection;
mod container;
mod desk;
mod emit;
mod hook;
mod kernel;
mod listener;
mod maps;
mod offsets;

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, fentry, fexit, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, FExitContext, RawTracePointContext};
use core::ffi::c_void;
use desk::Desk;
use hook::{cgroup, delivery, existing, narrate, payload, process, read, reset, signal, state};
use kernel::{Cgroup, Message, Packet, Sock, Task};

#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    cgroup::made(Cgroup::new(ctx.arg(0)), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    cgroup::removed(Cgroup::new(ctx.arg(0)));
    0
}

#[btf_tracepoint(function = "cgroup_notify_populated")]
fn cgroup_populated(ctx: BtfTracePointContext) -> i32 {
    cgroup::populated(Cgroup::new(ctx.arg(0)), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "cgroup_attach_task")]
fn cgroup_attach(ctx: BtfTracePointContext) -> i32 {
    process::attached(Cgroup::new(ctx.arg(0)), Task::new(ctx.arg(2)));
    0
}

#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(ctx: BtfTracePointContext) -> i32 {
    process::forked(Task::new(ctx.arg(0)), Task::new(ctx.arg(1)));
    0
}

/// For kernels whose hook says whether the thread is the last of its group.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit_group(ctx: BtfTracePointContext) -> i32 {
    if ctx.arg::<u64>(1) & 1 == 1 {
        process::exited(Task::new(ctx.arg(0)));
    }
    0
}

/// For kernels whose hook gives the task alone.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg(0));
    if task.live_threads() == 0 {
        process::exited(task);
    }
    0
}

#[btf_tracepoint(function = "mark_victim")]
fn oom_victim_task(ctx: BtfTracePointContext) -> i32 {
    process::oom_victim(Task::new(ctx.arg(0)));
    0
}

/// For kernels whose hook gives a pid.
#[btf_tracepoint(function = "mark_victim")]
fn oom_victim_pid(ctx: BtfTracePointContext) -> i32 {
    process::oom_victim_pid(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "signal_generate")]
fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    signal::generated(ctx.arg(0), ctx.arg(1), Task::new(ctx.arg(2)), ctx.arg(4));
    0
}

#[btf_tracepoint(function = "signal_deliver")]
fn signal_deliver(ctx: BtfTracePointContext) -> i32 {
    signal::delivered(ctx.arg(0), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "tcp_rcv_space_adjust")]
fn tcp_read(ctx: BtfTracePointContext) -> i32 {
    read::read(Sock::new(ctx.arg(0)));
    0
}

#[btf_tracepoint(function = "skb_copy_datagram_iovec")]
fn tcp_copying(ctx: BtfTracePointContext) -> i32 {
    payload::copying(Packet::new(ctx.arg(0)), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "tcp_sendmsg_locked")]
fn tcp_sending(ctx: BtfTracePointContext) -> i32 {
    let length = Packet::if_any(ctx.arg(2)).map_or(0, Packet::length);
    let segment = payload::Segment { length, most: ctx.arg(3) };
    payload::sending(Sock::new(ctx.arg(0)), Message::new(ctx.arg(1)), segment);
    0
}

/// For kernels without that tracepoint.
#[fexit(function = "tcp_sendmsg_locked")]
fn tcp_sent(ctx: FExitContext) -> i32 {
    if let Ok(bytes @ 1..) = ctx.ret::<i32>() {
        payload::sent(Sock::new(ctx.arg(0)), Message::new(ctx.arg(1)), bytes as u32);
    }
    0
}

/// For kernels that let no tracepoint look into packets.
#[fexit(function = "skb_copy_datagram_iter")]
fn tcp_copied(ctx: FExitContext) -> i32 {
    if let Ok(0) = ctx.ret::<i32>() {
        let message = Message::of_iterator(ctx.arg(2));
        payload::copied(Packet::new(ctx.arg(0)), ctx.arg(1), message, ctx.arg(3));
    }
    0
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn tcp_state(ctx: BtfTracePointContext) -> i32 {
    state::changed(Sock::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "tcp_receive_reset")]
fn tcp_reset_received(ctx: BtfTracePointContext) -> i32 {
    reset::received(Sock::new(ctx.arg(0)));
    0
}

/// For kernels that trace resets without a socket too.
#[btf_tracepoint(function = "tcp_send_reset")]
fn tcp_reset_sent(ctx: BtfTracePointContext) -> i32 {
    reset::sent(Desk::ResetSent, ctx.as_ptr(), None);
    0
}

/// For kernels that let tracepoints look into packets besides.
#[btf_tracepoint(function = "tcp_send_reset")]
fn tcp_reset_sent_seen(ctx: BtfTracePointContext) -> i32 {
    reset::sent(Desk::ResetSent, ctx.as_ptr(), Packet::if_any(ctx.arg(1)));
    0
}

#[fentry(function = "tcp_v4_send_reset")]
fn tcp_reset_sent_v4(ctx: FEntryContext) -> i32 {
    reset::sent(Desk::ResetSentV4, ctx.as_ptr(), None);
    0
}

#[fentry(function = "tcp_v6_send_reset")]
fn tcp_reset_sent_v6(ctx: FEntryContext) -> i32 {
    reset::sent(Desk::ResetSentV6, ctx.as_ptr(), None);
    0
}

/// For kernels that trace what became of it.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn tcp_retransmitted(ctx: BtfTracePointContext) -> i32 {
    delivery::attempted(Desk::Retransmission, Sock::new(ctx.arg(0)), ctx.arg(2));
    0
}

/// For kernels that trace successes only.
#[fexit(function = "tcp_retransmit_skb")]
fn tcp_retransmission_returned(ctx: FExitContext) -> i32 {
    if let Ok(outcome) = ctx.ret::<i32>() {
        delivery::attempted(Desk::Retransmission, Sock::new(ctx.arg(0)), outcome);
    }
    0
}

#[fexit(function = "tcp_write_wakeup")]
fn tcp_window_probe_returned(ctx: FExitContext) -> i32 {
    if let Ok(outcome) = ctx.ret::<i32>() {
        delivery::attempted(Desk::WindowProbe, Sock::new(ctx.arg(0)), outcome);
    }
    0
}

/// Run by user space alone: opens or closes a container's narration without touching its counters.
#[raw_tracepoint]
fn set_narration(ctx: RawTracePointContext) -> i32 {
    narrate::set(ctx.arg(0), ctx.arg(1));
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn existing_processes(ctx: *mut c_void) -> i32 {
    existing::process(ctx);
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn existing_listeners(ctx: *mut c_void) -> i32 {
    existing::listener_of(ctx);
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn existing_connections(ctx: *mut c_void) -> i32 {
    existing::connection(ctx);
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
