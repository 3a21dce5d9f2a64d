//! Debian's rustc-web packages: a current compiler with source and, from Debian 12 on, a core library
//! prebuilt for the eBPF targets.

use super::{Core, Kind, Toolchain, linker, rustc};
use crate::command::probe;
use crate::context::Context;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// What cargo itself looks for before it builds the core library.
const CORE_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";

/// The compiler, the core library's source, and what bpf-linker is built with.
pub const PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev", "libpolly-22-dev", "clang-22"];

/// Saves building the core library; not every release has it.
pub const PREBUILT_CORE: &str = "libstd-rust-web-dev-bpf";

/// The toolchain, or what it lacks.
pub fn find(context: &Context) -> Result<Toolchain, Vec<String>> {
    let version = probe(Command::new(RUSTC).arg("-vV")).as_deref().and_then(rustc::Version::parse);
    let core = core();
    let lacks = lacks(version.as_ref(), Path::new(CARGO).exists(), core, linker::lack(context));
    match (version, core) {
        (Some(version), Some(core)) if lacks.is_empty() => {
            Ok(Toolchain { kind: Kind::Debian, core, release: version.release })
        }
        _ => Err(lacks),
    }
}

/// Its cargo.
pub fn cargo() -> Command {
    Command::new(CARGO)
}

/// `RUSTC`, because rustup's rustc comes first in most `PATH`s. `RUSTC_BOOTSTRAP`, because aya-ebpf and
/// `-Z build-std` use unstable features and this is a stable compiler.
pub fn configure(command: &mut Command) {
    command.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1");
}

fn lacks(
    version: Option<&rustc::Version>,
    cargo: bool,
    core: Option<Core>,
    linker: Option<String>,
) -> Vec<String> {
    let compiler = match version {
        None => Some(RUSTC.to_owned()),
        Some(version) if version.llvm != linker::LLVM => {
            Some(format!("{RUSTC} on LLVM {} (it is on {})", linker::LLVM, version.llvm))
        }
        Some(_) => None,
    };
    let cargo = (!cargo).then(|| CARGO.to_owned());
    let core = core.is_none().then(|| "a core library for eBPF".to_owned());
    [compiler, cargo, core, linker].into_iter().flatten().collect()
}

/// Asks the compiler itself: a prebuilt library of another release does not count, and only it knows.
fn core() -> Option<Core> {
    if finds_prebuilt_core(Path::new(RUSTC)) {
        return Some(Core::Prebuilt);
    }
    Path::new(CORE_SOURCE).exists().then_some(Core::FromSource)
}

/// Compiles nothing against it. The output goes to standard output: rustc replaces the file it is told to write,
/// and root's /dev/null would be gone.
fn finds_prebuilt_core(rustc: &Path) -> bool {
    let compiler = Command::new(rustc)
        .args(["--target", "bpfel-unknown-none", "--crate-type", "lib", "--emit", "metadata=-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut compiler) = compiler else { return false };
    // A compiler that has given up already does not read; its status says the rest.
    let written = compiler.stdin.take().map(|mut source| source.write_all(b"#![no_std]\n"));
    compiler.wait().is_ok_and(|status| status.success()) && matches!(written, Some(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(llvm: u32) -> rustc::Version {
        rustc::Version { release: "1.96.0".into(), llvm }
    }

    #[test]
    fn complete_lacks_nothing() {
        assert!(lacks(Some(&version(22)), true, Some(Core::Prebuilt), None).is_empty());
    }

    #[test]
    fn a_fresh_machine_lacks_everything() {
        assert_eq!(
            lacks(None, false, None, Some("bpf-linker".into())),
            ["/usr/bin/rustc", "/usr/bin/cargo", "a core library for eBPF", "bpf-linker"]
        );
    }

    #[test]
    fn an_llvm_the_linker_cannot_read_is_named() {
        assert_eq!(
            lacks(Some(&version(19)), true, Some(Core::FromSource), None),
            ["/usr/bin/rustc on LLVM 22 (it is on 19)"]
        );
    }
}
