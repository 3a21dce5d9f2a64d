//! The shared libraries of a program.

use crate::command;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The paths of its libraries, and of the loader.
///
/// # Errors
/// When ldd(1) does not understand it.
pub fn of(program: &Path) -> Result<BTreeSet<PathBuf>> {
    Ok(paths(&command::read(Command::new("ldd").arg(program))?))
}

fn paths(answer: &str) -> BTreeSet<PathBuf> {
    let words = answer.lines().flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found() {
        let answer = "\tlinux-vdso.so.1 (0x00007f020fd1a000)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f020f41e000)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f020fd1c000)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(paths(answer), BTreeSet::from(expected));
        assert!(paths("\tstatically linked\n").is_empty());
    }
}
