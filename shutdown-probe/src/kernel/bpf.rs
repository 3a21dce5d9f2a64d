//! eBPF: the system call, the kernel's description of itself, and each hook.

use super::Check;
use crate::probe::btf::Btf;
use crate::probe::layout;
use crate::probe::spec::{PROBES, Place, Spec, Variant};
use crate::probe::{self, Probes, Status};
use aya::maps::MapType;
use aya::sys::is_map_supported;
use std::fs;
use std::io;

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
/// A ring that costs next to nothing, for the moment of the trial.
const TRIAL_RING_BYTES: u32 = 64 << 10;

/// The system call, the types, and every probe's hooks.
pub fn checks() -> Vec<Check> {
    let mut checks = vec![system_call()];
    let (btf, types) = types();
    checks.push(types);
    if let Some(btf) = btf {
        checks.push(structures(&btf));
        checks.extend(PROBES.iter().map(|spec| hooks(spec, &btf)));
    }
    checks
}

fn system_call() -> Check {
    const NAME: &str = "bpf()";
    match is_map_supported(MapType::RingBuf) {
        Ok(true) => Check::yes(NAME, "works, and has ring buffers"),
        Ok(false) => Check::no(NAME, "has no ring buffers", "Linux 5.8 or newer is needed"),
        Err(error) if error.io_error.kind() == io::ErrorKind::PermissionDenied => {
            Check::unknown(NAME, "not permitted to try", "run doctor as root")
        }
        Err(error) => {
            Check::no(NAME, error.io_error.to_string(), "a kernel with CONFIG_BPF_SYSCALL is needed")
        }
    }
}

fn types() -> (Option<Btf>, Check) {
    const NAME: &str = "BTF";
    let bytes = match fs::read(BTF_PATH) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let remedy =
                "a kernel with CONFIG_DEBUG_INFO_BTF is needed; in a container, /sys must be the host's";
            return (None, Check::no(NAME, format!("there is no {BTF_PATH}"), remedy));
        }
        Err(error) => {
            return (None, Check::unknown(NAME, format!("{BTF_PATH}: {error}"), "run doctor as root"));
        }
    };
    let size = bytes.len() >> 10;
    match Btf::parse(bytes) {
        Ok(btf) => (Some(btf), Check::yes(NAME, format!("{BTF_PATH}, {size} KiB"))),
        Err(error) => (None, Check::no(NAME, error.to_string(), "report this with the kernel's release")),
    }
}

fn structures(btf: &Btf) -> Check {
    const NAME: &str = "kernel structures";
    match layout::resolve(btf) {
        Ok(layout) => Check::yes(NAME, format!("{} members found", layout.len())),
        Err(error) => Check::no(NAME, error.to_string(), "a kernel from 6.1 on is known to have all of them"),
    }
}

fn hooks(spec: &'static Spec, btf: &Btf) -> Check {
    let name = format!("probe {}", spec.name);
    let check = match spec.choose(btf) {
        Some(variant) => Check::yes(name, described(variant, btf)),
        None => {
            let fates: Vec<&str> = spec.fates_lost.iter().map(|fate| fate.as_str()).collect();
            let remedy = match (spec.required, fates.as_slice()) {
                (true, _) => "a newer kernel is needed".to_owned(),
                (false, []) => "nothing: some details will be missing".to_owned(),
                (false, fates) => format!("nothing: not measured will be {}", fates.join(", ")),
            };
            Check::no(name, spec.lack(btf), remedy)
        }
    };
    if spec.required { check } else { check.optional() }
}

fn described(variant: &Variant, btf: &Btf) -> String {
    let place = |place: Place| match place {
        Place::Tracepoint(hook) => {
            let arguments = btf.hook_arguments(hook).unwrap_or_default();
            format!("{place} ({arguments} arguments)")
        }
        Place::Function(_) | Place::Return(_) | Place::Iterator(_) => place.to_string(),
    };
    let places: Vec<String> = variant.programs.iter().map(|program| place(program.place)).collect();
    places.join(", ")
}

/// Attaches every probe for a moment.
pub fn attach() -> Check {
    let settings = probe::Settings { ring_bytes: TRIAL_RING_BYTES, ..probe::Settings::default() };
    match Probes::attach(&settings) {
        Ok(probes) => {
            let verdicts = probes.verdicts();
            let missing: Vec<String> = verdicts
                .iter()
                .filter(|verdict| verdict.status != Status::Attached)
                .map(|verdict| format!("{} ({})", verdict.probe, verdict.reason))
                .collect();
            let running = verdicts.len() - missing.len();
            let finding = format!("tried: {running} of {} probes run", verdicts.len());
            if missing.is_empty() {
                return Check::yes(ATTACHMENT, finding);
            }
            let remedy = "nothing: what depends on the others will be not measured";
            Check::no(ATTACHMENT, format!("{finding}, not {}", missing.join(", ")), remedy).optional()
        }
        Err(error) => Check::no(ATTACHMENT, error.to_string(), "what is said above first; then report this"),
    }
}

const ATTACHMENT: &str = "attachment";

/// Where it is clear that they could not be.
pub fn not_attached() -> Check {
    Check::unknown(ATTACHMENT, "not tried, since what is needed is missing", "what is said above").optional()
}
