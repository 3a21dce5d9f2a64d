//! The application reads. The one hook that is hot: a look-up and a store, once the socket is known.

use crate::connection::{listener, remember};
use crate::container::of_current;
use crate::kernel::{Sock, Task, TcpSock};
use crate::maps::Socket;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use shutdown_probe_common::connection::{flag, role};

/// `tcp_rcv_space_adjust`: runs after each copy to the application, in its context.
#[inline(always)]
pub fn read(sk: Sock) {
    let Some(tcp) = sk.tcp() else { return };
    match sk.storage() {
        Some(storage) => again(sk, tcp, storage),
        None => first(sk, tcp),
    }
}

#[inline(always)]
fn again(sk: Sock, tcp: TcpSock, storage: &Socket) {
    let copied = tcp.copied_seq();
    // A look without taking (MSG_PEEK) comes here too.
    if copied == storage.copied_seq.get() {
        return;
    }
    let is_first = !storage.has(flag::READ);
    note(tcp, storage, copied);
    if storage.owner.get().tgid != current_tgid() {
        reader_changed(sk, storage, is_first);
    }
}

#[inline(always)]
fn note(tcp: TcpSock, storage: &Socket, copied: u32) {
    storage.copied_seq.set(copied);
    storage.write_seq.set(tcp.write_seq());
    storage.set(flag::READ);
}

#[inline(always)]
fn first(sk: Sock, tcp: TcpSock) {
    let Some(container) = of_current() else { return };
    let copied = tcp.copied_seq();
    let unread = tcp.rcv_nxt().wrapping_sub(copied);
    if tcp.bytes_received() == u64::from(unread) {
        return;
    }
    // Active opens are remembered from their first moment: this one is passive.
    let Some(storage) = remember(sk, tcp, container, role::SERVER) else { return };
    note(tcp, storage, copied);
    reader_changed(sk, storage, true);
}

#[inline(always)]
fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The reader's container is the truth: a listener may have been made by another, and passed on.
#[inline(always)]
fn reader_changed(sk: Sock, storage: &Socket, is_first: bool) {
    storage.owner.set(Task::current().process());
    let Some(container) = of_current() else { return };
    storage.container.set(container);
    if is_first && storage.role.get() == role::SERVER {
        if let Some(listener) = listener(&sk.listen_address()) {
            if listener.container.get() != container {
                listener.container.set(container);
            }
        }
    }
}
