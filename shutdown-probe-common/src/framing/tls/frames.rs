//! What a sealed record of TLS 1.3 can hold where HTTP/2 is spoken, by the number of bytes in it (RFC 9113, section 6).
//!
//! A request is a HEADERS frame: 9 bytes, and one at least for each of its four pseudo-header fields. What is repeated is
//! one byte a field, so a request can be as short as a control frame. Where both are possible it is taken for the
//! control frame, but for what this page says of each.

use super::{LONG_ANSWER, Tls, WINDOW_UPDATE};

/// An alert, the smallest of what is no frame.
const ALERT: u32 = 2;
/// The header of a frame. Alone: SETTINGS that are acknowledged, or empty ones.
const EMPTY: u32 = 9;
/// PING, or GOAWAY without a reason.
pub(super) const PING: u32 = 17;
/// One setting of SETTINGS.
const SETTING: u32 = 6;
/// More settings than this are not taken for such.
const MOST_SETTINGS: u32 = 8;
/// The client's preface.
const PREFACE: u32 = 24;
/// SETTINGS acknowledged, with a WINDOW_UPDATE behind it: at the beginning.
const GREETING: u32 = EMPTY + WINDOW_UPDATE;
/// How gRPC measures the round trip: a PING of its own with one that is acknowledged, a WINDOW_UPDATE, or both.
const PROBES: [u32; 3] = [WINDOW_UPDATE + PING, PING + PING, WINDOW_UPDATE + PING + PING];
/// [`Tls::frames`]: the server has acknowledged the client's SETTINGS, or its own were empty.
const GREETED: u8 = 2;
/// Requests from here on can have a body for which the server sends WINDOW_UPDATEs.
const LONG_REQUEST: u16 = 4096;

/// What is not sure of the last request: [`Tls::doubt`].
pub(super) mod doubt {
    /// Nothing.
    pub const NONE: u8 = 0;
    /// A PING.
    pub const ASKED: u8 = 1;
    /// A PING, and the server has sent what may be the answer, or one of its own.
    pub const PINGED: u8 = 2;
    /// Answered, in so few bytes that they may be the server's SETTINGS: the client will say so.
    pub const SETTINGS: u8 = 3;
}

/// Whether the client's record may hold a request.
#[inline(always)]
pub(super) fn asks(own: &mut Tls, bytes: u32) -> bool {
    match bytes {
        EMPTY => {
            acknowledges(own);
            false
        }
        // Or up to four bytes of DATA, whose request has begun before.
        0..=WINDOW_UPDATE => false,
        PING => {
            // The server's was no answer to a PING.
            own.owed |= u8::from(own.doubt == doubt::PINGED);
            own.doubt = doubt::NONE;
            own.pings = 0;
            false
        }
        GREETING if own.acknowledged == 0 => {
            acknowledges(own);
            false
        }
        PREFACE => own.requests != 0,
        _ if own.pings != 0 && may_ping(bytes) => {
            own.pings = 0;
            false
        }
        _ => !is_updates(own, bytes),
    }
}

/// The client acknowledges SETTINGS: what the server had sent were such.
#[inline(always)]
fn acknowledges(own: &mut Tls) {
    own.acknowledged = 1;
    if own.doubt == doubt::SETTINGS {
        own.doubt = doubt::NONE;
    }
}

/// Whether the client's record may hold nothing but PINGs and a WINDOW_UPDATE.
#[inline(always)]
pub(super) fn may_ping(bytes: u32) -> bool {
    PROBES.contains(&bytes)
}

/// Whether it holds nothing but WINDOW_UPDATEs, after an answer that asks for them. The first may follow the acknowledgement
/// of SETTINGS.
#[inline(always)]
pub(super) fn is_updates(own: &Tls, bytes: u32) -> bool {
    let is_early = own.requests <= 2 && bytes % WINDOW_UPDATE == EMPTY;
    let fits = bytes <= 10 * WINDOW_UPDATE && (is_early || bytes.is_multiple_of(WINDOW_UPDATE));
    own.frames != 0 && own.answered >= LONG_ANSWER && fits
}

/// Whether the server's record holds some of an answer. A head can be as short as a WINDOW_UPDATE, which follows a body, or
/// as a RST_STREAM, which is no answer once a termination is under way (`in_window`).
#[inline(always)]
pub(super) fn answers(own: &mut Tls, bytes: u32, in_window: bool) -> bool {
    let is_early = own.requests <= 2;
    let is_word = match bytes {
        0..EMPTY => false,
        EMPTY => {
            own.frames = GREETED;
            false
        }
        PING => {
            pinged(own);
            false
        }
        GREETING if is_early && own.frames != GREETED => {
            own.frames = GREETED;
            false
        }
        WINDOW_UPDATE => own.frames == GREETED && own.requests > 1 && own.asking < LONG_REQUEST && !in_window,
        _ if is_early && own.frames == 0 && is_settings(bytes) => {
            own.doubt = if own.owed != 0 { doubt::SETTINGS } else { doubt::NONE };
            false
        }
        _ => true,
    };
    if !is_word && bytes > ALERT && own.frames == 0 {
        own.frames = 1;
    }
    is_word
}

/// The server pings, or answers what was taken for a request.
#[inline(always)]
fn pinged(own: &mut Tls) {
    if own.doubt == doubt::ASKED {
        own.doubt = doubt::PINGED;
        own.owed = 0;
    } else {
        own.pings = 1;
    }
}

/// SETTINGS, alone or with what servers write at once besides: a WINDOW_UPDATE, an acknowledgement, both.
#[inline(always)]
fn is_settings(bytes: u32) -> bool {
    let least = [EMPTY, EMPTY + EMPTY, EMPTY + WINDOW_UPDATE, EMPTY + EMPTY + WINDOW_UPDATE];
    let beyond = least.map(|least| bytes.wrapping_sub(least));
    beyond.iter().any(|beyond| *beyond <= SETTING * MOST_SETTINGS && beyond.is_multiple_of(SETTING))
}

/// How much of the client's first record opens HTTP/2: all but the acknowledgement of SETTINGS that came before.
#[inline(always)]
pub(super) fn opening(own: &Tls, bytes: u32) -> u16 {
    let rest = bytes.saturating_sub(EMPTY);
    (if own.frames != 0 && is_opening(rest) { rest } else { bytes }) as u16
}

/// Whether the client's first record opens HTTP/2 and asks for nothing: the preface, SETTINGS, perhaps a WINDOW_UPDATE. Node
/// sends its first request in the same record, so only what clients are known to announce is taken for an opening.
#[inline(always)]
pub(super) fn is_opening(bytes: u32) -> bool {
    // Where the preface went before it, in a record of its own.
    let bytes = if bytes < PREFACE + EMPTY { bytes + PREFACE } else { bytes };
    let alone = bytes.wrapping_sub(PREFACE + EMPTY);
    let followed = bytes.wrapping_sub(PREFACE + EMPTY + WINDOW_UPDATE);
    let settings = if followed.is_multiple_of(SETTING) { followed / SETTING } else { 0 };
    matches!(alone, 0 | 6 | 12 | 18 | 42) || (4..=MOST_SETTINGS).contains(&settings)
}
