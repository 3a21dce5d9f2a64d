//! What was there before the probe. The iterators see every network namespace, and the owner of
//! each socket; they run to the end before the first record is read.

use crate::connection::{remember, state};
use crate::container::{Known, of_task};
use crate::desk::Desk;
use crate::kernel::{Sock, Task, Tcp};
use crate::listener::{add_listener, listener};
use crate::maps::Socket;
use crate::offsets::SOCKET_SK;
use aya_ebpf::helpers::generated::bpf_sock_from_file;
use core::ffi::c_void;
use shutdown_probe_common::connection::{flag, role};

/// `struct bpf_iter__task`.
#[repr(C)]
struct TaskContext {
    meta: *const c_void,
    task: *const c_void,
}

/// `struct bpf_iter__task_file`.
#[repr(C)]
struct FileContext {
    meta: *const c_void,
    task: *const c_void,
    descriptor: u64,
    file: *const c_void,
}

/// Finds the main process of each container: the oldest that came from outside.
#[inline(always)]
pub fn process(context: *const c_void) {
    // SAFETY: the kernel calls this iterator with this context.
    let task = unsafe { (*context.cast::<TaskContext>()).task };
    if task.is_null() {
        return;
    }
    let task = Task::new(task as u64);
    if !task.is_leader() {
        return;
    }
    let Some(container) = of_task(task).and_then(Known::get) else { return };
    if of_task(task.parent()) == Some(container.id) {
        return;
    }
    let process = task.process();
    let main = container.main();
    if main.tgid == 0 || process.start < main.start {
        container.set_main(process);
    }
}

struct Found {
    task: Task,
    container: u64,
    tcp: Tcp,
}

/// The TCP socket of a process of a container, where the file is one.
#[inline(always)]
fn socket(context: *const c_void) -> Option<Found> {
    // SAFETY: the kernel calls this iterator with this context.
    let (task, file) = unsafe {
        let context = context.cast::<FileContext>();
        ((*context).task, (*context).file)
    };
    if task.is_null() || file.is_null() {
        return None;
    }
    let task = Task::new(task as u64);
    let container = of_task(task)?;
    // SAFETY: the pointer is to a file, as the helper demands.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return None;
    }
    // SAFETY: the pointer is to a socket, the offset is of its `sk`.
    let sk: *const c_void = unsafe {
        socket.cast::<c_void>().byte_add(SOCKET_SK.load() as usize).cast::<*const c_void>().read_volatile()
    };
    if sk.is_null() {
        return None;
    }
    Some(Found { task, container, tcp: Sock::new(sk).tcp()? })
}

/// Remembers the listeners, each once: several processes may hold it.
#[inline(always)]
pub fn listener_of(context: *const c_void) {
    let Some(found) = socket(context) else { return };
    if found.tcp.sock().state() != state::LISTEN || found.tcp.storage().is_some() {
        return;
    }
    let Some(storage) = found.tcp.storage_or_new() else { return };
    storage.container.set(found.container);
    storage.set(flag::PREEXISTING);
    let Some(papers) = Desk::ExistingListeners.take() else { return };
    found.tcp.put_listen_address(&mut papers.address);
    add_listener(&papers.address, found.container, found.task.process());
}

/// Remembers the connections. Runs after [`listener_of`], to know a server's from a client's.
#[inline(always)]
pub fn connection(context: *const c_void) {
    let Some(found) = socket(context) else { return };
    let is_open = matches!(found.tcp.sock().state(), state::ESTABLISHED | state::CLOSE_WAIT);
    if !is_open || found.tcp.storage().is_some() {
        return;
    }
    let Some(papers) = Desk::ExistingConnections.take() else { return };
    found.tcp.put_listen_address(&mut papers.address);
    let is_server = listener(&mut papers.address).is_some();
    let role = if is_server { role::SERVER } else { role::CLIENT };
    let Some(storage) = remember(found.tcp, found.container, role) else { return };
    storage.owner.set(found.task.process());
    storage.set(flag::PREEXISTING);
    take_up(found.tcp, storage);
}

/// When data last went each way tells who spoke last; at the same tick, nobody knows. A server that was
/// spoken to, and never spoke, owes an answer in any case.
#[inline(always)]
fn take_up(tcp: Tcp, storage: &Socket) {
    let since = tcp.last_received().wrapping_sub(tcp.last_sent()) as i32;
    // How much was written since that read is not known: one byte stands for some.
    let written = u32::from(since < 0);
    storage.write_seq.set(tcp.write_seq().wrapping_sub(written));
    let never_answered = tcp.bytes_sent() == 0 && tcp.bytes_received() > tcp.unread().into();
    if since < 0 || (since > 0 && tcp.unread() == 0) || never_answered {
        storage.set(flag::READ);
    }
}
