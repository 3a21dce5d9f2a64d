//! Writes the archive that the kernel unpacks into its first file system: `newc` of
//! Documentation/driver-api/early-userspace/buffer-format.rst.
//!
//! Invariant: a directory stands before what is in it, and each path is written once.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const MAGIC: &str = "070701";
const END: &str = "TRAILER!!!";
const ALIGNMENT: usize = 4;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive being written.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    paths: BTreeSet<Vec<u8>>,
}

impl Archive {
    /// Adds a directory and those above it.
    pub fn directory(&mut self, path: &Path) -> Result<()> {
        for parent in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let name = name(parent)?;
            if !name.is_empty() && self.paths.insert(name.to_vec()) {
                self.entry(name, DIRECTORY, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file that can be run.
    pub fn program(&mut self, path: &Path, content: &[u8]) -> Result<()> {
        self.leaf(path, PROGRAM, content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.leaf(path, LINK, target.as_os_str().as_bytes())
    }

    fn leaf(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<()> {
        self.directory(path.parent().context("a file without a directory")?)?;
        let name = name(path)?;
        ensure!(self.paths.insert(name.to_vec()), "{} is in the archive already", path.display());
        self.entry(name, mode, content)
    }

    /// Whether the path has been written.
    pub fn has(&self, path: &Path) -> bool {
        name(path).is_ok_and(|name| self.paths.contains(name))
    }

    fn entry(&mut self, name: &[u8], mode: u32, content: &[u8]) -> Result<()> {
        let length = u32::try_from(content.len()).context("too large for an archive")?;
        // Numbers of inodes matter to hard links alone, and there are none.
        let inode = self.paths.len() as u32;
        let fields = [inode, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        self.bytes.extend(MAGIC.bytes());
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    /// The whole of it. Another may follow: the kernel unpacks them one after the other.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entry(END.as_bytes(), 0, &[])?;
        Ok(self.bytes)
    }
}

/// Without the leading slash.
fn name(path: &Path) -> Result<&[u8]> {
    let relative = path.strip_prefix("/").with_context(|| format!("{} is relative", path.display()))?;
    Ok(relative.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names, modes and contents, as a reader of the format sees them.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            assert!(bytes.starts_with(MAGIC.as_bytes()));
            let field = |at: usize| {
                let hexadecimal = std::str::from_utf8(&bytes[6 + at * 8..14 + at * 8]).unwrap();
                u32::from_str_radix(hexadecimal, 16).unwrap()
            };
            let (mode, length, name_length) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(bytes[110..110 + name_length - 1].to_vec()).unwrap();
            let begin = (110 + name_length).next_multiple_of(4);
            entries.push((name, mode, bytes[begin..begin + length].to_vec()));
            bytes = &bytes[(begin + length).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn directories_stand_before_what_is_in_them_and_once() {
        let mut archive = Archive::default();
        archive.program(Path::new("/usr/bin/true"), b"#!").unwrap();
        archive.link(Path::new("/usr/sbin"), Path::new("bin")).unwrap();
        archive.directory(Path::new("/usr/bin")).unwrap();
        assert!(archive.has(Path::new("/usr/bin")) && !archive.has(Path::new("/usr/lib")));
        let expected = [
            ("usr", DIRECTORY, ""),
            ("usr/bin", DIRECTORY, ""),
            ("usr/bin/true", PROGRAM, "#!"),
            ("usr/sbin", LINK, "bin"),
            (END, 0, ""),
        ]
        .map(|(name, mode, content)| (name.to_owned(), mode, content.as_bytes().to_vec()));
        assert_eq!(read(&archive.finish().unwrap()), expected);
    }

    #[test]
    fn a_path_is_absolute_and_written_once() {
        let mut archive = Archive::default();
        archive.program(Path::new("/init"), b"").unwrap();
        assert!(archive.program(Path::new("/init"), b"").is_err());
        assert!(archive.program(Path::new("init"), b"").is_err());
    }
}
