//! Which protocol the client's first bytes are, and the PROXY protocol's header before them.
//!
//! HTTP is decided by its first line, see [`super::http1`]. The PROXY protocol is HAProxy's
//! (proxy-protocol.txt, sections 2.1 and 2.2): a line, or a binary header that begins like empty lines.

use super::half::state::{OWN, SKIP, START};
use super::state::{Framing, inner};
use super::{framing_flag, tls};

/// In the binary header, of which [`super::half::Half::count`] bytes matched. Beyond HTTP/1's own states.
pub(super) const PROXY: u8 = OWN + 32;

/// What a connection of TLS begins with, and what its records begin with.
const HANDSHAKE: u8 = 22;
const RECORDS: core::ops::RangeInclusive<u8> = 20..=23;

/// "\r\n\r\n\0\r\nQUIT\n", the first eight and the last four.
const SIGNATURE: u64 = u64::from_le_bytes(*b"\r\n\r\n\0\r\nQ");
const SIGNATURE_END: u64 = u64::from_le_bytes(*b"UIT\n\0\0\0\0");

/// Looks at one byte of the client's while the protocol is not known. 0: it is for the protocol to look at.
#[inline(always)]
pub(super) fn step(framing: &mut Framing, byte: u8) -> u32 {
    let late = framing.flags & framing_flag::LIKELY != 0;
    let fresh = framing.flags & inner::PROXIED == 0;
    let half = &mut framing.inbound;
    if half.state == START && byte == b'\r' && fresh {
        half.enter(PROXY);
        half.count = 1;
        return 1;
    }
    if half.state == START && (byte == HANDSHAKE || late && RECORDS.contains(&byte)) {
        begin_tls(framing);
        return 0;
    }
    if half.state != PROXY {
        return 0;
    }
    let count = half.count;
    if count < 12 {
        return signature(framing, byte);
    }
    half.count = count + 1;
    if count == 12 && byte >> 4 != 2 {
        framing.lose();
    } else if count == 14 {
        half.left = u64::from(byte) << 8;
    } else if count == 15 {
        half.left |= u64::from(byte);
        half.enter(if half.left == 0 { START } else { SKIP });
        framing.flags |= inner::PROXIED;
    }
    1
}

/// The header is TLS's to look at. A server that has answered something else speaks something else.
#[inline(always)]
fn begin_tls(framing: &mut Framing) {
    if framing.outbound.state == START {
        tls::begin(framing);
    } else {
        framing.lose();
    }
}

#[inline(always)]
fn signature(framing: &mut Framing, byte: u8) -> u32 {
    let half = &mut framing.inbound;
    let word = if half.count < 8 { SIGNATURE } else { SIGNATURE_END };
    if byte == (word >> ((half.count & 7) * 8)) as u8 {
        half.count += 1;
        return 1;
    }
    if half.count == 2 || half.count == 4 {
        // They were empty lines.
        half.enter(START);
        return 0;
    }
    framing.lose();
    1
}
