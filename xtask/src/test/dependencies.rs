//! The dependencies of both sides: licences, sources, bans, advisories.

use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::terminal::stdout;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Checks all there is to check. Advisories live in a database that is fetched; where it cannot be, that is said
/// and the rest is still checked.
pub fn check(context: &Context) -> Result<()> {
    let manifests = [context.workspace.root().to_owned(), context.workspace.ebpf_crate()]
        .map(|dir| dir.join("Cargo.toml"));
    let advisories = fetch(context, &manifests[0])?;
    for manifest in &manifests {
        let mut check = deny(context, manifest)?;
        check.args(["check", "--hide-inclusion-graph"]);
        if advisories {
            check.args(["--disable-fetch", "all"]);
        } else {
            check.args(["bans", "licenses", "sources"]);
        }
        command::run(&mut check)?;
    }
    if !advisories {
        let notice = "advisories were NOT checked: their database could not be fetched (see above)";
        println!("{}", stdout().yellow(notice));
    }
    Ok(())
}

/// Whether the database of advisories is here now.
fn fetch(context: &Context, manifest: &Path) -> Result<bool> {
    Ok(command::run(deny(context, manifest)?.args(["fetch", "db"])).is_ok())
}

fn deny(context: &Context, manifest: &Path) -> Result<Command> {
    let config: PathBuf = context.workspace.root().join("deny.toml");
    let mut command = cargo::workspace(context, "deny")?;
    command.arg("--manifest-path").arg(manifest).args(["--all-features", "--config"]).arg(config);
    Ok(command)
}
