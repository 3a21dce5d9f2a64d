//! `image`: the daemon as a container image, without a registry, a Docker daemon or a base image.
//!
//! There is one file in it. The program is linked statically, it resolves no names, and the API server's certificate
//! comes with the pod's service account, so it needs no certificates of authorities.

mod oci;
pub mod services;
mod tar;

pub use oci::{Image, Packing};
pub use tar::Archive;

use crate::build;
use crate::context::Context;
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use std::fs;
use std::path::{Path, PathBuf};

/// What the image is called.
pub const NAME: &str = "localhost/shutdown-probe:dev";
/// Loading eBPF programs takes capabilities, and Kubernetes gives added capabilities to root's processes alone: it
/// does not raise them in the ambient set of another user's.
const ROOT: &str = "0:0";
const METRICS_PORT: u16 = 9464;

/// The image for this machine under its usual name.
pub fn usual(context: &Context) -> Result<PathBuf> {
    run(context, &Arguments { arch: None, services: false, tag: NAME.to_owned() })
}

/// What can be typed after `cargo xtask image`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Build for this processor [default: the machine's own]
    #[arg(long)]
    arch: Option<Architecture>,
    /// Build the images of the services that `e2e` stops instead: target/image/services.tar and nginx.tar
    #[arg(long, conflicts_with_all = ["arch", "tag"])]
    services: bool,
    /// The image's name and tag
    #[arg(long, default_value = NAME)]
    tag: String,
}

/// A processor that the image can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    pub fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// What the OCI calls it, which is what Go does.
    pub fn oci_name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The target that cargo builds for.
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Debian's cross linker for it.
    pub fn linker(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// Where cargo looks for the linker.
    pub fn linker_variable(self) -> String {
        format!("CARGO_TARGET_{}_LINKER", self.target().replace('-', "_").to_uppercase())
    }

    /// What the eBPF side calls it.
    pub fn bpf_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// Builds the daemon and packs it. Returns where the archive is.
///
/// # Errors
/// As for a build, and when the archive cannot be written.
pub fn run(context: &Context, arguments: &Arguments) -> Result<PathBuf> {
    if arguments.services {
        return services::run(context)?.into_iter().next().context("no image of services");
    }
    let architecture = arguments.arch.unwrap_or(Architecture::of_this_machine());
    let program = build::static_daemon(context, architecture)?;
    let bytes = fs::read(&program).with_context(|| program.display().to_string())?;
    let mut files = Archive::default();
    files.program(Path::new("/shutdown-probe"), &bytes)?;
    let image = Image::new(&arguments.tag, files, ["/shutdown-probe"])
        .architecture(architecture)
        .user(ROOT)
        .port(METRICS_PORT)
        .label("org.opencontainers.image.title", "shutdown-probe")
        .label("org.opencontainers.image.licenses", "MIT OR Apache-2.0")
        .label("org.opencontainers.image.version", env!("CARGO_PKG_VERSION"));
    let archive = image.pack(Packing::Compressed)?;
    let path = path(context);
    let directory = path.parent().context("the image has no directory")?;
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    fs::write(&path, &archive).with_context(|| path.display().to_string())?;
    println!(
        "{}: {} {}, {} KiB",
        path.display(),
        arguments.tag,
        architecture.oci_name(),
        archive.len() >> 10
    );
    Ok(path)
}

/// The program that is in it, for this machine.
pub fn program(context: &Context) -> PathBuf {
    build::static_daemon_path(context, Architecture::of_this_machine())
}

/// Where the archive is written.
pub fn path(context: &Context) -> PathBuf {
    context.workspace.target().join("image/shutdown-probe.tar")
}
