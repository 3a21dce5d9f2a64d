//! Reads a recording, whatever state it is in.
//!
//! Invariants: a line that cannot be used is named and skipped, never guessed at; no line, however long, is held
//! in memory beyond [`LINE_MOST`].

use super::{FORMAT, Header};
use crate::exit::{Exit, Failure, OrExit};
use serde::Deserialize;
use shutdown_probe_core::Input;
use std::fmt;
use std::io::{self, BufRead, Read};

/// The longest line that is read, in bytes. The longest input, a container with the longest path, has 5 KiB.
const LINE_MOST: usize = 64 << 10;

/// The lines of a recording behind its first.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    number: u64,
    header: Header,
}

/// A line that tells nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    /// Its number in the file, from 1.
    pub line: u64,
    /// Why.
    pub problem: Problem,
}

/// Why a line tells nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The file ends in the middle of it.
    CutOff,
    /// It is longer than any input.
    TooLong,
    /// It is no JSON object.
    NotJson(String),
    /// It is an input that this version does not know.
    UnknownInput(String),
    /// It is an input that does not have the fields it must.
    Malformed(String),
}

impl Problem {
    /// What it is called when it is counted.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CutOff => "cut off",
            Self::TooLong => "too long",
            Self::NotJson(_) => "not JSON",
            Self::UnknownInput(_) => "of unknown kind",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::CutOff => write!(f, "cut off: the recording ends in the middle of it"),
            Problem::TooLong => write!(f, "longer than {LINE_MOST} bytes"),
            Problem::NotJson(why) => write!(f, "not JSON: {why}"),
            Problem::UnknownInput(kind) => write!(f, "this version knows no input {kind:?}"),
            Problem::Malformed(why) => write!(f, "malformed: {why}"),
        }
    }
}

/// One line as it lies in the file.
enum Line {
    Whole(Vec<u8>),
    /// Without the newline at its end.
    Last(Vec<u8>),
    TooLong,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`Exit::Data`] where it is no recording, or one of a newer format.
    pub fn open(source: R) -> Result<Self, Failure> {
        let placeholder = Header {
            shutdown_probe_recording: FORMAT,
            version: String::new(),
            kernel: String::new(),
            linger_seconds: None,
            grace_seconds: None,
            pods: false,
            cluster_networks: None,
        };
        let mut reader = Self { source, number: 0, header: placeholder };
        let no_recording =
            |why: &str| Failure::new(Exit::Data, format!("line 1: this is no recording: {why}"));
        let first = match reader.line().or_exit(Exit::Data, || "cannot read the recording")? {
            None => return Err(no_recording("the file is empty")),
            Some(Line::TooLong) => return Err(no_recording("the line is too long")),
            Some(Line::Whole(line) | Line::Last(line)) => line,
        };
        let header: Header =
            serde_json::from_slice(&first).map_err(|error| no_recording(&error.to_string()))?;
        match header.shutdown_probe_recording {
            1..=FORMAT => {
                reader.header = header;
                Ok(reader)
            }
            newer => Err(Failure::new(
                Exit::Data,
                format!(
                    "line 1: the recording has format {newer}, written by version {:?}; this version reads \
                     formats 1 to {FORMAT}",
                    header.version
                ),
            )),
        }
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The number of the line that was read last.
    pub fn line_number(&self) -> u64 {
        self.number
    }

    /// The next line that is not empty: an input, or why it is none.
    ///
    /// # Errors
    /// As for reading the file.
    pub fn next_input(&mut self) -> io::Result<Option<Result<Input, Skipped>>> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            let (bytes, is_last) = match line {
                Line::Whole(bytes) => (bytes, false),
                Line::Last(bytes) => (bytes, true),
                Line::TooLong => return Ok(Some(Err(self.skipped(Problem::TooLong)))),
            };
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let input = serde_json::from_slice(&bytes)
                .map_err(|error| self.skipped(problem(&bytes, &error, is_last)));
            return Ok(Some(input));
        }
    }

    fn skipped(&self, problem: Problem) -> Skipped {
        Skipped { line: self.number, problem }
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        // One more than the longest line, for its newline.
        let length = (&mut self.source).take(LINE_MOST as u64 + 1).read_until(b'\n', &mut bytes)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some(Line::Whole(bytes)));
        }
        if length <= LINE_MOST {
            return Ok(Some(Line::Last(bytes)));
        }
        self.source.skip_until(b'\n')?;
        Ok(Some(Line::TooLong))
    }
}

/// The field by which inputs differ.
#[derive(Deserialize)]
struct Tag {
    input: String,
}

fn problem(bytes: &[u8], error: &serde_json::Error, is_last: bool) -> Problem {
    // Serde says this of a tag's value alone: the inputs' other closed sets are told by `Malformed`.
    let unknown = |tag: &Tag| error.to_string().starts_with(&format!("unknown variant `{}`", tag.input));
    match serde_json::from_slice::<Tag>(bytes) {
        Ok(tag) if unknown(&tag) => Problem::UnknownInput(tag.input),
        Ok(_) => Problem::Malformed(error.to_string()),
        Err(_) if is_last => Problem::CutOff,
        Err(error) if error.is_data() => Problem::Malformed(error.to_string()),
        Err(error) => Problem::NotJson(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"shutdown_probe_recording\":1}\n";
    const CLOCK: &str = "{\"input\":\"clock\",\"boot_to_unix_ns\":1}\n";

    fn read(text: &[u8]) -> Vec<Result<Input, Skipped>> {
        let mut reader = Reader::open(text).expect("a header");
        std::iter::from_fn(|| reader.next_input().expect("readable")).collect()
    }

    fn refused(text: &[u8]) -> String {
        let failure = Reader::open(text).expect_err("no recording");
        assert_eq!(failure.exit, Exit::Data);
        failure.to_string()
    }

    #[test]
    fn a_header_must_be_known() {
        assert!(refused(b"").contains("the file is empty"));
        assert!(refused(CLOCK.as_bytes()).contains("missing field `shutdown_probe_recording`"));
        assert!(refused(b"\x7fELF\x02\x01\n").contains("this is no recording"));
        let newer = refused(b"{\"shutdown_probe_recording\":2,\"version\":\"9.0\"}\n");
        assert!(newer.contains("format 2") && newer.contains("\"9.0\"") && newer.contains("formats 1 to 1"));
        assert!(refused(b"{\"shutdown_probe_recording\":0}\n").contains("format 0"));
        assert!(refused(&b"x".repeat(LINE_MOST * 2)).contains("too long"));
    }

    #[test]
    fn what_a_later_version_adds_to_the_header_does_no_harm() {
        let text = b"{\"shutdown_probe_recording\":1,\"linger_seconds\":3.5,\"colour\":\"red\"}\n";
        let reader = Reader::open(text.as_slice()).expect("a header");
        assert_eq!(reader.header().settings().linger, std::time::Duration::from_millis(3500));
        let absurd =
            Header { linger_seconds: Some(-1.0), grace_seconds: Some(f64::NAN), ..reader.header().clone() };
        assert_eq!(absurd.settings(), shutdown_probe_core::Settings::default());
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_is_read() {
        let oversized = format!("{{\"input\":\"clock\",\"x\":\"{}\"}}\n", "x".repeat(LINE_MOST));
        let text = [
            HEAD,
            "not json\n",
            CLOCK,
            "\n",
            &oversized,
            "{\"input\":\"telepathy\",\"at\":3}\n",
            "{\"input\":\"container_removed\",\"at\":3}\n",
            "[1,2]\n",
            CLOCK,
        ]
        .concat();
        let lines = read(text.as_bytes());
        let told: Vec<String> = lines
            .iter()
            .map(|line| line.as_ref().map_or_else(Skipped::to_string, |_| "input".to_owned()))
            .collect();
        assert!(told[0].starts_with("line 2: not JSON: expected"), "{}", told[0]);
        assert_eq!(told[1], "input");
        assert_eq!(told[2], "line 5: longer than 65536 bytes");
        assert_eq!(told[3], "line 6: this version knows no input \"telepathy\"");
        assert!(told[4].starts_with("line 7: malformed: missing field `container`"), "{}", told[4]);
        assert!(told[5].starts_with("line 8: malformed: "), "{}", told[5]);
        assert_eq!(told[6], "input");
        assert_eq!(told.len(), 7);
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_up_to_there() {
        let text = [HEAD, CLOCK, &CLOCK[..20]].concat();
        let lines = read(text.as_bytes());
        assert_eq!(lines.len(), 2);
        let skipped = lines[1].as_ref().expect_err("cut off");
        assert_eq!((skipped.line, &skipped.problem), (3, &Problem::CutOff));
        // A whole line that merely lacks its newline is a line.
        let text = [HEAD, CLOCK.trim_end()].concat();
        assert!(read(text.as_bytes())[0].is_ok());
    }

    #[test]
    fn any_bytes_are_answered() {
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed as u8
        })
        .take(300_000)
        .collect();
        let lines = read(&[HEAD.as_bytes(), &noise].concat());
        assert!(lines.len() > 100 && lines.iter().all(Result::is_err));
    }
}
