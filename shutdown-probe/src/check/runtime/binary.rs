//! What a compiled program's own file says of its language.

use super::Language;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much of the file is read, in bytes: the marks stand in sections that are not at the end.
const READ_MOST: u64 = 64 << 20;
/// The magic of Go's build information (package debug/buildinfo), which begins at a multiple of 16 bytes. A program
/// that looks for it, as this one does, has it too, but without a version behind it.
const GO: &[u8] = b"\xff Go buildinf:";
const GO_ALIGNMENT: usize = 16;
/// Where the version stands, since Go 1.18: behind its length.
const GO_VERSION: usize = 33;
/// The paths of the standard library's sources, which panics name, begin with this in every release build.
const RUST: &[u8] = b"/rustc/";

/// The language, where the file shows it.
pub fn language(file: &Path) -> Option<Language> {
    of(&read(file)?)
}

/// What the file holds, up to a limit.
pub fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(READ_MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn of(bytes: &[u8]) -> Option<Language> {
    if (0..bytes.len()).step_by(GO_ALIGNMENT).any(|at| is_build_information(&bytes[at..])) {
        Some(Language::Go)
    } else if contains(bytes, RUST) {
        Some(Language::Rust)
    } else {
        None
    }
}

fn is_build_information(bytes: &[u8]) -> bool {
    let version = || bytes.get(GO_VERSION..).unwrap_or_default();
    bytes.starts_with(GO) && (version().starts_with(b"go1") || version().starts_with(b"devel"))
}

/// Whether this stands anywhere in it.
pub fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(&first) = wanted.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_made_with_rust() {
        assert_eq!(language(Path::new("/proc/self/exe")), Some(Language::Rust));
        // Put together here, from what the compiler does not know: this program must have no such literal.
        let built =
            [b"\x7fELF............", GO, &[std::hint::black_box(8), 2], &[0; 16], b"\x06go1.26"].concat();
        assert_eq!(of(&built), Some(Language::Go));
        assert_eq!(of(b"\x7fELF\xff Go buildinf:\x08"), None, "a program that only knows the words");
        assert_eq!(of(b"\xff\xff Go"), None);
    }
}
