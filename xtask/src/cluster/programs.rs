//! The programs that no package has: Kubernetes, compiled from its Go modules, and Helm.
//!
//! They are kept in the user's cache by the content of their sources, so that several checkouts share them.

use crate::cache;
use crate::command;
use crate::context::Context;
use crate::failure::MissingTool;
use crate::terminal::clock;
use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What the one executable can be started as.
const NODE_PROGRAMS: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
];

/// Go sources below `xtask/cluster/`.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    directory: &'static str,
    /// What to build, and under which name.
    packages: &'static [(&'static str, &'static str)],
    /// The module whose version is stamped on it, and the variables for version, major and minor number.
    stamp: (&'static str, [&'static [&'static str]; 3]),
    /// What to expect of the first build, on two cores.
    minutes: u32,
}

pub const KUBERNETES: Source = Source {
    directory: "kubernetes",
    packages: &[(".", "node-programs"), ("./pause", "pause")],
    // Without, each of them takes itself for v0.0.0.
    stamp: (
        "k8s.io/kubernetes",
        [
            &["k8s.io/component-base/version.gitVersion"],
            &["k8s.io/component-base/version.gitMajor"],
            &["k8s.io/component-base/version.gitMinor"],
        ],
    ),
    minutes: 5,
};

pub const HELM: Source = Source {
    directory: "helm",
    packages: &[("helm.sh/helm/v3/cmd/helm", "helm")],
    // Which Kubernetes it renders for where there is none to ask. Its client's v0.X.Y belongs to v1.X.
    stamp: (
        "k8s.io/client-go",
        [
            &[],
            &[],
            &[
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor",
                "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor",
            ],
        ],
    ),
    minutes: 2,
};

/// The directory with all of `source`'s programs, built if they are not there.
///
/// # Errors
/// [`MissingTool`] without Go; otherwise when the build fails.
pub fn ensure(context: &Context, source: Source) -> Result<PathBuf> {
    let sources = context.workspace.root().join("xtask/cluster").join(source.directory);
    let version = format!("{}-{}", source.directory, fingerprint(&sources)?);
    let finished = cache::directory(context).join("cluster").join(version);
    if finished.is_dir() {
        return Ok(finished);
    }
    let unfinished = finished.with_extension(format!("{}.tmp", std::process::id()));
    fs::create_dir_all(&unfinished).with_context(|| unfinished.display().to_string())?;
    let built = build(context, source, &sources, &unfinished);
    if built.is_err() {
        fs::remove_dir_all(&unfinished).with_context(|| unfinished.display().to_string())?;
    }
    built?;
    // Last, so that what is there is whole.
    fs::rename(&unfinished, &finished).with_context(|| finished.display().to_string())?;
    Ok(finished)
}

fn build(context: &Context, source: Source, sources: &Path, into: &Path) -> Result<()> {
    let go = context.search_path.find("go");
    let go = go.ok_or_else(|| MissingTool::new("no go", ["cargo xtask setup"]))?;
    let name = source.directory;
    println!("building {name}, kept for later: about {} minutes the first time", source.minutes);
    let begun = Instant::now();
    let (module, variables) = source.stamp;
    let flags = stamps(&module_version(&sources.join("go.mod"), module)?, variables);
    for (package, program) in source.packages {
        let mut build = Command::new(&go);
        build
            .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &format!("-s -w{flags}"), "-o"])
            .arg(into.join(program))
            .arg(package)
            .current_dir(sources)
            .env("CGO_ENABLED", "0");
        command::run(&mut build)?;
    }
    if into.join("node-programs").exists() {
        for name in NODE_PROGRAMS {
            std::os::unix::fs::symlink("node-programs", into.join(name)).context("naming a program")?;
        }
    }
    println!("built {name} in {}", clock(begun.elapsed()));
    Ok(())
}

/// Of the sources, by name and content. Of the compiler's version nothing depends.
fn fingerprint(directory: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for path in files(directory)? {
        hash.update(path.strip_prefix(directory)?.to_string_lossy().as_bytes());
        hash.update(fs::read(&path).with_context(|| path.display().to_string())?);
    }
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn module_version(go_mod: &Path, module: &str) -> Result<String> {
    let text = fs::read_to_string(go_mod).with_context(|| go_mod.display().to_string())?;
    let version = required_version(&text, module);
    version.with_context(|| format!("{} does not require {module}", go_mod.display()))
}

fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next().map(String::from)).flatten()
    })
}

/// The linker's flags that stamp a version such as v1.34.4.
fn stamps(version: &str, variables: [&[&str]; 3]) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let values = [version, numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()];
    let pairs = variables
        .into_iter()
        .zip(values)
        .flat_map(|(names, value)| names.iter().map(move |name| (name, value)));
    pairs.map(|(name, value)| format!(" -X {name}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_required_version_is_found_in_either_form() {
        let text = "module x\n\nrequire a.b/c v1.2.3\n\nrequire (\n\td.e/f v0.1.0\n\td.e/f/v2 v2.0.0 // indirect\n)\n";
        assert_eq!(required_version(text, "a.b/c").as_deref(), Some("v1.2.3"));
        assert_eq!(required_version(text, "d.e/f").as_deref(), Some("v0.1.0"));
        assert_eq!(required_version(text, "d.e"), None);
    }

    #[test]
    fn a_version_is_stamped_whole_and_in_parts() {
        assert_eq!(
            stamps("v1.34.4", [&["a.b"], &["a.c"], &["a.d", "e"]]),
            " -X a.b=v1.34.4 -X a.c=1 -X a.d=34 -X e=34"
        );
        assert_eq!(stamps("v1.34.4", [&[], &[], &[]]), "");
    }
}
