//! The machine's own kernel: what its verifier makes of the programs, in a few seconds and as root.

use super::diagnosis::Diagnosis;
use super::record::{Origin, Programs, Record, Records, Shown, head, numbers};
use super::steps::{PROGRAMS_TEST, PROGRAMS_VARIABLE};
use super::verdict::{self, Proof};
use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::test::kernel as kernel_tests;
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// As it is typed.
pub const OWN: &str = "own";

/// The test that writes the list of programs.
const TEST: &str = "programs::the_programs_of_the_best_variants_run_and_no_others";

/// Asks it, and gives the version under which it is recorded: 6.18 of 6.18.44.
///
/// # Errors
/// When a probe does not run, or root's rights cannot be had.
pub fn prove(context: &Context) -> Result<(String, Proof)> {
    build::run(context, Profile::Release)?;
    kernel_tests::run_one(context, PROGRAMS_TEST, TEST)?;
    let programs = read(context)?.context("the test has left no list of programs")?;
    let daemon = context.workspace.daemon(Profile::Release);
    let why = "attach the probes for a moment";
    let doctor = context.elevation.command(&daemon, &[], why)?.args(["doctor", "--json"]).output();
    let diagnosis = Diagnosis::parse(&String::from_utf8_lossy(&doctor.context("doctor")?.stdout))?;
    let btf = Command::new(&daemon).args(["generate", "btf"]).output().context("the kernel's BTF")?.stdout;
    let release = release()?;
    let version = numbers(&release).iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(".");
    let shown = Shown::Carries { tests: 1, cases: 0, programs };
    let record = Record { release, origin: Origin::Own, shown, probes: diagnosis.probes() };
    Ok((version, Proof { record, btf }))
}

/// Holds the list that the kernel tests have just left to what is recorded, where this very kernel is.
///
/// # Errors
/// Each program that has grown too much, or that is not known.
pub fn compare(context: &Context) -> Result<()> {
    let records = Records::load(context)?;
    let release = release()?;
    let Some(version) = records.own(&release) else {
        println!("the verifier's work is not compared: {release} is not in xtask/kernels.json");
        return Ok(());
    };
    let programs = read(context)?.context("the kernel tests have left no list of programs")?;
    records.compare(version, OWN, &programs)
}

/// What tells the test of programs where to leave its list, which is gone until then.
///
/// # Errors
/// When an old list cannot be removed.
pub fn variable(context: &Context) -> Result<(&'static str, OsString)> {
    let list = list(context);
    if list.exists() {
        fs::remove_file(&list).with_context(|| list.display().to_string())?;
    }
    Ok((PROGRAMS_VARIABLE, list.into()))
}

fn list(context: &Context) -> PathBuf {
    context.workspace.target().join("programs")
}

fn read(context: &Context) -> Result<Option<Programs>> {
    fs::read_to_string(list(context)).ok().map(|text| verdict::programs(&text)).transpose()
}

fn release() -> Result<String> {
    let release = command::read(Command::new("uname").arg("-r"))?;
    Ok(head(release.trim()).to_owned())
}
