//! Puts the running kernel's numbers into the calls of [`shutdown_probe_common::kfunc`].

use super::btf::Btf;
use shutdown_probe_common::kfunc::DYNPTR_FROM_SKB;

/// A kernel function that is called by its number.
struct Function {
    mark: u64,
    name: &'static str,
    /// The instruction where the kernel does not have it.
    otherwise: u64,
}

/// `r0 = -1`.
const ERROR: u64 = 0xFFFF_FFFF_0000_00B7;

const FUNCTIONS: [Function; 1] =
    [Function { mark: DYNPTR_FROM_SKB, name: "bpf_dynptr_from_skb", otherwise: ERROR }];

const NUMBER_SHIFT: u32 = 32;

/// The object with every mark replaced, in words: its sections have to be aligned.
pub fn resolve(object: &[u8], btf: &Btf) -> Vec<u64> {
    let calls =
        FUNCTIONS.map(|function| (function.mark, instruction(&function, btf.function(function.name))));
    let words = object.chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    });
    words.map(|word| calls.iter().find(|(mark, _)| *mark == word).map_or(word, |(_, call)| *call)).collect()
}

fn instruction(function: &Function, number: Option<u32>) -> u64 {
    match number {
        None => function.otherwise,
        Some(number) => u64::from(number) << NUMBER_SHIFT | function.mark & u64::from(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::OBJECT;
    use super::*;

    #[test]
    fn a_mark_becomes_a_call_or_does_without() {
        let [function] = FUNCTIONS;
        assert_eq!(instruction(&function, Some(7)), 0x0000_0007_0000_2085);
        assert_eq!(instruction(&function, None), ERROR);
    }

    #[test]
    fn no_mark_is_left_in_the_object() {
        let marked =
            |words: &[u64]| FUNCTIONS.map(|it| words.iter().filter(|word| **word == it.mark).count());
        let words: &[u64] = bytemuck::cast_slice(&OBJECT[..OBJECT.len() / 8 * 8]);
        assert!(marked(words).iter().all(|count| *count > 0), "{:?}", marked(words));
        let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        assert_eq!(marked(&resolve(OBJECT, &btf)), [0]);
    }
}
