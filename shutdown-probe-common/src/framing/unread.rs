//! Bytes of the client's that lay unread at the end, or crossed our FIN: are they a request? Of some only the
//! number is known, of others the beginning.

use super::half::state::SKIP;
use super::{Framed, Framing, framing_flag, http1, http2, protocol, tls};

/// A rest whose length nobody knows, such as that of a body in chunks.
pub const NO_END: u32 = u32::MAX;

impl Framing {
    /// How many of the client's next bytes belong to what it has begun and what asks for nothing more: a body whose
    /// request was answered, a frame that opens no stream, a record.
    #[inline(always)]
    pub fn rest(&self) -> u32 {
        let half = &self.inbound;
        let is_rest = match self.protocol {
            protocol::HTTP1 if http1::has_no_end(half) => return NO_END,
            protocol::HTTP2 => !http2::opens(half),
            protocol::TLS => !tls::asks(half),
            _ => true,
        };
        if !is_rest || half.state != SKIP || !self.is_followed() {
            return 0;
        }
        if half.left < u64::from(NO_END) { half.left as u32 } else { NO_END }
    }

    /// Whether so many bytes of the client's that nobody read may be a request.
    #[inline(always)]
    pub fn may_be_request(&self, length: u32) -> bool {
        let rest = self.rest();
        length > rest && may_be_request(self.protocol, self.flags, length - rest)
    }

    /// Says of so many bytes that nobody read whether they ask for something.
    #[inline(always)]
    pub fn unread(&self, length: u32, framed: &mut Framed) {
        if length != 0 && !self.may_be_request(length) {
            framed.flags |= framing_flag::NOT_ASKED;
        }
    }
}

/// Whether so many bytes, unread, may be a request or a part of one. `flags`: bits of [`framing_flag`].
///
/// Where the number cannot decide, the rule that errs least:
/// - HTTP/1: an empty line is none.
/// - Upgraded: up to 131 bytes are a pong or a close of WebSocket (RFC 6455, section 5.5: at most 125 of
///   payload, 6 of header). More is data, which is lost like a request.
/// - HTTP/2: one or two of the frames that clients send by themselves at the end are none: an
///   acknowledged SETTINGS (9 bytes), a WINDOW_UPDATE or RST_STREAM (13), an acknowledged PING or a GOAWAY (17).
///   Three are rare; their sums would begin to hide small requests, which are 13 bytes or more.
/// - TLS: one record that can only hold such a frame is none, nor is an alert of 24 to 31 bytes, nor
///   a GOAWAY with the alert that follows it. Without HTTP/2 only alerts are none, of 24 bytes or 31.
#[inline(always)]
pub const fn may_be_request(protocol: u8, flags: u8, length: u32) -> bool {
    if flags & framing_flag::UPGRADED != 0 {
        return length > 131;
    }
    match protocol {
        protocol::HTTP1 => length != 0 && length != 2,
        protocol::HTTP2 => !matches!(length, 0 | 9 | 13 | 17 | 18 | 22 | 26 | 30 | 34),
        protocol::TLS if flags & framing_flag::SMALL != 0 => length > ALERT && length != 31,
        protocol::TLS => length > RECORD && length != 63 && length != 77,
        _ => length != 0,
    }
}

/// A record of TLS that holds no more than a control frame.
const RECORD: u32 = tls::HEADER + tls::CONTROL;
/// One that holds no more than an alert.
const ALERT: u32 = tls::HEADER + tls::ALERT;

/// How long the frame or record is that begins with these bytes, the first lowest, and is neither a request nor a
/// part of one. 0: it is one, or may be. It begins where the one before ended.
#[inline(always)]
pub const fn control_length(protocol: u8, flags: u8, head: u64) -> u32 {
    let kind = (head >> 24) as u8;
    let first = head as u8;
    if flags & framing_flag::UPGRADED != 0 {
        // WebSocket, of a client: close, ping and pong have bit 3 of the opcode, four bytes of mask, a short length.
        return if first & 8 != 0 { 6 + ((head >> 8) as u32 & 0x7F) } else { 0 };
    }
    match protocol {
        protocol::HTTP1 if head as u16 == EMPTY_LINE => 2,
        protocol::HTTP2 if kind != HEADERS => 9 + ((head as u32).swap_bytes() >> 8),
        protocol::TLS => {
            let length = ((head >> 24) as u16).swap_bytes() as u32;
            let most = if flags & framing_flag::SMALL != 0 { tls::ALERT } else { tls::CONTROL };
            if first != tls::APPLICATION || length <= most { tls::HEADER + length } else { 0 }
        }
        _ => 0,
    }
}

const EMPTY_LINE: u16 = u16::from_le_bytes(*b"\r\n");

/// The type of the frame that opens a stream of HTTP/2 (RFC 9113, section 6.2).
const HEADERS: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> u64 {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(eight)
    }

    #[test]
    fn a_frame_of_http2_is_a_request_if_it_opens_a_stream() {
        let length = |bytes| control_length(protocol::HTTP2, 0, head(bytes));
        assert_eq!(length(&[0, 0, 30, 7, 0, 0, 0, 0]), 39, "GOAWAY with a reason");
        assert_eq!(length(&[0, 0, 8, 6, 1, 0, 0, 0]), 17, "PING");
        assert_eq!(length(&[0, 0, 4, 1, 5, 0, 0, 0]), 0, "HEADERS");
    }

    #[test]
    fn a_record_of_tls_is_a_request_if_it_is_large() {
        let length = |bytes| control_length(protocol::TLS, 0, head(bytes));
        assert_eq!(length(&[21, 3, 3, 0, 26]), 31, "an alert");
        assert_eq!(length(&[23, 3, 3, 0, 19]), 24, "a sealed alert");
        assert_eq!(length(&[23, 3, 3, 1, 0]), 0, "256 bytes");
    }

    #[test]
    fn a_frame_of_websocket_is_lost_if_it_carries_data() {
        let length = |bytes| control_length(protocol::HTTP1, framing_flag::UPGRADED, head(bytes));
        assert_eq!(length(&[0x88, 0x82, 1, 2, 3, 4]), 8, "a close with its code");
        assert_eq!(length(&[0x81, 0x85, 1, 2, 3, 4]), 0, "a text");
    }

    #[test]
    fn of_the_rest_anything_may_be_a_request() {
        assert_eq!(control_length(protocol::HTTP1, 0, head(b"GET / HT")), 0);
        assert_eq!(control_length(protocol::UNKNOWN, 0, head(b"PING")), 0);
    }
}
