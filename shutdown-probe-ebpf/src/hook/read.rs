//! The application reads. The one hook that is hot: a look-up and a store, once the socket is known.

use crate::connection::remember;
use crate::container::of_current;
use crate::desk::Desk;
use crate::kernel::{Sock, Task, Tcp};
use crate::listener::{add_listener, listener};
use crate::maps::Socket;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use shutdown_probe_common::connection::{Process, flag, role};

/// `tcp_rcv_space_adjust`: runs after each copy to the application, in its context.
#[inline(always)]
pub fn read(sk: Sock) {
    match sk.storage() {
        Some(storage) => again(sk, storage),
        None => first(sk),
    }
}

#[inline(always)]
fn again(sk: Sock, storage: &Socket) {
    let Some(tcp) = sk.tcp() else { return };
    let copied = tcp.copied_seq();
    // A look without taking (MSG_PEEK) comes here too.
    if copied == storage.copied_seq.get() {
        return;
    }
    let is_first = !storage.has(flag::READ);
    note(tcp, storage, copied);
    if storage.owner.get().tgid != current_tgid() {
        reader_changed(tcp, storage, is_first);
    }
}

#[inline(always)]
fn note(tcp: Tcp, storage: &Socket, copied: u32) {
    storage.copied_seq.set(copied);
    storage.write_seq.set(tcp.write_seq());
    storage.set(flag::READ);
}

#[inline(always)]
fn first(sk: Sock) {
    // Most often the answer is no: the node reads from many sockets that are in no container.
    let Some(container) = of_current() else { return };
    let Some(tcp) = sk.tcp() else { return };
    let copied = tcp.copied_seq();
    if tcp.bytes_received() == u64::from(tcp.unread()) {
        return;
    }
    // Active opens are remembered from their first moment: this one is passive.
    let Some(storage) = remember(tcp, container, role::SERVER) else { return };
    note(tcp, storage, copied);
    reader_changed(tcp, storage, true);
}

#[inline(always)]
fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The reader's container is the truth: a listener may have been made by another, and passed on.
#[inline(always)]
fn reader_changed(tcp: Tcp, storage: &Socket, is_first: bool) {
    let owner = Task::current().process();
    storage.owner.set(owner);
    let Some(container) = of_current() else { return };
    storage.container.set(container);
    if is_first && storage.role.get() == role::SERVER {
        learn_listener(tcp, container, &owner);
    }
}

/// Whoever serves the connections of an address is who refuses them when it is gone.
#[inline(never)]
fn learn_listener(tcp: Tcp, container: u64, owner: &Process) {
    let Some(papers) = Desk::Read.take() else { return };
    let address = &mut papers.address;
    tcp.put_listen_address(address);
    match listener(address) {
        Some(listener) if listener.container.get() == container => {}
        Some(listener) => listener.container.set(container),
        None => {
            tcp.put_listen_address(address);
            add_listener(address, container, *owner);
        }
    }
}
