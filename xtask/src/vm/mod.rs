//! `vm`: the kernels of several Debian releases, booted, and all that needs a kernel run on each.
//!
//! Invariant: a kernel has a verdict or an error; none is left out in silence. The machine's own kernel is the
//! business of `test`.

mod cpio;
pub mod guest;
mod image;
mod matrix;
mod package;
mod page;
mod protocol;
mod qemu;
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
use page::Page;
use protocol::Message;
use qemu::{Machine, Processor, Run};
use std::cell::Cell;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steps::Programs;
use verdict::{Proof, Shown};

/// What can be typed after `cargo xtask vm`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only these kernels
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
    /// Write docs/kernels.md from what the kernels show
    #[arg(long)]
    write_docs: bool,
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
    let kernels = matrix::select(&arguments.versions)?;
    if arguments.list {
        kernels
            .iter()
            .for_each(|kernel| println!("{:<6} {:<18} {}", kernel.version, kernel.suite, expected(kernel)));
        return Ok(());
    }
    ensure!(
        ARCH == "x86_64",
        "the guests run what was built for {ARCH}, and there is no machine for that here yet"
    );
    setup::ensure_virtual_machines(context)?;
    let programs = build(context)?;
    let workshop = Workshop::open(context, arguments, &programs)?;
    let mut page = Page::parse(&fs::read_to_string(context.workspace.kernels_doc()).unwrap_or_default());
    let mut failed = Vec::new();
    for kernel in kernels {
        let begun = Instant::now();
        let proof = workshop.prove(kernel, &programs).and_then(|proof| {
            if arguments.write_docs {
                page.put(&proof);
                return Ok(proof);
            }
            page.compare(&proof).map(|()| proof)
        });
        println!("{}", verdict_line(kernel, &proof, begun.elapsed()));
        failed.extend(proof.is_err().then_some(kernel.version));
    }
    workshop.close(arguments.keep)?;
    if !failed.is_empty() {
        bail!("not as expected: {}; repeat with: cargo xtask vm {}", failed.join(", "), failed.join(" "));
    }
    if arguments.write_docs {
        let path = context.workspace.kernels_doc();
        fs::write(&path, page.render()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn build(context: &Context) -> Result<Programs> {
    build::run(context, Profile::Release)?;
    build::package(context, "zoo", Profile::Release)?;
    Ok(Programs::new(context, kernel_tests::build(context, Profile::Release)?))
}

fn expected(kernel: &Kernel) -> String {
    match kernel.expected {
        Expected::Carries => "all probes run".to_owned(),
        Expected::Refuses(reason) => format!("refused: {reason}"),
    }
}

fn verdict_line(kernel: &Kernel, proof: &Result<Proof>, took: Duration) -> String {
    let palette = stdout();
    let (verdict, text) = match proof {
        Ok(Proof { release, shown: Shown::Carries { tests, cases, programs }, .. }) => {
            let text = format!("{release}: {} programs, {tests} tests, {cases} cases", programs.len());
            (palette.green("ok"), text)
        }
        Ok(Proof { release, shown: Shown::Refuses(reason), .. }) => {
            (palette.green("ok"), format!("{release}: refused, as it should be: {reason}"))
        }
        Err(error) => (palette.red("FAILED"), format!("{error:#}")),
    };
    format!("{:<6} {:>6}  {verdict}  {text}", kernel.version, clock(took))
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
        let image = package::fetch(self.context, kernel)?;
        println!("{}", stdout().bold(format!("{} ({})", kernel.version, image.package)));
        let plan = steps::plan(self.context, programs, kernel.expected)?;
        let limits = plan.steps.iter().map(|step| Duration::from_secs(step.limit_seconds));
        let initrd = self.file(kernel, "initrd");
        fs::write(&initrd, [self.base.as_slice(), &image::plan(&plan)?].concat())?;
        let run = self.boot(kernel, &image.path, &initrd, limits.sum())?;
        print_steps(kernel, &run);
        verdict::judge(kernel, &run)
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
