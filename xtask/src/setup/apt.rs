//! Debian's package manager.

use crate::command;
use crate::context::Context;
use anyhow::Result;
use std::collections::BTreeSet;
use std::process::Command;

const WHY: &str = "install packages with apt-get";

/// Fetches the package lists. Called once, and only when something has to be installed.
pub fn update(context: &Context) -> Result<()> {
    command::run(apt_get(context)?.args(["update", "-qq"]))
}

/// Those of `packages` that apt could install.
pub fn offered<'a>(packages: impl IntoIterator<Item = &'a &'a str>) -> Result<BTreeSet<String>> {
    let mut policy = Command::new("apt-cache");
    // The answer is translated otherwise.
    policy.env("LC_ALL", "C").arg("policy").args(packages);
    Ok(candidates(&command::read(&mut policy)?))
}

/// Installs them, and removes nothing: rustc-web would take the place of rustc or of a packaged rustup.
pub fn install(context: &Context, packages: &[&str]) -> Result<()> {
    let mut install = apt_get(context)?;
    install.args(["install", "-y", "-qq", "--no-install-recommends", "--no-remove"]).args(packages);
    command::run(&mut install)
}

fn apt_get(context: &Context) -> Result<Command> {
    let variables = [("DEBIAN_FRONTEND", "noninteractive".into()), ("PATH", context.search_path.value()?)];
    let mut command = context.elevation.command("apt-get", &variables, WHY)?;
    // Unattended upgrades may hold the lock for a while. Without a terminal of its own, dpkg shows no progress bars.
    command.args(["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]);
    Ok(command)
}

/// Reads `apt-cache policy`: a block for each known package, with the version that would be installed.
fn candidates(policy: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut package = "";
    for line in policy.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            package = name;
        } else if line.trim().strip_prefix("Candidate: ").is_some_and(|version| version != "(none)") {
            found.insert(package.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_a_candidate_are_offered() {
        let policy = "\
wrk:
  Installed: (none)
  Candidate: 4.1.0-3+b2
  Version table:
     4.1.0-3+b2 500
        500 mirror bookworm/main amd64 Packages
linux-tools-common:
  Installed: (none)
  Candidate: (none)
  Version table:
bpftool:
  Installed: 7.1.0
  Candidate: 7.1.0
";
        assert_eq!(candidates(policy), BTreeSet::from(["bpftool".to_owned(), "wrk".to_owned()]));
        assert!(candidates("").is_empty());
    }
}
