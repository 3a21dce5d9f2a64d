//! Reads the running kernel's BTF: where its structures keep their members, and what its hooks are
//! given. Enough of the format for that, and no more.
//!
//! Invariant: any bytes are answered with a value or a [`BtfError`], never with a panic.

pub mod extract;
mod types;

use std::collections::HashMap;
use types::{Kind, Type};

const MAGIC: u16 = 0xEB9F;
/// Modifiers, typedefs and anonymous members are followed this deep; the kernel's go five deep.
const MAX_DEPTH: u32 = 32;

/// Why bytes are not BTF.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// Fewer bytes than the header announces.
    #[error("BTF ends early: {0} bytes")]
    Truncated(usize),
    /// Another format, or another byte order.
    #[error("BTF has magic {0:#06x}")]
    Magic(u16),
    /// A kind that this reader does not know, whose length is unknown therefore.
    #[error("BTF type {id} is of unknown kind {kind}")]
    Kind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// From the beginning of the outermost structure, in bits.
    pub bit_offset: u32,
    /// Its size, in bits.
    pub bits: u32,
}

/// A kernel's types.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Where each type begins; the index is its id. Type 0 is `void`.
    types: Vec<usize>,
    /// Structures, unions, typedefs, functions and enumerations.
    by_name: HashMap<String, Vec<u32>>,
}

impl Btf {
    /// Reads BTF as it lies in `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// [`BtfError`] says why the bytes are not BTF.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let magic = u16::from_ne_bytes([byte(&bytes, 0)?, byte(&bytes, 1)?]);
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let header = word(&bytes, 4)? as usize;
        let first = header.saturating_add(word(&bytes, 8)? as usize);
        let end = first.saturating_add(word(&bytes, 12)? as usize);
        let strings = header.saturating_add(word(&bytes, 16)? as usize);
        if end > bytes.len() || strings > bytes.len() {
            return Err(BtfError::Truncated(bytes.len()));
        }
        let types = types::index(&bytes[..end], first)?;
        let mut btf = Self { bytes, strings, types, by_name: HashMap::new() };
        btf.index_names();
        Ok(btf)
    }

    fn index_names(&mut self) {
        for id in 1..self.types.len() as u32 {
            let Some(of) = self.of(id) else { continue };
            if is_named(of.kind) {
                let name = self.name(of.name).to_owned();
                self.by_name.entry(name).or_default().push(id);
            }
        }
    }

    /// Where a member is, by its path (`a.b.c`) from a structure. Members of anonymous structures
    /// and unions count as their parent's, as in C.
    pub fn member(&self, structure: &str, path: &str) -> Option<Member> {
        self.structures(structure).find_map(|id| {
            let mut at = 0;
            let mut within = id;
            let mut bits = 0;
            for name in path.split('.') {
                let found = self.find_member(within, name, MAX_DEPTH)?;
                at += found.bit_offset;
                bits = found.bits;
                within = self.resolved(found.of)?;
            }
            Some(Member { bit_offset: at, bits })
        })
    }

    /// A structure's size, in bytes.
    pub fn size(&self, structure: &str) -> Option<u32> {
        let id = self.structures(structure).next()?;
        Some(self.of(id)?.size_or_type)
    }

    /// How many arguments the hook of this name is given, if the kernel has it.
    pub fn hook_arguments(&self, hook: &str) -> Option<u32> {
        let pointer = self.of(self.of(self.hook(hook)?)?.size_or_type)?;
        let prototype = self.of(pointer.size_or_type)?;
        if pointer.kind != Kind::Pointer || prototype.kind != Kind::Prototype {
            return None;
        }
        // The first is the data that a probe is registered with.
        prototype.entries.checked_sub(1)
    }

    /// The type that describes the hook of this name.
    fn hook(&self, hook: &str) -> Option<u32> {
        self.named(&format!("btf_trace_{hook}"), Kind::Typedef).next()
    }

    /// Whether the kernel has a function of this name.
    pub fn has_function(&self, name: &str) -> bool {
        self.function(name).is_some()
    }

    /// The number that the kernel has given the function of this name.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.named(name, Kind::Function).next()
    }

    /// The number of a value of an enumeration.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        self.named(enumeration, Kind::Enumeration).find_map(|id| {
            let of = self.of(id)?;
            let mut values = (0..of.entries).filter_map(|index| of.value(&self.bytes, index));
            values.find(|(value, _)| self.name(*value) == name).map(|(_, number)| number)
        })
    }

    fn structures(&self, name: &str) -> impl Iterator<Item = u32> {
        self.named(name, Kind::Struct).chain(self.named(name, Kind::Union))
    }

    fn named(&self, name: &str, kind: Kind) -> impl Iterator<Item = u32> {
        let ids = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        ids.iter().copied().filter(move |&id| self.of(id).is_some_and(|of| of.kind == kind))
    }

    fn find_member(&self, within: u32, name: &str, depth: u32) -> Option<Found> {
        let of = self.of(within)?;
        if depth == 0 || !matches!(of.kind, Kind::Struct | Kind::Union) {
            return None;
        }
        (0..of.entries).find_map(|index| {
            let member = of.member(&self.bytes, index)?;
            let inner = self.resolved(member.of)?;
            if member.name == 0 {
                let found = self.find_member(inner, name, depth - 1)?;
                return Some(Found { bit_offset: found.bit_offset + member.bit_offset, ..found });
            }
            if self.name(member.name) != name {
                return None;
            }
            let bits = if member.bits == 0 { self.bits(member.of)? } else { member.bits };
            Some(Found { bit_offset: member.bit_offset, bits, of: member.of })
        })
    }

    /// A type's size, in bits.
    fn bits(&self, id: u32) -> Option<u32> {
        self.bits_of(id, MAX_DEPTH)
    }

    fn bits_of(&self, id: u32, depth: u32) -> Option<u32> {
        let of = self.of(self.resolved(id)?)?;
        match of.kind {
            Kind::Pointer => Some(usize::BITS),
            Kind::Array if depth > 0 => {
                let (element, length) = of.array(&self.bytes)?;
                self.bits_of(element, depth - 1)?.checked_mul(length)
            }
            Kind::Sized | Kind::Enumeration | Kind::Struct | Kind::Union => of.size_or_type.checked_mul(8),
            _ => None,
        }
    }

    /// What is behind typedefs and modifiers.
    fn resolved(&self, mut id: u32) -> Option<u32> {
        for _ in 0..MAX_DEPTH {
            let of = self.of(id)?;
            if !matches!(of.kind, Kind::Typedef | Kind::Modifier) {
                return Some(id);
            }
            id = of.size_or_type;
        }
        None
    }

    fn of(&self, id: u32) -> Option<Type> {
        let at = *self.types.get(id as usize)?;
        Type::read(&self.bytes, at).ok()
    }

    fn name(&self, offset: u32) -> &str {
        let begin = self.strings.saturating_add(offset as usize);
        let bytes = self.bytes.get(begin..).unwrap_or_default();
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..length]).unwrap_or_default()
    }
}

fn is_named(kind: Kind) -> bool {
    matches!(kind, Kind::Struct | Kind::Union | Kind::Typedef | Kind::Function | Kind::Enumeration)
}

#[derive(Clone, Copy)]
struct Found {
    bit_offset: u32,
    bits: u32,
    of: u32,
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, BtfError> {
    bytes.get(at).copied().ok_or(BtfError::Truncated(bytes.len()))
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let end = at.saturating_add(4);
    let word = bytes.get(at..end).and_then(|word| word.try_into().ok());
    word.map(u32::from_ne_bytes).ok_or(BtfError::Truncated(bytes.len()))
}

#[cfg(test)]
mod tests;
