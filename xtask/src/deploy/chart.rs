//! The chart, as Helm renders it.

use super::objects::Objects;
use crate::cluster::Access;
use crate::cluster::programs::{self, HELM, KUBERNETES};
use crate::command;
use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Release and namespace, as docs/install.md has them.
const NAME: &str = "shutdown-probe";

/// The chart and the programs that render it.
#[derive(Debug)]
pub struct Chart {
    helm: PathBuf,
    kubectl: PathBuf,
    directory: PathBuf,
}

impl Chart {
    pub fn open(context: &Context) -> Result<Self> {
        let installed = context.search_path.find("kubectl");
        let kubectl = match installed {
            Some(kubectl) => kubectl,
            None => programs::ensure(context, KUBERNETES)?.join("kubectl"),
        };
        Ok(Self {
            // One version renders: another formats what is generated differently.
            helm: programs::ensure(context, HELM)?.join("helm"),
            kubectl,
            directory: context.workspace.root().join("deploy/helm").join(NAME),
        })
    }

    /// Installs it into a cluster, or what has changed of it, and waits until the daemon is ready: as docs/install.md
    /// tells it.
    pub fn install(&self, access: &Access, values: &[&str]) -> Result<()> {
        let namespace = self.directory.join("../../kustomize/base/namespace.yaml");
        command::read(
            access.kubectl().args(["apply", "--server-side", "--force-conflicts", "-f"]).arg(namespace),
        )?;
        let mut helm = Command::new(&self.helm);
        helm.args(["upgrade", "--install", NAME])
            .arg(&self.directory)
            .arg("--kubeconfig")
            .arg(&access.kubeconfig);
        helm.args(["--namespace", NAME]);
        for value in values {
            helm.args(["--set-json", value]);
        }
        command::read(&mut helm)?;
        let rollout = ["rollout", "status", "daemonset/shutdown-probe", "--timeout=3m"];
        command::read(access.kubectl().args(["--namespace", NAME]).args(rollout)).map(|_| ())
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn lint(&self) -> Result<()> {
        command::read(Command::new(&self.helm).args(["lint", "--strict", "--quiet"]).arg(&self.directory))
            .map(|_| ())
    }

    /// What is installed with these values, as text. `values`: each as for Helm's `--set-json`.
    pub fn text(&self, values: &[&str]) -> Result<String> {
        let mut helm = self.template(values);
        command::read(&mut helm)
    }

    /// The same, understood.
    pub fn render(&self, values: &[&str]) -> Result<Objects> {
        Objects::parse(&self.text(values)?)
    }

    /// The error of values that must be refused.
    pub fn refusal(&self, values: &[&str]) -> Result<String> {
        let output = self.template(values).output().context("helm")?;
        if output.status.success() {
            bail!("helm accepts {values:?}");
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn template(&self, values: &[&str]) -> Command {
        let mut helm = Command::new(&self.helm);
        helm.args(["template", NAME]).arg(&self.directory).args(["--namespace", NAME]);
        for value in values {
            helm.args(["--set-json", value]);
        }
        helm
    }

    /// What a directory of kustomize gives.
    pub fn kustomize(&self, directory: &Path) -> Result<Objects> {
        Objects::parse(&command::read(Command::new(&self.kubectl).arg("kustomize").arg(directory))?)
    }
}

/// Base and overlays.
pub fn overlays(context: &Context) -> Result<Vec<PathBuf>> {
    let kustomize = context.workspace.root().join("deploy/kustomize");
    let mut found = vec![kustomize.join("base")];
    let overlays = kustomize.join("overlays");
    for entry in fs::read_dir(&overlays).with_context(|| overlays.display().to_string())? {
        found.push(entry?.path());
    }
    found.sort();
    Ok(found)
}
