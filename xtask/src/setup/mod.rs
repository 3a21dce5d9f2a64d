//! `setup`: finds what building and testing need, installs what is missing, and says so line by line.
//!
//! Invariant: what is there already, from wherever it came, is not installed again.

mod apt;
mod deny;
mod node_modules;
mod os_release;
mod services;
mod tool;
mod venv;

use crate::context::Context;
use crate::failure::MissingTool;
use crate::terminal::{Status, line};
use crate::toolchain::{self, Kind, Survey, debian, linker};
use anyhow::{Context as _, Result};
use os_release::OsRelease;
use tool::Tool;

/// What the machine is to be made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Build,
    BuildAndTest,
}

impl Scope {
    pub fn from_build_only(build_only: bool) -> Self {
        if build_only { Self::Build } else { Self::BuildAndTest }
    }
}

/// Leaves the machine ready, or says what is left to do.
///
/// # Errors
/// [`MissingTool`] with the commands to type where this cannot install; otherwise when an installation fails.
pub fn run(context: &Context, scope: Scope) -> Result<()> {
    let os = OsRelease::of_this_machine();
    let survey = toolchain::survey(context)?;
    report_toolchains(&survey);
    let tools = match scope {
        Scope::Build => Vec::new(),
        Scope::BuildAndTest => {
            let mut missing = tool::missing(context, &tool::TOOLS);
            missing.extend(tool::missing(context, &tool::BROWSER_TOOLS));
            missing
        }
    };
    let toolchain_missing = survey.findings().iter().all(|finding| finding.toolchain.is_err());
    let from_debian = toolchain_missing && survey.allows(Kind::Debian);
    if (toolchain_missing || !tools.is_empty()) && !os.is_debian() {
        return Err(by_hand(&os, toolchain_missing, &tools).into());
    }
    install_packages(context, &os, from_debian, &tools)?;
    if toolchain_missing {
        complete_toolchain(context, from_debian)?;
    }
    if scope == Scope::BuildAndTest {
        deny::ensure(context)?;
        venv::ensure(context)?;
        node_modules::ensure(context)?;
    }
    Ok(())
}

/// What `page` needs besides a build. Returns where Chromium is.
///
/// # Errors
/// As [`run`].
pub fn ensure_browser(context: &Context) -> Result<String> {
    ensure(context, &tool::BROWSER_TOOLS)?;
    node_modules::ensure(context)?;
    tool::CHROMIUM.find(context).context("Chromium has gone")
}

/// What `vm` needs besides a build.
///
/// # Errors
/// As [`run`].
pub fn ensure_virtual_machines(context: &Context) -> Result<()> {
    ensure(context, &tool::VIRTUAL_MACHINE_TOOLS)
}

/// What `cluster` needs besides a build.
///
/// # Errors
/// As [`run`].
pub fn ensure_cluster(context: &Context) -> Result<()> {
    ensure(context, &tool::CLUSTER_TOOLS)
}

fn ensure(context: &Context, tools: &'static [Tool]) -> Result<()> {
    let missing = tool::missing(context, tools);
    let os = OsRelease::of_this_machine();
    if !missing.is_empty() && !os.is_debian() {
        return Err(by_hand(&os, false, &missing).into());
    }
    install_packages(context, &os, false, &missing)
}

fn report_toolchains(survey: &Survey) {
    for finding in survey.findings() {
        match &finding.toolchain {
            Ok(toolchain) => line(Status::Found, "eBPF toolchain", toolchain),
            Err(lacks) => {
                line(
                    Status::Note,
                    "eBPF toolchain",
                    format!("{} lacks {}", finding.kind.name(), lacks.join(", ")),
                );
            }
        }
    }
}

/// One transaction for all that apt can give. Debian only.
fn install_packages(context: &Context, os: &OsRelease, toolchain: bool, tools: &[&Tool]) -> Result<()> {
    if !toolchain && tools.is_empty() {
        return Ok(());
    }
    apt::update(context)?;
    let of_toolchain = debian::PACKAGES.iter().chain([&debian::PREBUILT_CORE]);
    let offered = apt::offered(tools.iter().flat_map(|tool| tool.packages).chain(of_toolchain))?;
    if toolchain && !debian::PACKAGES.iter().all(|package| offered.contains(*package)) {
        return Err(no_toolchain("this release does not have the packages of Debian's rustc-web").into());
    }
    let selection = tool::select(tools, &offered);
    if !selection.unavailable.is_empty() {
        return Err(by_hand(os, false, &selection.unavailable).into());
    }
    let mut packages = selection.packages;
    if toolchain {
        line(Status::Installing, Kind::Debian.name(), debian::PACKAGES.join(" "));
        packages.extend(debian::PACKAGES);
        packages.extend(offered.contains(debian::PREBUILT_CORE).then_some(debian::PREBUILT_CORE));
    }
    services::kept_off(context, &selection.services, || apt::install(context, &packages))
}

/// Adds the linker, which no package has, and looks again.
fn complete_toolchain(context: &Context, from_debian: bool) -> Result<()> {
    if !from_debian {
        return Err(no_toolchain("no complete toolchain for eBPF").into());
    }
    if linker::lack(context).is_some() {
        line(Status::Installing, "bpf-linker", linker::install_command());
        linker::install(context)?;
    }
    let survey = toolchain::survey(context)?;
    report_toolchains(&survey);
    match survey.into_complete() {
        Some(_) => Ok(()),
        None => Err(no_toolchain("the packages did not make a complete toolchain for eBPF").into()),
    }
}

fn no_toolchain(what: &str) -> MissingTool {
    MissingTool::new(what, toolchain::NIGHTLY_COMMANDS)
}

/// What is left to the user.
fn by_hand(os: &OsRelease, toolchain: bool, tools: &[&Tool]) -> MissingTool {
    let mut names: Vec<String> =
        tools.iter().map(|tool| format!("{} ({})", tool.name, tool.purpose)).collect();
    let mut commands = Vec::new();
    if toolchain {
        names.insert(0, "a toolchain for eBPF".to_owned());
        commands.extend(toolchain::NIGHTLY_COMMANDS.map(String::from));
    }
    if !tools.is_empty() {
        let packages: Vec<&str> = tools.iter().filter_map(|tool| tool.packages.first().copied()).collect();
        commands.push(format!("<your package manager> install {}    # Debian's names", packages.join(" ")));
    }
    MissingTool::new(format!("setup cannot install on {}: {}", os.name(), names.join(", ")), commands)
}
