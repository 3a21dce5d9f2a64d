//! `vm`: the kernels of several Debian releases, booted, and all that needs a kernel run on each.
//!
//! Invariant: a kernel has a verdict or an error; none is left out in silence. The machine's own kernel is the
//! business of `test`.

mod cpio;
mod diagnosis;
pub mod guest;
mod image;
mod matrix;
pub mod own;
mod package;
mod page;
mod protocol;
mod qemu;
mod record;
mod steps;
mod verdict;

use crate::build::{self, Profile};
use crate::context::Context;
use crate::failure::MissingTool;
use crate::setup;
use crate::terminal::{clock, stdout};
use crate::test::kernel as kernel_tests;
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use matrix::{Expected, Kernel};
use protocol::{Message, Plan};
use qemu::{Machine, Processor, Run};
use record::{Records, Shown};
use std::cell::Cell;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steps::{Extent, PROGRAMS_TEST, Programs};
use verdict::Proof;

/// What can be typed after `cargo xtask vm`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only these kernels; 'own' is the machine's, without a virtual machine and as root
    #[arg(value_name = "VERSION")]
    versions: Vec<String>,
    /// List the kernels and what is expected of each
    #[arg(long)]
    list: bool,
    /// Keep what the machines were made of and what they said, at target/vm
    #[arg(long)]
    keep: bool,
    /// Emulate the processor even where KVM could lend the machine's own
    #[arg(long)]
    emulate: bool,
    /// Do only a part of it
    #[arg(long, value_enum, value_name = "PART", conflicts_with = "write")]
    only: Option<Extent>,
    /// Accept what the kernels show: docs/kernels.md, xtask/kernels.json, shutdown-probe/tests/btf
    #[arg(long)]
    write: bool,
    /// Run nothing, and write only shutdown-probe/tests/btf: after the probe has begun to look at more
    #[arg(long, conflicts_with_all = ["write", "only"])]
    btf: bool,
}

/// How long a guest may take to boot.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// The same with a processor that was lent, which takes a second or will never do.
const LENT_BOOT_LIMIT: Duration = Duration::from_secs(20);

/// Boots the kernels one after the other.
///
/// # Errors
/// When one does not do what is expected of it, or nothing could be booted at all.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let versions: Vec<String> = arguments.versions.iter().filter(|name| *name != own::OWN).cloned().collect();
    let only_own = versions.is_empty() && !arguments.versions.is_empty();
    let kernels = if only_own { Vec::new() } else { matrix::select(&versions)? };
    if arguments.list {
        for kernel in kernels {
            println!("{:<6} {:<18} {}", kernel.version, kernel.suite, expected(kernel));
        }
        return Ok(());
    }
    let mut findings = Findings { context, arguments, records: Records::load(context)?, failed: Vec::new() };
    if versions.len() < arguments.versions.len() {
        let begun = Instant::now();
        let (version, proof) = own::prove(context)?;
        findings.take(&version, own::OWN, Ok(proof), begun.elapsed());
    }
    if !kernels.is_empty() {
        boot(context, arguments, &kernels, &mut findings)?;
    }
    findings.conclude()
}

fn boot(
    context: &Context,
    arguments: &Arguments,
    kernels: &[&Kernel],
    findings: &mut Findings<'_>,
) -> Result<()> {
    ensure!(
        ARCH == "x86_64",
        "the guests run what was built for {ARCH}, and there is no machine for that here yet"
    );
    setup::ensure_virtual_machines(context)?;
    let programs = build(context, arguments)?;
    let workshop = Workshop::open(context, arguments, &programs)?;
    for kernel in kernels {
        let begun = Instant::now();
        if arguments.btf {
            let path = context.workspace.btf_fixture(kernel.version);
            fs::write(&path, workshop.btf(kernel, &programs)?).with_context(|| path.display().to_string())?;
            println!("{:<6} {:>6}  {}", kernel.version, clock(begun.elapsed()), path.display());
        } else {
            let proof = workshop.prove(kernel, &programs);
            findings.take(kernel.version, kernel.version, proof, begun.elapsed());
        }
    }
    workshop.close(arguments.keep)
}

/// docs/kernels.md, as it should be.
///
/// # Errors
/// When what is recorded cannot be read.
pub fn page(context: &Context) -> Result<String> {
    Ok(page::render(&Records::load(context)?))
}

/// The tests that need Node, Python, Go and Java, which no guest has. What they ask of the kernel, others ask too.
const OF_SERVERS: &str = "kernel_check";

fn build(context: &Context, arguments: &Arguments) -> Result<Programs> {
    build::run(context, Profile::Release)?;
    if arguments.btf {
        return Ok(Programs::only_daemon(context));
    }
    let extent = arguments.only.unwrap_or_default();
    if extent == Extent::All {
        build::package(context, "zoo", Profile::Release)?;
    }
    let mut tests = kernel_tests::build(context, Profile::Release)?;
    tests.retain(|test| test.name != OF_SERVERS && (extent > Extent::Load || test.name == PROGRAMS_TEST));
    Ok(Programs::new(context, extent, tests))
}

/// What was found, against what is recorded, or to be recorded.
struct Findings<'a> {
    context: &'a Context,
    arguments: &'a Arguments,
    records: Records,
    failed: Vec<String>,
}

impl Findings<'_> {
    /// `typed`: the name by which the kernel was asked for.
    fn take(&mut self, version: &str, typed: &str, proof: Result<Proof>, took: Duration) {
        let proof = proof.and_then(|proof| {
            if self.arguments.write {
                let path = self.context.workspace.btf_fixture(version);
                fs::write(&path, &proof.btf).with_context(|| path.display().to_string())?;
                self.records.put(version, proof.record.clone());
            } else if let Some(programs) = proof.record.programs() {
                self.records.compare(version, typed, programs)?;
            }
            Ok(proof)
        });
        println!("{}", verdict_line(version, &proof, took));
        self.failed.extend(proof.is_err().then(|| typed.to_owned()));
    }

    /// Writes what went well, and tells what did not.
    fn conclude(self) -> Result<()> {
        if self.arguments.write {
            self.records.store(self.context)?;
            let path = self.context.workspace.kernels_doc();
            fs::write(&path, page::render(&self.records)).with_context(|| path.display().to_string())?;
        }
        let failed = &self.failed;
        if !failed.is_empty() {
            bail!("not as expected: {}; repeat with: cargo xtask vm {}", failed.join(", "), failed.join(" "));
        }
        Ok(())
    }
}

fn expected(kernel: &Kernel) -> String {
    match kernel.expected {
        Expected::Carries => "all probes run".to_owned(),
        Expected::Refuses(reason) => format!("refused: {reason}"),
    }
}

fn verdict_line(version: &str, proof: &Result<Proof>, took: Duration) -> String {
    let palette = stdout();
    let (verdict, text) = match proof {
        Ok(Proof { record, .. }) => {
            let release = &record.release;
            let text = match &record.shown {
                Shown::Carries { tests, cases, programs } => {
                    format!("{release}: {} programs, {tests} tests, {cases} cases", programs.len())
                }
                Shown::Refuses(reason) => format!("{release}: refused, as it should be: {reason}"),
            };
            (palette.green("ok"), text)
        }
        Err(error) => (palette.red("FAILED"), format!("{error:#}")),
    };
    format!("{version:<6} {:>6}  {verdict}  {text}", clock(took))
}

/// Where machines are put together.
struct Workshop<'a> {
    context: &'a Context,
    directory: PathBuf,
    processor: Cell<Processor>,
    program: PathBuf,
    /// What all guests have.
    base: Vec<u8>,
}

impl<'a> Workshop<'a> {
    fn open(context: &'a Context, arguments: &Arguments, programs: &Programs) -> Result<Self> {
        let directory = context.workspace.target().join("vm");
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let program = context.search_path.find(qemu::PROGRAM);
        let program =
            program.ok_or_else(|| MissingTool::new(format!("no {}", qemu::PROGRAM), [] as [&str; 0]))?;
        let base = image::base(context, &programs.paths(), &[context.workspace.daemon_crate()])?;
        let lent = !arguments.emulate && Processor::can_be_lent();
        let processor = Cell::new(if lent { Processor::Lent } else { Processor::Emulated });
        Ok(Self { context, directory, processor, program, base })
    }

    /// Boots the kernel, has it do what a guest does, and judges.
    fn prove(&self, kernel: &Kernel, programs: &Programs) -> Result<Proof> {
        let run = self.run(kernel, &steps::plan(self.context, programs, kernel)?)?;
        print_steps(kernel, &run);
        verdict::judge(kernel, &run, programs.extent)
    }

    /// Boots the kernel for its BTF alone.
    fn btf(&self, kernel: &Kernel, programs: &Programs) -> Result<Vec<u8>> {
        verdict::btf(&self.run(kernel, &steps::btf_plan(self.context, &programs.daemon)?)?)
    }

    fn run(&self, kernel: &Kernel, plan: &Plan) -> Result<Run> {
        let image = package::fetch(self.context, kernel)?;
        println!("{}", stdout().bold(format!("{} ({})", kernel.version, image.package)));
        let limits = plan.steps.iter().map(|step| Duration::from_secs(step.limit_seconds));
        let initrd = self.file(kernel, "initrd");
        fs::write(&initrd, [self.base.as_slice(), &image::plan(plan)?].concat())?;
        self.boot(kernel, &image.path, &initrd, limits.sum())
    }

    /// Boots it with the processor that works here.
    fn boot(&self, kernel: &Kernel, image: &Path, initrd: &Path, limit: Duration) -> Result<Run> {
        let processor = self.processor.get();
        let boot_limit = if processor == Processor::Lent { LENT_BOOT_LIMIT } else { BOOT_LIMIT };
        let machine = Machine {
            program: self.program.clone(),
            kernel: image,
            initrd,
            messages: self.file(kernel, "messages"),
            processor,
            needs_cmpxchg16b: kernel.needs_cmpxchg16b,
            boot_limit,
            limit: limit + boot_limit,
        };
        let run = machine.run(prefixed(kernel.version))?;
        if run.messages.is_empty() && processor == Processor::Lent {
            println!("{:<6} does not boot with KVM; the processor is emulated from now on", kernel.version);
            self.processor.set(Processor::Emulated);
            return self.boot(kernel, image, initrd, limit);
        }
        Ok(run)
    }

    fn file(&self, kernel: &Kernel, name: &str) -> PathBuf {
        self.directory.join(format!("{}.{name}", kernel.version))
    }

    fn close(self, keep: bool) -> Result<()> {
        if keep {
            println!("kept: {}", self.directory.display());
            return Ok(());
        }
        for kernel in &matrix::KERNELS {
            for file in ["initrd", "messages"].map(|name| self.file(kernel, name)) {
                if file.exists() {
                    fs::remove_file(&file).with_context(|| file.display().to_string())?;
                }
            }
        }
        Ok(())
    }
}

fn prefixed(version: &'static str) -> impl Fn(&str) + Send + 'static {
    move |line| println!("{version:<5}| {line}")
}

fn print_steps(kernel: &Kernel, run: &Run) {
    for message in &run.messages {
        if let Message::Ran(ran) = message {
            println!("{:<6} {:<16} {:>6.1} s  {}", kernel.version, ran.step, ran.seconds, ran.outcome);
        }
    }
}
