//! rustup's nightly with rust-src.

use super::{Core, Kind, Toolchain, linker, rustc};
use crate::command::probe;
use crate::context::Context;
use std::process::Command;

/// What to type to have all of it.
pub const COMMANDS: [&str; 3] = [
    "rustup toolchain install nightly --component rust-src",
    "cargo install cargo-binstall",
    "cargo binstall bpf-linker",
];

/// The toolchain, or what it lacks.
pub fn find(context: &Context) -> Result<Toolchain, Vec<String>> {
    let rustup = context.search_path.find("rustup").ok_or_else(|| vec!["rustup".to_owned()])?;
    let ask = |args: &[&str]| probe(Command::new(&rustup).args(args)).unwrap_or_default();
    if !has_nightly(&ask(&["toolchain", "list"])) {
        return Err(vec!["toolchain 'nightly'".to_owned()]);
    }
    let version = rustc::Version::parse(&ask(&["run", "nightly", "rustc", "-vV"]));
    let components = ask(&["component", "list", "--toolchain", "nightly", "--installed"]);
    let mut lacks = Vec::new();
    if !has_source(&components) {
        lacks.push("component 'rust-src'".to_owned());
    }
    lacks.extend(linker::lack(context));
    match version {
        Some(version) if lacks.is_empty() => {
            Ok(Toolchain { kind: Kind::Nightly, core: Core::FromSource, release: version.release })
        }
        Some(_) => Err(lacks),
        None => Err(vec!["a rustc that answers".to_owned()]),
    }
}

/// Its cargo.
pub fn cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    command
}

/// `rustup toolchain list` names it `nightly-<host>`; `nightly-<date>-<host>` is another.
fn has_nightly(list: &str) -> bool {
    list.lines().filter_map(|line| line.split_whitespace().next()).any(|name| {
        match name.strip_prefix("nightly") {
            Some("") => true,
            Some(rest) => {
                rest.strip_prefix('-').is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            }
            None => false,
        }
    })
}

fn has_source(components: &str) -> bool {
    components.lines().any(|line| line.split_whitespace().next() == Some("rust-src"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightly_is_found_under_its_own_name_only() {
        assert!(has_nightly(
            "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n"
        ));
        assert!(has_nightly("nightly\n"));
        assert!(!has_nightly(
            "stable-x86_64-unknown-linux-gnu\nnightly-2026-05-19-x86_64-unknown-linux-gnu\n"
        ));
        assert!(!has_nightly("no installed toolchains\n"));
        assert!(!has_nightly(""));
    }

    #[test]
    fn source_is_a_component_of_its_own() {
        let without = "cargo-x86_64-unknown-linux-gnu\nrust-std-x86_64-unknown-linux-gnu\nrustc-x86_64-unknown-linux-gnu\n";
        assert!(!has_source(without));
        assert!(has_source(&format!("{without}rust-src\n")));
        assert!(has_source("rust-src (installed)\n"));
        assert!(!has_source("rust-src-preview\n"));
    }
}
