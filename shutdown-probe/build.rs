//! Hands the compiled eBPF object to the daemon, as `$OUT_DIR/shutdown-probe-ebpf`.
//!
//! It compiles nothing: the object takes another target and often another compiler, `cargo xtask build` knows.
//! Whoever includes the bytes aligns them to 8.

use std::env;
use std::fs;
use std::path::PathBuf;

const OBJECT: &str = "SHUTDOWN_PROBE_BPF_OBJECT";
const NAME: &str = "shutdown-probe-ebpf";
/// `e_machine` of an eBPF object (elf.h, `EM_BPF`).
const EM_BPF: [u8; 2] = 247_u16.to_le_bytes();

fn main() {
    println!("cargo::rerun-if-env-changed={OBJECT}");
    if let Err(sentence) = hand_over() {
        println!("cargo::error={sentence}");
    }
}

fn hand_over() -> Result<(), String> {
    let source = source()?;
    println!("cargo::rerun-if-changed={}", source.display());
    let object = fs::read(&source).map_err(|error| {
        format!("the eBPF object {} cannot be read ({error}); run `cargo xtask build`", source.display())
    })?;
    if !object.starts_with(b"\x7fELF") || object.get(18..20) != Some(&EM_BPF) {
        return Err(format!("{} is no eBPF object; run `cargo xtask build`", source.display()));
    }
    let destination = directory("OUT_DIR")?.join(NAME);
    fs::write(&destination, object).map_err(|error| format!("{}: {error}", destination.display()))
}

/// What the environment says, else where `cargo xtask build` puts it.
fn source() -> Result<PathBuf, String> {
    match env::var_os(OBJECT) {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(directory("CARGO_MANIFEST_DIR")?.with_file_name("target").join("bpf").join(NAME)),
    }
}

fn directory(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("cargo does not say {variable}"))
}
