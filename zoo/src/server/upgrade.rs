//! A connection upgraded from HTTP: an echo of WebSocket frames, whose contents nobody looks at.

use super::connection::{Connection, Next, Request};
use super::say;
use std::io::{Read, Write};

/// Answers 101, then sends each frame back; one that begins with a ping's opcode is left unanswered,
/// as a pong would be.
pub(super) fn serve(connection: &mut Connection, request: &Request) -> std::io::Result<Next> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    connection.stream.write_all(head.as_bytes())?;
    say(&format!("answered {}", request.peer));
    let mut frame = [0; 1024];
    loop {
        let count = connection.stream.read(&mut frame)?;
        say(&format!("frame {}", request.peer));
        match frame.first() {
            _ if count == 0 => return Ok(Next::Close),
            // RFC 6455, 5.5.3: a pong wants no answer.
            Some(0x8a) => {}
            _ => connection.stream.write_all(&frame[..count])?,
        }
    }
}
