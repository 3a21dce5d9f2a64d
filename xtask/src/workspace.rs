//! Where things lie in the checkout.

use crate::build::Profile;
use crate::image::Architecture;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The checkout this program was built from.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    pub fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent directory")?;
        Ok(Self { root: root.to_owned() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The eBPF crate: no member of the workspace, for it has another target and another compiler.
    pub fn ebpf_crate(&self) -> PathBuf {
        self.root.join("shutdown-probe-ebpf")
    }

    /// Where cargo builds the eBPF crate.
    pub fn ebpf_target(&self, architecture: Architecture) -> PathBuf {
        let foreign = architecture != Architecture::of_this_machine();
        self.target().join(if foreign {
            format!("bpf-{}", architecture.oci_name())
        } else {
            "bpf".to_owned()
        })
    }

    /// The linked eBPF object, where `shutdown-probe/build.rs` expects it.
    pub fn ebpf_object(&self, architecture: Architecture) -> PathBuf {
        self.ebpf_target(architecture).join("shutdown-probe-ebpf")
    }

    pub fn daemon_crate(&self) -> PathBuf {
        self.root.join("shutdown-probe")
    }

    pub fn daemon(&self, profile: Profile) -> PathBuf {
        self.target().join(profile.directory()).join("shutdown-probe")
    }

    pub fn zoo(&self) -> PathBuf {
        self.target().join(Profile::Release.directory()).join("zoo")
    }

    /// The Python environment the zoo's services run in.
    pub fn zoo_venv(&self) -> PathBuf {
        self.target().join("zoo/venv")
    }

    pub fn python_requirements(&self) -> PathBuf {
        self.root.join("zoo/servers/requirements.txt")
    }

    /// The tests of the page that a browser runs.
    pub fn browser_tests(&self) -> PathBuf {
        self.daemon_crate().join("tests/page/browser")
    }

    /// Where what they need is installed.
    pub fn browser_modules(&self) -> PathBuf {
        self.target().join("page")
    }

    pub fn metrics_doc(&self) -> PathBuf {
        self.root.join("docs/metrics.md")
    }

    /// What is known of each kernel, for docs/kernels.md and later runs.
    pub fn kernels_data(&self) -> PathBuf {
        self.root.join("xtask/kernels.json")
    }

    /// The part of a kernel's BTF that the probe looks at, for tests.
    pub fn btf_fixture(&self, version: &str) -> PathBuf {
        self.daemon_crate().join("tests/btf").join(format!("{version}.btf"))
    }

    pub fn kernels_doc(&self) -> PathBuf {
        self.root.join("docs/kernels.md")
    }
}
