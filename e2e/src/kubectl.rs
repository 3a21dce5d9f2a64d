//! Calling kubectl, which is what people type.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// kubectl of one cluster, and of one namespace of it.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Kubectl {
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig, namespace: "default".into() }
    }

    /// The same in another namespace.
    pub fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// To be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["--namespace", &self.namespace]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to the end and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().args(arguments).output().context("kubectl")?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {}: {}", arguments.join(" "), error.trim());
        }
        String::from_utf8(output.stdout).context("kubectl")
    }

    /// The same, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("kubectl {}", arguments.join(" ")))
    }

    /// Makes or changes an object.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.feed(&["apply", "-f", "-"], object)
    }

    /// Runs it with an object as its input.
    pub fn feed(&self, arguments: &[&str], object: &Value) -> Result<()> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("kubectl")?;
        child.stdin.take().context("no standard input")?.write_all(object.to_string().as_bytes())?;
        let output = child.wait_with_output().context("kubectl")?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}\n{object}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}
