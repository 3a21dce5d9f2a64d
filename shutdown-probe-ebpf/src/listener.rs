//! Who listens where. A refused connection finds its container by this.

use crate::emit::count;
use crate::kernel::opaque;
use crate::maps::{LISTENERS, Listener};
use core::cell::Cell;
use shutdown_probe_common::connection::{ListenAddress, Process};
use shutdown_probe_common::loss::Loss;

/// `0.0.0.0`, IPv4-mapped.
const V4_ANY: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0];

/// Who listens at this address, by itself or by a wildcard. The address is changed on the way.
#[inline(never)]
pub fn listener(address: &mut ListenAddress) -> Option<&'static Listener> {
    if let Some(exact) = listening_at(address) {
        return Some(exact);
    }
    if address.address[..12] == V4_ANY[..12] {
        clear(address, 3);
        if let Some(any) = listening_at(address) {
            return Some(any);
        }
    }
    clear(address, 0);
    listening_at(address)
}

/// Who listens at exactly this address.
#[inline(always)]
pub fn listening_at(address: &ListenAddress) -> Option<&'static Listener> {
    // SAFETY: the map's value lives at least until the program ends; its words are cells.
    LISTENERS.get_ptr(address).map(|value| unsafe { &*value })
}

/// Zeroes the words of the address from this one on. The target has no `memset`, and volatile
/// stores are not merged into one.
#[inline(always)]
fn clear(key: &mut ListenAddress, from: usize) {
    let words = (&raw mut key.address).cast::<u32>();
    for word in from..4 {
        // SAFETY: the address has four words, aligned as the structure is.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Counts one more listener at this address.
#[inline(always)]
pub fn add_listener(address: &ListenAddress, container: u64, owner: Process) {
    if let Some(listener) = listening_at(address) {
        listener.container.set(container);
        listener.creator.set(container);
        listener.owner.set(owner);
        listener.closed_at.set(0);
        listener.sockets.set(listener.sockets.get() + 1);
        listener.pending.set(0);
        return;
    }
    insert(address, container, owner, 1);
}

/// Makes an address known where nobody listens any more.
#[inline(always)]
pub fn add_closed_listener(
    address: &ListenAddress,
    container: u64,
    owner: Process,
) -> Option<&'static Listener> {
    insert(address, container, owner, 0);
    listening_at(address)
}

/// Ports at which some container listens, or did. Most sockets end at another, and need not be looked for.
static PORTS: Ports = Ports([const { Cell::new(0) }; 1 << 16]);

struct Ports([Cell<u8>; 1 << 16]);

// SAFETY: each CPU reads and writes whole bytes, and nobody takes one back.
unsafe impl Sync for Ports {}

/// Whether some container may listen at this port.
#[inline(always)]
pub fn is_listening_port(port: u16) -> bool {
    byte_of(port).get() != 0
}

/// The verifier of 6.1 does not know that a port whose bytes were swapped is below 65,536. The compiler does, and would
/// leave the mask out.
#[inline(always)]
fn byte_of(port: u16) -> &'static Cell<u8> {
    &PORTS.0[opaque(port.into()) as usize & 0xffff]
}

#[inline(always)]
fn insert(address: &ListenAddress, container: u64, owner: Process, sockets: u64) {
    byte_of(address.port).set(1);
    let listener = Listener {
        container: Cell::new(container),
        creator: Cell::new(container),
        closed_at: Cell::new(0),
        owner: Cell::new(owner),
        sockets: Cell::new(sockets),
        pending: Cell::new(0),
    };
    if LISTENERS.insert(address, &listener, 0).is_err() {
        count(Loss::Listeners);
    }
}
