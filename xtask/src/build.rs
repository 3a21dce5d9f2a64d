//! `build`: the eBPF side first, for the daemon contains it.

use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use crate::image::Architecture;
use crate::toolchain::{self, Toolchain};
use anyhow::{Context as _, Result, anyhow};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const TARGET: &str = "bpfel-unknown-none";

/// How the user space side is built. The eBPF side is always optimised: the verifier takes nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub fn from_debug(debug: bool) -> Self {
        if debug { Self::Dev } else { Self::Release }
    }

    /// Below `target/`.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// For cargo's `--profile`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }
}

/// Builds both sides and says where they are.
///
/// # Errors
/// [`MissingTool`] when no toolchain is complete; otherwise when one of the builds fails.
pub fn run(context: &Context, profile: Profile) -> Result<()> {
    ebpf(context, Architecture::of_this_machine())?;
    package(context, "shutdown-probe", profile)?;
    println!("built {}", relative(context, &context.workspace.daemon(profile)));
    Ok(())
}

/// Builds one package of the workspace.
pub fn package(context: &Context, name: &str, profile: Profile) -> Result<()> {
    let mut build = cargo::workspace(context, "build")?;
    command::run(build.args(["--package", name, "--profile", profile.name()]))
}

/// Builds the release daemon linked statically, for any Linux of that architecture, and returns where it is.
///
/// # Errors
/// As [`run`]; for another architecture also when its linker or its standard library is not installed.
pub fn static_daemon(context: &Context, architecture: Architecture) -> Result<PathBuf> {
    ebpf(context, architecture)?;
    let target = architecture.target();
    let flags = ["-Ctarget-feature=+crt-static".to_owned()].into_iter().chain(without_places(context));
    let mut build = cargo::workspace(context, "build")?;
    build
        .args(["--package", "shutdown-probe", "--release", "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"))
        .env("SHUTDOWN_PROBE_BPF_OBJECT", context.workspace.ebpf_object(architecture));
    if architecture != Architecture::of_this_machine() {
        build.env(architecture.linker_variable(), architecture.linker());
    }
    command::run(&mut build)
        .with_context(|| format!("building for {target}: `rustup target add {target}`?"))?;
    Ok(static_daemon_path(context, architecture))
}

/// Where [`static_daemon`] puts it.
pub fn static_daemon_path(context: &Context, architecture: Architecture) -> PathBuf {
    context.workspace.target().join(architecture.target()).join("release/shutdown-probe")
}

/// Builds the eBPF object. Quick when nothing has changed.
fn ebpf(context: &Context, architecture: Architecture) -> Result<()> {
    let toolchain = complete_toolchain(context)?;
    println!("eBPF side with {toolchain}");
    let mut build = toolchain.cargo(context)?;
    build
        .args(["build", "--release", "--target", TARGET])
        .args(toolchain.core_arguments())
        .arg("--target-dir")
        .arg(context.workspace.ebpf_target(architecture))
        .current_dir(context.workspace.ebpf_crate())
        .env("CARGO_ENCODED_RUSTFLAGS", [flags(architecture), without_places(context)].concat().join("\x1f"));
    let object = only_program(cargo::executables(&mut build)?)?;
    publish(&object.path, &context.workspace.ebpf_object(architecture))
}

fn complete_toolchain(context: &Context) -> Result<Toolchain> {
    toolchain::survey(context)?.into_complete().ok_or_else(|| {
        MissingTool::new("no complete toolchain for eBPF", ["cargo xtask setup --build-only"]).into()
    })
}

/// `--btf` turns the debug information into the BTF that typed maps and kernel pointers need.
fn flags(architecture: Architecture) -> Vec<String> {
    let btf = ["-C", "debuginfo=2", "-C", "link-arg=--btf"].map(String::from);
    btf.into_iter().chain(architecture_flags(architecture)).collect()
}

/// Nothing of where the sources lie, and of whose they are, gets into what is built. The last that fits counts.
///
/// Where they lie still shows in hashes: cargo knows a crate outside its workspace, as `shutdown-probe-common` is for the
/// eBPF side, by its path.
fn without_places(context: &Context) -> Vec<String> {
    let home = env::var_os("HOME").map(|home| (PathBuf::from(home), "~"));
    let cargo = env::var_os("CARGO_HOME").map(|cargo| (PathBuf::from(cargo), "~/.cargo"));
    let root = (context.workspace.root().to_owned(), ".");
    let places = home.into_iter().chain(cargo).chain([root]);
    places.map(|(place, name)| format!("--remap-path-prefix={}={name}", place.display())).collect()
}

/// Tells aya-ebpf whose registers it reads.
pub fn architecture_flags(architecture: Architecture) -> [String; 2] {
    ["--cfg".to_owned(), format!("bpf_target_arch=\"{}\"", architecture.bpf_name())]
}

fn only_program(mut built: Vec<cargo::Executable>) -> Result<cargo::Executable> {
    match (built.pop(), built.is_empty()) {
        (Some(program), true) => Ok(program),
        (None, _) => Err(anyhow!("the eBPF crate made no object")),
        (Some(_), false) => Err(anyhow!("the eBPF crate made more than one object")),
    }
}

/// Copies only what differs: a new modification time alone would rebuild the daemon.
fn publish(built: &Path, published: &Path) -> Result<()> {
    let bytes = fs::read(built).with_context(|| built.display().to_string())?;
    if fs::read(published).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(published, bytes).with_context(|| published.display().to_string())
}

/// For messages.
fn relative(context: &Context, path: &Path) -> String {
    path.strip_prefix(context.workspace.root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> cargo::Executable {
        cargo::Executable { name: name.into(), path: name.into() }
    }

    #[test]
    fn flags_ask_for_btf_and_name_the_architecture() {
        let architecture = format!("bpf_target_arch=\"{}\"", std::env::consts::ARCH);
        assert_eq!(
            flags(Architecture::of_this_machine()),
            ["-C", "debuginfo=2", "-C", "link-arg=--btf", "--cfg", &architecture]
        );
    }

    #[test]
    fn exactly_one_object_is_expected() {
        assert_eq!(only_program(vec![program("a")]).unwrap(), program("a"));
        assert!(only_program(vec![]).is_err());
        assert!(only_program(vec![program("a"), program("b")]).is_err());
    }

    #[test]
    fn publishing_the_same_bytes_leaves_the_file_alone() {
        let directory = std::env::temp_dir().join(format!("xtask-publish-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (built, published) = (directory.join("built"), directory.join("published"));
        fs::write(&built, "one").unwrap();
        publish(&built, &published).unwrap();
        let modified = || published.metadata().unwrap().modified().unwrap();
        let before = modified();
        publish(&built, &published).unwrap();
        assert_eq!(modified(), before);
        fs::write(&built, "two").unwrap();
        publish(&built, &published).unwrap();
        assert_eq!(fs::read(&published).unwrap(), b"two");
        fs::remove_dir_all(&directory).unwrap();
    }
}
