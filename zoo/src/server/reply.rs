//! Answers that the request writes out itself: what is sent, in which pieces, what is said and what
//! is waited for. A case builds one, its client asks for its path, the server plays it.

use super::connection::{Connection, Next, Request, pause, wait_for_gate};
use super::say;
use std::fmt::Write as _;
use std::io::Write as _;

/// Where such answers are found.
pub(super) const PATH: &str = "/script";
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// What the server is to do about a request, in order.
#[derive(Clone, Debug)]
pub struct Reply(String);

impl Reply {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(format!("{PATH}?"))
    }

    /// An ordinary answer, in one write.
    pub fn ok() -> Self {
        Self::new().write(ANSWER).say("answered")
    }

    /// These bytes and then nothing, for longer than a case lasts; the log says `parted`.
    pub fn cut(text: &str) -> Self {
        Self::new().write(text).say("parted").never()
    }

    /// Writes this, at once.
    pub fn write(self, text: &str) -> Self {
        self.with("write", &hex(text))
    }

    /// Writes this byte by byte, each in a packet of its own.
    pub fn bytewise(self, text: &str) -> Self {
        self.with("bytewise", &hex(text))
    }

    /// Writes so many times an `x`.
    pub fn fill(self, bytes: usize) -> Self {
        self.with("fill", &bytes.to_string())
    }

    /// Writes the ordinary answer.
    pub fn then_ok(self) -> Self {
        self.write(ANSWER).say("answered")
    }

    /// Reads the request's body; the log says `taken`.
    pub fn take_body(self) -> Self {
        self.with("body", "").say("taken")
    }

    /// The log says this, and the client's port.
    pub fn say(self, word: &str) -> Self {
        self.with("say", word)
    }

    /// Works until this gate is opened.
    pub fn gate(self, name: &str) -> Self {
        self.with("gate", name)
    }

    /// Works for longer than a case lasts.
    pub fn never(self) -> Self {
        self.with("ms", "600000")
    }

    /// What to ask for.
    pub fn path(&self) -> &str {
        self.0.trim_end_matches(['&', '?'])
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        let _infallible = write!(self.0, "{key}={value}&");
        self
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// Does what the request says.
pub(super) fn play(connection: &mut Connection, request: &Request) -> std::io::Result<Next> {
    connection.stream.set_nodelay(true)?;
    for (key, value) in &request.query {
        let number = || value.parse().unwrap_or(0);
        match key.as_str() {
            "write" => connection.stream.write_all(&unhex(value))?,
            "bytewise" => unhex(value).chunks(1).try_for_each(|byte| connection.stream.write_all(byte))?,
            "fill" => connection.stream.write_all(&vec![b'x'; number()])?,
            "body" => connection.read_body(request)?,
            "say" => say(&format!("{value} {}", request.peer)),
            "gate" => wait_for_gate(value),
            "ms" => pause(number() as u64),
            _ => return Err(std::io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(Next::Request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_the_path() {
        assert_eq!(unhex(&hex("a\r\n: &=?")), b"a\r\n: &=?");
        assert_eq!(Reply::new().write("a").say("done").path(), "/script?write=61&say=done");
    }
}
