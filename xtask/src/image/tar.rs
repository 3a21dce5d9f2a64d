//! Writes file system layers and archives: ustar of pax(1), POSIX.1-2001.
//!
//! Invariant: the same content gives the same bytes. Nothing has an owner but root, nothing has a time, and entries
//! stand in the order of their names.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

const BLOCK: usize = 512;
const NAME: usize = 100;
const PREFIX: usize = 155;

/// One entry.
#[derive(Clone, Debug)]
enum Entry {
    Directory { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: String },
}

/// A tree of files, written at the end.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds a directory and those above it. `mode`: of itself.
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.parents(path)?;
        self.entries.insert(format!("{}/", name(path)?), Entry::Directory { mode });
        Ok(())
    }

    /// Adds a file that can be run.
    pub fn program(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        self.put(path, Entry::File { mode: 0o755, content: content.to_vec() })
    }

    /// Adds a file to read.
    pub fn file(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        self.put(path, Entry::File { mode: 0o644, content: content.to_vec() })
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &Path, target: &str) -> Result<()> {
        ensure!(target.len() <= NAME, "{target} is too long for a link");
        self.put(path, Entry::Link { target: target.to_owned() })
    }

    fn put(&mut self, path: &Path, entry: Entry) -> Result<()> {
        self.parents(path)?;
        self.entries.insert(name(path)?, entry);
        Ok(())
    }

    fn parents(&mut self, path: &Path) -> Result<()> {
        for parent in path.ancestors().skip(1) {
            let name = name(parent)?;
            if !name.is_empty() {
                self.entries.entry(format!("{name}/")).or_insert(Entry::Directory { mode: 0o755 });
            }
        }
        Ok(())
    }

    /// The whole of it.
    pub fn finish(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (name, entry) in &self.entries {
            let (kind, mode, target, content) = match entry {
                Entry::Directory { mode } => (b'5', *mode, "", &[][..]),
                Entry::File { mode, content } => (b'0', *mode, "", content.as_slice()),
                Entry::Link { target } => (b'2', 0o777, target.as_str(), &[][..]),
            };
            bytes.extend(header(name, kind, mode, target, content.len())?);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        Ok(bytes)
    }
}

/// As it stands in the archive: without the leading slash.
fn name(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.trim_start_matches('/').to_owned())
}

fn header(name: &str, kind: u8, mode: u32, target: &str, length: usize) -> Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let (prefix, base) = split(name).with_context(|| format!("{name} is too long for an archive"))?;
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, base.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{length:011o}").as_bytes());
    put(136, b"00000000000");
    // While the sum is taken, its place holds spaces.
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// A long name is cut at a slash.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME {
        return Some(("", name));
    }
    let cuts = name.char_indices().filter(|(_, letter)| *letter == '/').map(|(at, _)| at);
    cuts.map(|at| (&name[..at], &name[at + 1..]))
        .find(|(prefix, base)| prefix.len() <= PREFIX && (1..=NAME).contains(&base.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// What tar(1) says of it.
    fn listed(archive: &Archive) -> String {
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner", "--utc", "--file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&archive.finish().unwrap()).unwrap();
        let output = tar.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn tar_reads_it() {
        let long = format!("/{}/{}", "d".repeat(90), "f".repeat(60));
        let mut archive = Archive::default();
        archive.program(Path::new("/bin/x"), b"content").unwrap();
        archive.link(Path::new("/bin/y"), "x").unwrap();
        archive.directory(Path::new("/tmp"), 0o1777).unwrap();
        archive.file(Path::new(&long), b"").unwrap();
        let text = listed(&archive);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let row = |at: usize| (lines[at][0], lines[at][1], lines[at][2], lines[at][5]);
        assert_eq!(row(0), ("drwxr-xr-x", "0/0", "0", "bin/"));
        assert_eq!(row(1), ("-rwxr-xr-x", "0/0", "7", "bin/x"));
        assert_eq!((lines[2][0], &lines[2][5..]), ("lrwxrwxrwx", &["bin/y", "->", "x"][..]));
        assert_eq!(row(4), ("-rw-r--r--", "0/0", "0", &long[1..]));
        assert_eq!(row(5), ("drwxrwxrwt", "0/0", "0", "tmp/"));
        assert!(lines.iter().all(|line| line[3] == "1970-01-01"), "nothing has a time: {text}");
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let (mut one, mut other) = (Archive::default(), Archive::default());
        for path in ["/a/b", "/c"] {
            one.file(Path::new(path), b"").unwrap();
        }
        for path in ["/c", "/a/b"] {
            other.file(Path::new(path), b"").unwrap();
        }
        assert_eq!(one.finish().unwrap(), other.finish().unwrap());
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        let mut archive = Archive::default();
        archive.file(Path::new(&"x".repeat(101)), b"").unwrap();
        assert!(archive.finish().is_err());
    }
}
