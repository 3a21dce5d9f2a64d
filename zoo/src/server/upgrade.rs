//! A connection upgraded from HTTP: an echo of WebSocket frames, whose contents nobody looks at.

use super::connection::{Connection, Next, Request, write_own};
use super::say;
use std::io::{Read, Write};

/// An unmasked frame of text (RFC 6455, 5.2).
const PUSHED: &[u8] = b"\x81\x04news";

/// Answers 101, pushes as many frames as it is asked for, then sends each frame back; a pong or a
/// close is left unanswered.
pub(super) fn serve(connection: &mut Connection, request: &Request) -> std::io::Result<Next> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    write_own(&mut connection.stream, head.as_bytes())?;
    say(&format!("answered {}", request.peer));
    for _ in 0..request.number("push") {
        write_own(&mut connection.stream, PUSHED)?;
    }
    let mut frame = [0; 1024];
    loop {
        let count = connection.stream.read(&mut frame)?;
        say(&format!("frame {}", request.peer));
        match frame.first() {
            _ if count == 0 => return Ok(Next::Close),
            // RFC 6455, 5.5: a pong wants no answer; a close wants one that never comes.
            Some(0x8a | 0x88) => {}
            _ => connection.stream.write_all(&frame[..count])?,
        }
    }
}
