//! bpf-linker: joins LLVM bitcode to one eBPF object.

use crate::cargo;
use crate::command::{self, probe};
use crate::context::Context;
use anyhow::Result;
use std::process::Command;

/// The LLVM that bpf-linker is built on here. It must be the compiler's own.
pub const LLVM: u32 = 22;

const VERSION: &str = "0.13.0";
/// The oldest this project has been built with.
const OLDEST: (u32, u32) = (0, 13);

/// What is missing, if something is.
pub fn lack(context: &Context) -> Option<String> {
    let Some(path) = context.search_path.find("bpf-linker") else {
        return Some("bpf-linker".to_owned());
    };
    let answer = probe(Command::new(path).arg("--version")).unwrap_or_default();
    (minor(&answer) < Some(OLDEST))
        .then(|| format!("bpf-linker {}.{} or newer (there is '{}')", OLDEST.0, OLDEST.1, answer.trim()))
}

/// Builds and installs it where `cargo install` puts things.
///
/// # Errors
/// When the build fails.
pub fn install(context: &Context) -> Result<()> {
    let mut install = cargo::own(context, "install")?;
    install.args(arguments()).env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"));
    command::run(&mut install)
}

/// As one would type it.
pub fn install_command() -> String {
    format!("LLVM_PREFIX=/usr/lib/llvm-{LLVM} cargo install {}", arguments().join(" "))
}

/// Its default is the newest LLVM, which Debian does not have.
fn arguments() -> Vec<String> {
    let words = ["bpf-linker", "--version", VERSION, "--locked", "--no-default-features", "--features"];
    words.map(String::from).into_iter().chain([format!("llvm-{LLVM}")]).collect()
}

/// Major and minor version of an answer like `bpf-linker 0.13.0`.
fn minor(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_and_compared() {
        assert_eq!(minor("bpf-linker 0.13.0\n"), Some((0, 13)));
        assert_eq!(minor("bpf-linker 1.2.0-rc.1\n"), Some((1, 2)));
        assert_eq!(minor("what?"), None);
        assert!(minor("bpf-linker 0.9.15") < Some(OLDEST));
        assert!(minor("") < Some(OLDEST), "no answer is too old");
    }

    #[test]
    fn install_command_can_be_typed() {
        assert_eq!(
            install_command(),
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked \
             --no-default-features --features llvm-22"
        );
    }
}
