//! The part of a kernel's BTF that decides what the probe can do there.

use super::btf::extract::{Questions, extract};
use super::btf::{Btf, BtfError};
use super::layout;
use super::spec::{PROBES, Place};

/// Cuts it out of the whole.
///
/// # Errors
/// [`BtfError`] says why the bytes are not BTF.
pub fn excerpt(bytes: Vec<u8>) -> Result<Vec<u8>, BtfError> {
    Ok(extract(&Btf::parse(bytes)?, &questions()))
}

/// All that is ever asked of a kernel's types.
fn questions() -> Questions {
    let mut questions = Questions {
        members: layout::members().collect(),
        sizes: layout::SIZES.to_vec(),
        enumerations: layout::ENUMERATIONS.to_vec(),
        ..Questions::default()
    };
    for variant in PROBES.iter().flat_map(|probe| probe.variants) {
        questions.functions.extend(variant.calls.iter().map(ToString::to_string));
        for program in variant.programs {
            match program.place {
                Place::Tracepoint(hook) => questions.hooks.push(hook),
                Place::Function(function) | Place::Return(function) => {
                    questions.functions.push(function.to_owned());
                }
                Place::Iterator(kind) => questions.functions.push(format!("bpf_iter_{kind}")),
            }
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_answers_as_the_whole() {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
        let part = excerpt(bytes.clone()).unwrap();
        assert!(part.len() < 16 << 10, "{} bytes", part.len());
        let (whole, part) = (Btf::parse(bytes).unwrap(), Btf::parse(part).unwrap());
        assert_eq!(layout::resolve(&part).unwrap(), layout::resolve(&whole).unwrap());
        assert_eq!(layout::resolve_message(&part).unwrap(), layout::resolve_message(&whole).unwrap());
        for probe in PROBES {
            let chosen = |btf| probe.choose(btf).map(|variant| variant.programs);
            assert_eq!(chosen(&part), chosen(&whole), "{}", probe.name);
            for place in
                probe.variants.iter().flat_map(|variant| variant.programs).map(|program| program.place)
            {
                assert_eq!(place.exists(&part), place.exists(&whole), "{place}");
                if let Place::Tracepoint(hook) = place {
                    assert_eq!(part.hook_arguments(hook), whole.hook_arguments(hook), "{place}");
                }
            }
        }
    }
}
