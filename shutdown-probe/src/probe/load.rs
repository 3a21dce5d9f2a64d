//! Loads the kernel side's object and attaches its programs, one at a time.

use super::btf::Btf;
use super::error::ProbeError;
use super::spec::{FRAMING, PROBES, Place, Program, Spec};
use super::verdict::{Outcome, Verdict, judge};
use super::{Settings, Watch};
use super::{kfunc, layout};
use aya::programs::{BtfTracePoint, FEntry, FExit, Iter, Program as Loaded, ProgramError, RawTracePoint};
use aya::{Ebpf, EbpfError, EbpfLoader};
use std::error::Error;
use std::fs;
use std::io::{self, Read};

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
/// How much of the verifier's log a reason carries, in bytes, from its end.
const LOG_TAIL: usize = 800;
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/shutdown-probe-ebpf"));

/// The running kernel's types, as this project reads them and as aya does.
pub struct Kernel {
    /// For offsets and prototypes.
    pub btf: Btf,
    aya: aya::Btf,
}

impl Kernel {
    /// Reads them.
    pub fn read() -> Result<Self, ProbeError> {
        let bytes = fs::read(BTF_PATH).map_err(|_| ProbeError::NoBtf)?;
        let btf = Btf::parse(bytes)?;
        let aya = aya::Btf::from_sys_fs().map_err(|error| ProbeError::Object(error.to_string()))?;
        Ok(Self { btf, aya })
    }
}

/// Makes the maps, with this kernel's offsets and these settings in the constants.
pub fn load(settings: &Settings, kernel: &Kernel) -> Result<Ebpf, ProbeError> {
    let mut constants = layout::resolve(&kernel.btf)?;
    constants.push(("STOP_SIGNALS", mask(&settings.stop_signals)));
    constants.extend(layout::resolve_message(&kernel.btf).unwrap_or_default());
    constants.push(("PROTOCOLS", settings.protocols.mask()));
    constants.push(("WATCH_ALL", u64::from(settings.watch == Watch::All)));
    let mut loader = EbpfLoader::new();
    loader.btf(Some(&kernel.aya)).map_max_entries("EVENTS", settings.ring_bytes);
    for (symbol, value) in &constants {
        loader.override_global(symbol, value, true);
    }
    let object = kfunc::resolve(OBJECT, &kernel.btf);
    let mut ebpf = loader.load(bytemuck::cast_slice(&object)).map_err(unloadable)?;
    let narration: &mut RawTracePoint = program(&mut ebpf, "set_narration")?;
    narration.load().map_err(|error| refused("set_narration", &error))?;
    Ok(ebpf)
}

fn mask(signals: &[i32]) -> u64 {
    let bits = signals.iter().filter(|signal| (1..=64).contains(*signal)).map(|signal| 1 << (signal - 1));
    bits.fold(0, |mask, bit: u64| mask | bit)
}

fn unloadable(error: EbpfError) -> ProbeError {
    match io_cause(&error) {
        Some(cause) if is_forbidden(cause) => ProbeError::NotPermitted,
        Some(cause) if cause.raw_os_error() == Some(ENOSYS) => ProbeError::NoBpf,
        _ => ProbeError::Object(chain(&error)),
    }
}

fn refused(probe: &'static str, error: &ProgramError) -> ProbeError {
    match io_cause(error) {
        Some(cause) if is_forbidden(cause) => ProbeError::NotPermitted,
        _ => ProbeError::Required { probe, reason: reason(error) },
    }
}

/// The verifier's refusal is another: EACCES.
fn is_forbidden(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EPERM)
}

fn io_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The kernel's answer, and the end of what its verifier said.
fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let begin = log.len().saturating_sub(LOG_TAIL);
            let begin = (begin..=log.len()).find(|&at| log.is_char_boundary(at)).unwrap_or(log.len());
            format!("{io_error}; the verifier: {}", log[begin..].trim())
        }
        error => chain(error),
    }
}

fn program<'a, T>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut T, ProbeError>
where
    &'a mut T: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name);
    let program = program.ok_or_else(|| ProbeError::Object(format!("it has no program {name}")))?;
    program.try_into().map_err(|_| ProbeError::Object(format!("program {name} is of another type")))
}

/// Attaches every probe but the one that looks at what exists.
///
/// # Errors
/// [`ProbeError::Required`] or [`ProbeError::NotPermitted`] when one cannot do without.
pub fn attach(ebpf: &mut Ebpf, kernel: &Kernel, settings: &Settings) -> Result<Vec<Verdict>, ProbeError> {
    let hooks = PROBES.iter().filter(|spec| spec.name != EXISTING);
    hooks
        .map(|spec| {
            let obstacle = if spec.name == FRAMING { no_framing(kernel, settings) } else { None };
            match obstacle {
                Some(outcome) => Ok(judge(spec, outcome)),
                None => attach_probe(ebpf, kernel, spec),
            }
        })
        .collect()
}

/// Why payload is not looked at.
fn no_framing(kernel: &Kernel, settings: &Settings) -> Option<Outcome> {
    if settings.protocols.is_empty() {
        return Some(Outcome::SwitchedOff);
    }
    layout::resolve_message(&kernel.btf).err().map(|error| Outcome::Lacking(error.to_string()))
}

const EXISTING: &str = "existing";

/// Looks at the processes and sockets that exist. Needs the cgroups in the maps.
pub fn look_around(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<Vec<Verdict>, ProbeError> {
    let iterators = PROBES.iter().filter(|spec| spec.name == EXISTING);
    iterators.map(|spec| attach_probe(ebpf, kernel, spec)).collect()
}

fn attach_probe(ebpf: &mut Ebpf, kernel: &Kernel, spec: &'static Spec) -> Result<Verdict, ProbeError> {
    let outcome = match attach_best(ebpf, kernel, spec) {
        None => Outcome::Lacking(spec.lack(&kernel.btf)),
        Some(Ok(())) => Outcome::Attached,
        Some(Err(error)) if spec.required => return Err(refused(spec.name, &error)),
        Some(Err(error)) => Outcome::Refused(reason(&error)),
    };
    match &outcome {
        Outcome::Lacking(reason) if spec.required => {
            Err(ProbeError::Required { probe: spec.name, reason: reason.clone() })
        }
        _ => Ok(judge(spec, outcome)),
    }
}

/// Attaches the best variant that the kernel offers and takes. Nothing: it offers none.
fn attach_best(ebpf: &mut Ebpf, kernel: &Kernel, spec: &'static Spec) -> Option<Result<(), ProgramError>> {
    let mut refusal = None;
    for variant in spec.offered(&kernel.btf) {
        match start_all(ebpf, kernel, variant.programs) {
            Ok(()) => return Some(Ok(())),
            Err(error) => refusal = refusal.or(Some(Err(error))),
        }
    }
    refusal
}

/// Starts all of them, or none.
fn start_all(ebpf: &mut Ebpf, kernel: &Kernel, programs: &[Program]) -> Result<(), ProgramError> {
    for (index, program) in programs.iter().enumerate() {
        if let Err(error) = start(ebpf, kernel, program) {
            programs[..index].iter().for_each(|program| stop(ebpf, program));
            return Err(error);
        }
    }
    Ok(())
}

/// Unloading detaches as well.
fn stop(ebpf: &mut Ebpf, program: &Program) {
    // It was loaded a moment ago; one that is not is stopped already.
    let _ = match ebpf.program_mut(program.name) {
        Some(Loaded::BtfTracePoint(program)) => program.unload(),
        Some(Loaded::FEntry(program)) => program.unload(),
        Some(Loaded::FExit(program)) => program.unload(),
        _ => Ok(()),
    };
}

fn start(ebpf: &mut Ebpf, kernel: &Kernel, program: &Program) -> Result<(), ProgramError> {
    let found = ebpf.program_mut(program.name).ok_or(ProgramError::UnexpectedProgramType)?;
    match program.place {
        Place::Tracepoint(hook) => {
            let program: &mut BtfTracePoint = found.try_into()?;
            program.load(hook, &kernel.aya)?;
            program.attach()?;
        }
        Place::Function(function) => {
            let program: &mut FEntry = found.try_into()?;
            program.load(function, &kernel.aya)?;
            program.attach()?;
        }
        Place::Return(function) => {
            let program: &mut FExit = found.try_into()?;
            program.load(function, &kernel.aya)?;
            program.attach()?;
        }
        Place::Iterator(kind) => {
            let program: &mut Iter = found.try_into()?;
            program.load(kind, &kernel.aya)?;
            run(program)?;
        }
    }
    Ok(())
}

/// Runs an iterator to its end. It writes nothing: reading drives it.
fn run(program: &mut Iter) -> Result<(), ProgramError> {
    let link = program.attach()?;
    let link = program.take_link(link)?;
    let mut file = link.into_file().map_err(|error| {
        let io_error = io::Error::other(error);
        aya::sys::SyscallError { call: "bpf_iter_create", io_error }
    })?;
    let read = file.read_to_end(&mut Vec::new());
    read.map_err(|io_error| aya::sys::SyscallError { call: "read", io_error })?;
    Ok(())
}
