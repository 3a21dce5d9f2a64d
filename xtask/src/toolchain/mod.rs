//! The compiler of the eBPF side: which there are, and which is taken.
//!
//! The target is a tier 3 one, so a compiler alone is not enough: it takes the core library's source or a
//! prebuilt one, and a linker that speaks the compiler's LLVM.

pub mod debian;
pub mod linker;
mod nightly;
mod rustc;

pub use nightly::COMMANDS as NIGHTLY_COMMANDS;

use crate::cargo;
use crate::context::Context;
use anyhow::{Result, bail};
use std::env;
use std::fmt;
use std::process::Command;

const OVERRIDE: &str = "SHUTDOWN_PROBE_BPF_TOOLCHAIN";

/// Where a toolchain comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// rustup's nightly with rust-src: the convention of aya's users.
    Nightly,
    /// The packages Debian builds its browsers with.
    Debian,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nightly => "rustup nightly",
            Self::Debian => "Debian rustc-web",
        }
    }
}

/// Where the core library for the eBPF target comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    Prebuilt,
    FromSource,
}

/// A complete toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    kind: Kind,
    core: Core,
    /// As rustc calls itself.
    release: String,
}

impl Toolchain {
    /// Its cargo, deaf to the cargo that runs us.
    pub fn cargo(&self, context: &Context) -> Result<Command> {
        let mut command = match self.kind {
            Kind::Nightly => nightly::cargo(),
            Kind::Debian => debian::cargo(),
        };
        cargo::isolate(&mut command);
        if self.kind == Kind::Debian {
            debian::configure(&mut command);
        }
        command.env("PATH", context.search_path.value()?);
        Ok(command)
    }

    /// What cargo has to be told so that there is a core library.
    pub fn core_arguments(&self) -> &'static [&'static str] {
        match self.core {
            Core::Prebuilt => &[],
            Core::FromSource => &["-Z", "build-std=core"],
        }
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Prebuilt => "prebuilt core",
            Core::FromSource => "core from source",
        };
        write!(f, "{}: rustc {}, {core}, bpf-linker", self.kind.name(), self.release)
    }
}

/// What was found of one kind: a toolchain, or what it lacks.
#[derive(Debug)]
pub struct Finding {
    pub kind: Kind,
    pub toolchain: Result<Toolchain, Vec<String>>,
}

/// What this machine has, in order of preference.
#[derive(Debug)]
pub struct Survey {
    findings: Vec<Finding>,
}

impl Survey {
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The kinds that were looked for.
    pub fn allows(&self, kind: Kind) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind)
    }

    /// The preferred one of those that lack nothing.
    pub fn into_complete(self) -> Option<Toolchain> {
        self.findings.into_iter().find_map(|finding| finding.toolchain.ok())
    }
}

/// Looks for the kinds the user allows; stops at the first complete one.
///
/// # Errors
/// When the override has a value that means nothing.
pub fn survey(context: &Context) -> Result<Survey> {
    let mut findings = Vec::new();
    for kind in kinds(env::var(OVERRIDE).ok().as_deref())? {
        let toolchain = match kind {
            Kind::Nightly => nightly::find(context),
            Kind::Debian => debian::find(context),
        };
        let complete = toolchain.is_ok();
        findings.push(Finding { kind, toolchain });
        if complete {
            break;
        }
    }
    Ok(Survey { findings })
}

fn kinds(chosen: Option<&str>) -> Result<Vec<Kind>> {
    match chosen {
        None | Some("") => Ok(vec![Kind::Nightly, Kind::Debian]),
        Some("nightly") => Ok(vec![Kind::Nightly]),
        Some("debian") => Ok(vec![Kind::Debian]),
        Some(other) => bail!("{OVERRIDE} is '{other}'; it can be 'nightly' or 'debian'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(kind: Kind) -> Toolchain {
        Toolchain { kind, core: Core::Prebuilt, release: "1.96.0".into() }
    }

    #[test]
    fn nightly_goes_first_unless_overridden() {
        assert_eq!(kinds(None).unwrap(), [Kind::Nightly, Kind::Debian]);
        assert_eq!(kinds(Some("")).unwrap(), [Kind::Nightly, Kind::Debian]);
        assert_eq!(kinds(Some("debian")).unwrap(), [Kind::Debian]);
        assert_eq!(kinds(Some("nightly")).unwrap(), [Kind::Nightly]);
        let error = kinds(Some("gcc")).unwrap_err().to_string();
        assert_eq!(error, "SHUTDOWN_PROBE_BPF_TOOLCHAIN is 'gcc'; it can be 'nightly' or 'debian'");
    }

    #[test]
    fn the_first_complete_one_is_taken() {
        let incomplete = Finding { kind: Kind::Nightly, toolchain: Err(vec!["rust-src".into()]) };
        let complete = Finding { kind: Kind::Debian, toolchain: Ok(toolchain(Kind::Debian)) };
        let survey = Survey { findings: vec![incomplete, complete] };
        assert_eq!(survey.into_complete(), Some(toolchain(Kind::Debian)));
        assert_eq!(Survey { findings: vec![] }.into_complete(), None);
    }

    #[test]
    fn core_is_built_only_where_there_is_none() {
        let built = Toolchain { core: Core::FromSource, ..toolchain(Kind::Nightly) };
        assert_eq!(built.core_arguments(), ["-Z", "build-std=core"]);
        assert!(toolchain(Kind::Debian).core_arguments().is_empty());
    }
}
