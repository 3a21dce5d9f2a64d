//! One BTF type: a fixed head, and entries behind it whose size depends on the kind.

use super::{BtfError, word};

/// The kinds that matter here; each other one is [`Kind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Struct,
    Union,
    Pointer,
    Array,
    Typedef,
    /// `const`, `volatile`, `restrict` and type tags: they say nothing about where things are.
    Modifier,
    Function,
    Prototype,
    Enumeration,
    /// Integers, large enumerations and floats.
    Sized,
    Other,
}

const HEAD: usize = 12;

/// A type's head.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub kind: Kind,
    /// Where its name begins, among the strings.
    pub name: u32,
    /// The size in bytes, or the type it is made of.
    pub size_or_type: u32,
    /// How many members, parameters or values it has.
    pub entries: u32,
    /// Whether member offsets carry the size of bit fields.
    has_bit_fields: bool,
    /// Where its entries begin.
    pub behind: usize,
}

/// A member as it stands in a structure.
pub struct RawMember {
    pub name: u32,
    pub of: u32,
    pub bit_offset: u32,
    /// 0: it is no bit field.
    pub bits: u32,
}

impl Type {
    /// Reads the head that begins there.
    pub fn read(bytes: &[u8], at: usize) -> Result<Self, BtfError> {
        let info = word(bytes, at + 4)?;
        let size_or_type = word(bytes, at + 8)?;
        Ok(Self {
            kind: kind((info >> 24) & 0x1F),
            name: word(bytes, at)?,
            size_or_type,
            entries: info & 0xFFFF,
            has_bit_fields: info >> 31 == 1,
            behind: at + HEAD,
        })
    }

    /// The member of this index, for structures and unions.
    pub fn member(&self, bytes: &[u8], index: u32) -> Option<RawMember> {
        let at = self.behind + index as usize * 12;
        let offset = word(bytes, at + 8).ok()?;
        let (bits, bit_offset) =
            if self.has_bit_fields { (offset >> 24, offset & 0xFF_FFFF) } else { (0, offset) };
        Some(RawMember { name: word(bytes, at).ok()?, of: word(bytes, at + 4).ok()?, bit_offset, bits })
    }

    /// Where the name of this value begins, and its number, for enumerations.
    pub fn value(&self, bytes: &[u8], index: u32) -> Option<(u32, u32)> {
        let at = self.behind + index as usize * 8;
        Some((word(bytes, at).ok()?, word(bytes, at + 4).ok()?))
    }

    /// The element's type and how many there are, for arrays.
    pub fn array(&self, bytes: &[u8]) -> Option<(u32, u32)> {
        Some((word(bytes, self.behind).ok()?, word(bytes, self.behind + 8).ok()?))
    }
}

/// `BTF_KIND_*` of `include/uapi/linux/btf.h`.
fn kind(number: u32) -> Kind {
    match number {
        1 | 16 | 19 => Kind::Sized,
        6 => Kind::Enumeration,
        2 => Kind::Pointer,
        3 => Kind::Array,
        4 => Kind::Struct,
        5 => Kind::Union,
        8 => Kind::Typedef,
        9 | 10 | 11 | 18 => Kind::Modifier,
        12 => Kind::Function,
        13 => Kind::Prototype,
        _ => Kind::Other,
    }
}

/// How many bytes follow the head.
fn entries_length(number: u32, entries: usize) -> Option<usize> {
    match number {
        1 | 14 | 17 => Some(4),
        2 | 7..=12 | 16 | 18 => Some(0),
        3 => Some(12),
        4 | 5 | 15 | 19 => Some(entries * 12),
        6 | 13 => Some(entries * 8),
        _ => None,
    }
}

/// Where each type begins, from there to the end of the bytes. The first stands for `void`, which
/// has no entry.
pub fn index(bytes: &[u8], first: usize) -> Result<Vec<usize>, BtfError> {
    let mut types = vec![bytes.len()];
    let mut at = first;
    while at < bytes.len() {
        let info = word(bytes, at + 4)?;
        let kind = (info >> 24) & 0x1F;
        let id = types.len() as u32;
        let entries = entries_length(kind, (info & 0xFFFF) as usize).ok_or(BtfError::Kind { id, kind })?;
        types.push(at);
        at += HEAD + entries;
    }
    Ok(types)
}
