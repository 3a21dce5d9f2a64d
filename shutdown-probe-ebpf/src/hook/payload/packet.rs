//! Bytes that TCP is about to copy from a packet to the application.

use super::walk::{Place, Source};
use super::{Stretch, is_followed, pass};
use crate::connection::remember;
use crate::container::of_current;
use crate::kernel::{Address, Packet, Sock, Tcp};
use crate::maps::Socket;
use shutdown_probe_common::connection::role;
use shutdown_probe_common::framing::Window;

/// `skb_copy_datagram_iovec`: called for every kind of socket.
#[inline(always)]
pub fn copying(packet: Packet, bytes: u32) {
    let Some((tcp, storage)) = reader(packet) else { return };
    // Behind what was taken lies what is only looked at (MSG_PEEK): all of the packet then.
    let at = tcp.copied_seq().wrapping_sub(packet.sequence());
    let offset = if at < packet.length() { at } else { 0 };
    let first = packet.sequence().wrapping_add(offset);
    let place = Place { at: offset.into(), length: bytes.into(), next: 0 };
    pass::<_, false>(storage, Stretch { first, bytes, place }, packet);
}

/// The connection that it is read from, where that is to be followed.
#[inline(always)]
pub fn reader(packet: Packet) -> Option<(Tcp, &'static Socket)> {
    let sk = packet.sock()?;
    let (tcp, storage) = match sk.storage() {
        Some(storage) if !is_followed(storage) => return None,
        Some(storage) => (sk.tcp()?, storage),
        None => first(sk)?,
    };
    let framing = storage.framing();
    if !framing.is_begun() {
        let bytes_before = tcp.bytes_received().wrapping_sub(u64::from(tcp.unread()));
        framing.begin(tcp.copied_seq(), tcp.write_seq(), bytes_before != 0);
    }
    Some((tcp, storage))
}

/// Remembers a connection of a container at its first read.
#[inline(always)]
fn first(sk: Sock) -> Option<(Tcp, &'static Socket)> {
    // Most often the answer is no: the node reads from many sockets that are in no container.
    let container = of_current()?;
    let tcp = sk.tcp()?;
    // Active opens are remembered from their first moment: this one is passive.
    Some((tcp, remember(tcp, container, role::SERVER)?))
}

impl Source for Packet {
    /// All that is copied lies in the packet.
    #[inline(always)]
    fn enter_next(&self, _: &mut Place) {}

    #[inline(always)]
    fn copy(&self, from: Address, window: &mut Window, length: u32) -> bool {
        self.read(from as u32, window.bytes_mut(), length)
    }
}
