//! Bytes of the client's of which only the number is known: they lay unread at the end, or crossed our FIN.

use super::{framing_flag, protocol};

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
///   a GOAWAY with the alert that follows it.
#[inline(always)]
pub const fn may_be_request(protocol: u8, flags: u8, length: u32) -> bool {
    if flags & framing_flag::UPGRADED != 0 {
        return length > 131;
    }
    match protocol {
        protocol::HTTP1 => length != 0 && length != 2,
        protocol::HTTP2 => !matches!(length, 0 | 9 | 13 | 17 | 18 | 22 | 26 | 30 | 34),
        protocol::TLS => length > RECORD && length != 63 && length != 77,
        _ => length != 0,
    }
}

/// A record of TLS that holds no more than a control frame.
const RECORD: u32 = super::tls::HEADER + super::tls::CONTROL;
