//! What is written from the chart: the kustomize base, and the table of values in the chart's README.

use super::chart::Chart;
use crate::context::Context;
use crate::dashboards;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = "# Source: ";
/// Lines that only Helm means.
const HELMS: [&str; 2] = ["app.kubernetes.io/managed-by:", "helm.sh/chart:"];
const NOTICE: &str =
    "# Written by `cargo xtask deploy --write` from deploy/helm/shutdown-probe; do not edit.";
const BEGIN: &str = "<!-- values: written by `cargo xtask deploy --write` -->";
const END: &str = "<!-- end of values -->";

/// A file and what is to be in it.
struct File {
    path: PathBuf,
    content: String,
}

/// Compares, or writes.
pub fn check_or_write(context: &Context, chart: &Chart, write: bool) -> Result<()> {
    let base = context.workspace.root().join("deploy/kustomize/base");
    let mut files = split(&chart.text(&["namespace.create=true"])?, &base)?;
    files.push(kustomization(&files, &base));
    let operators = context.workspace.root().join("deploy/kustomize/overlays/prometheus-operator");
    let monitored = split(&chart.text(&["podMonitor.create=true"])?, &operators)?;
    files.extend(monitored.into_iter().filter(|file| file.path.ends_with("podmonitor.yaml")));
    files.push(readme(chart.directory())?);
    files.extend(copies(context, chart)?);
    if write {
        let directories = files.iter().filter_map(|file| file.path.parent());
        directories.into_iter().try_for_each(fs::create_dir_all).context("making directories")?;
        return files.iter().try_for_each(|file| {
            fs::write(&file.path, &file.content).with_context(|| file.path.display().to_string())
        });
    }
    for file in &files {
        let written = fs::read_to_string(&file.path).unwrap_or_default();
        let name = file.path.display();
        ensure!(written == file.content, "{name} is out of date; cargo xtask deploy --write writes it");
    }
    let expected: Vec<_> = files.iter().map(|file| &file.path).collect();
    for entry in fs::read_dir(&base).with_context(|| base.display().to_string())? {
        let path = entry?.path();
        ensure!(expected.contains(&&path), "{} comes from no template", path.display());
    }
    Ok(())
}

/// What a chart can only take from its own directory: the rules and the dashboards.
fn copies(context: &Context, chart: &Chart) -> Result<Vec<File>> {
    let files = chart.directory().join("files");
    let rules = context.workspace.root().join("deploy/alerts/rules.yaml");
    let copy = |from: &Path, to: PathBuf| -> Result<File> {
        let content = fs::read_to_string(from).with_context(|| from.display().to_string())?;
        Ok(File { path: to, content })
    };
    let mut copies = vec![copy(&rules, files.join("rules.yaml"))?];
    for dashboard in dashboards::files(context) {
        let name = dashboard.file_name().context("a dashboard without a name")?;
        copies.push(copy(&dashboard, files.join("dashboards").join(name))?);
    }
    Ok(copies)
}

/// One file for each template.
fn split(rendered: &str, base: &Path) -> Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for document in rendered.split("---\n").filter(|document| !document.trim().is_empty()) {
        let (source, body) = document.split_once('\n').context("a document of one line")?;
        let template = source.strip_prefix(SOURCE).context("a document of no template")?;
        let name = template.rsplit('/').next().unwrap_or(template);
        let lines =
            body.lines().filter(|line| !HELMS.iter().any(|helms| line.trim_start().starts_with(helms)));
        let body = lines.map(|line| format!("{}\n", line.trim_end())).collect::<String>();
        let path = base.join(name);
        match files.iter_mut().find(|file| file.path == path) {
            Some(file) => file.content.push_str(&format!("---\n{body}")),
            None => files.push(File { path, content: format!("{NOTICE}\n{body}") }),
        }
    }
    Ok(files)
}

fn kustomization(files: &[File], base: &Path) -> File {
    let mut names: Vec<_> =
        files.iter().filter_map(|file| file.path.file_name()).map(|name| name.to_string_lossy()).collect();
    names.sort();
    let resources: String = names.iter().map(|name| format!("  - {name}\n")).collect();
    let content = format!(
        "{NOTICE}\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shutdown-probe\n\
         resources:\n{resources}"
    );
    File { path: base.join("kustomization.yaml"), content }
}

fn readme(chart: &Path) -> Result<File> {
    let path = chart.join("README.md");
    let old = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let values = chart.join("values.yaml");
    let values = fs::read_to_string(&values).with_context(|| values.display().to_string())?;
    let parts = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else { bail!("{} has no place for the values", path.display()) };
    Ok(File { path, content: format!("{head}{BEGIN}\n{}{END}{tail}", table(&values)) })
}

/// The values with their comments, as a table.
fn table(values: &str) -> String {
    let mut rows = String::from("\n| value | default | |\n|---|---|---|\n");
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment = Vec::new();
    let mut lines = values.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(words) = text.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let Some((key, value)) = text.split_once(':').filter(|_| !text.starts_with('-')) else { continue };
        parents.retain(|(depth, _)| *depth < indent);
        let path = parents.iter().map(|(_, name)| name.as_str()).chain([key]).collect::<Vec<_>>().join(".");
        let next = lines.peek().map_or("", |next| next.trim_start());
        let value = value.trim();
        let shown = if value.is_empty() && next.starts_with("- ") {
            format!("[{{{}}}]", &next[2..])
        } else {
            value.into()
        };
        parents.push((indent, key.to_owned()));
        if !shown.is_empty() {
            rows.push_str(&format!("| `{path}` | `{shown}` | {} |\n", comment.join(" ")));
            comment.clear();
        }
    }
    rows.push('\n');
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_is_a_file_without_what_is_helms() {
        let rendered = "---\n# Source: c/templates/a.yaml\nkind: A\n    helm.sh/chart: c-1\n---\n\
                        # Source: c/templates/b.yaml\nkind: B\n---\n# Source: c/templates/b.yaml\nkind: C\n";
        let files = split(rendered, Path::new("/base")).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].content, format!("{NOTICE}\nkind: A\n"));
        assert_eq!(files[1].content, format!("{NOTICE}\nkind: B\n---\nkind: C\n"));
        assert!(kustomization(&files, Path::new("/base")).content.ends_with("  - a.yaml\n  - b.yaml\n"));
    }

    #[test]
    fn values_are_named_in_full_with_their_comments() {
        let values =
            "image:\n  # Which.\n  tag: dev\n\n# Where.\ntolerations:\n  - operator: Exists\nempty: {}\n";
        let table = table(values);
        assert!(table.contains("| `image.tag` | `dev` | Which. |\n"), "{table}");
        assert!(table.contains("| `tolerations` | `[{operator: Exists}]` | Where. |\n"), "{table}");
        assert!(table.contains("| `empty` | `{}` |  |\n"), "{table}");
        assert!(!table.contains("`image`"), "{table}");
    }
}
