//! Writes the part of a kernel's BTF that this project looks at, as valid BTF of a few KiB: for tests, and to be
//! attached to a report of a kernel that is not understood.
//!
//! Invariant: whatever is asked for of the part has the answer that the whole gives. What else is in a structure is
//! left out, and pointers to data point to nothing.

use super::types::{Kind, RawMember, Type};
use super::{Btf, MAGIC, MAX_DEPTH, word};
use std::collections::{BTreeSet, HashMap};

const HEADER: u32 = 24;
const VERSION: [u8; 2] = [1, 0];
/// `BTF_KIND_PTR`, which says nothing but what it points to.
const POINTER_TO_NOTHING: [u32; 3] = [0, 2 << 24, 0];
const STRUCT_ENTRIES: u32 = 0xFFFF;

/// What is asked of a kernel's types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Members, by structure and path.
    pub members: Vec<(&'static str, &'static str)>,
    /// Structures whose size matters.
    pub sizes: Vec<&'static str>,
    /// Tracepoints.
    pub hooks: Vec<&'static str>,
    /// Enumerations, with their values.
    pub enumerations: Vec<&'static str>,
    /// Functions.
    pub functions: Vec<String>,
}

/// The part that answers these questions.
pub fn extract(btf: &Btf, questions: &Questions) -> Vec<u8> {
    let mut part = Part::of(btf);
    for (structure, path) in &questions.members {
        part.keep_member(structure, path);
    }
    let structures = questions.members.iter().map(|(structure, _)| structure).chain(&questions.sizes);
    let hooks = questions.hooks.iter().filter_map(|hook| btf.hook(hook));
    let functions = questions.functions.iter().flat_map(|name| btf.named(name, Kind::Function));
    let values = questions.enumerations.iter().flat_map(|name| btf.named(name, Kind::Enumeration));
    for id in structures.flat_map(|name| btf.structures(name)).chain(hooks).chain(functions).chain(values) {
        part.write(id);
    }
    part.finish()
}

/// BTF in the making.
struct Part<'a> {
    btf: &'a Btf,
    /// The members that are kept, by structure.
    kept: HashMap<u32, BTreeSet<u32>>,
    /// New ids, by old.
    ids: HashMap<u32, u32>,
    types: Vec<u32>,
    count: u32,
    strings: Vec<u8>,
    names: HashMap<u32, u32>,
}

impl<'a> Part<'a> {
    fn of(btf: &'a Btf) -> Self {
        Self {
            btf,
            kept: HashMap::new(),
            // `void` is never written.
            ids: HashMap::from([(0, 0)]),
            types: Vec::new(),
            count: 0,
            strings: vec![0],
            names: HashMap::from([(0, 0)]),
        }
    }

    /// Keeps what a look-up of this member comes across, as far as it comes.
    fn keep_member(&mut self, structure: &str, path: &str) {
        for mut within in self.btf.structures(structure).collect::<Vec<_>>() {
            for name in path.split('.') {
                match self.keep_step(within, name, MAX_DEPTH) {
                    Some(next) => within = next,
                    None => break,
                }
            }
        }
    }

    /// Keeps the member of this name, and gives what it is.
    fn keep_step(&mut self, within: u32, name: &str, depth: u32) -> Option<u32> {
        let of = self.btf.of(within)?;
        if depth == 0 || !matches!(of.kind, Kind::Struct | Kind::Union) {
            return None;
        }
        (0..of.entries).find_map(|index| {
            let member = of.member(&self.btf.bytes, index)?;
            let inner = self.btf.resolved(member.of)?;
            let found = if member.name == 0 {
                self.keep_step(inner, name, depth - 1)?
            } else if self.btf.name(member.name) == name {
                inner
            } else {
                return None;
            };
            self.kept.entry(within).or_default().insert(index);
            Some(found)
        })
    }

    /// Writes a type behind those it is made of, once, and gives its new id.
    fn write(&mut self, id: u32) -> Option<u32> {
        if let Some(known) = self.ids.get(&id) {
            return Some(*known);
        }
        let of = self.btf.of(id)?;
        // A type that is made of itself, which only broken BTF has, is made of nothing.
        self.ids.insert(id, 0);
        let entry = match of.kind {
            Kind::Struct | Kind::Union => self.structure(id, of)?,
            Kind::Pointer => self.pointer(of)?,
            Kind::Array => {
                let [element, index, length] = self.words(of.behind)?;
                let (element, index) = (self.write(element)?, self.write(index)?);
                [self.head(of, id)?.as_slice(), &[element, index, length]].concat()
            }
            Kind::Prototype => self.prototype(id, of)?,
            Kind::Typedef | Kind::Modifier | Kind::Function => {
                let made_of = self.write(of.size_or_type)?;
                let [name, info, _] = self.head(of, id)?;
                vec![name, info, made_of]
            }
            Kind::Enumeration => self.enumeration(id, of)?,
            Kind::Sized => self.sized(id, of)?,
            Kind::Other => POINTER_TO_NOTHING.to_vec(),
        };
        self.types.extend(entry);
        self.count += 1;
        self.ids.insert(id, self.count);
        Some(self.count)
    }

    /// Name, info and size or type; the name with its new number.
    fn head(&mut self, of: Type, id: u32) -> Option<[u32; 3]> {
        let at = *self.btf.types.get(id as usize)?;
        let [_, info, size_or_type] = self.words(at)?;
        Some([self.name(of.name), info, size_or_type])
    }

    fn structure(&mut self, id: u32, of: Type) -> Option<Vec<u32>> {
        let kept = self.kept.get(&id).cloned().unwrap_or_default();
        let [name, info, size] = self.head(of, id)?;
        let mut entry = vec![name, info & !STRUCT_ENTRIES | kept.len() as u32, size];
        for index in kept {
            let RawMember { name, of: made_of, .. } = of.member(&self.btf.bytes, index)?;
            let [_, _, offset] = self.words(of.behind + index as usize * 12)?;
            entry.extend([self.name(name), self.write(made_of)?, offset]);
        }
        Some(entry)
    }

    /// Only what can be called is followed.
    fn pointer(&mut self, of: Type) -> Option<Vec<u32>> {
        let is_prototype = self.btf.of(of.size_or_type).is_some_and(|to| to.kind == Kind::Prototype);
        let to = if is_prototype { self.write(of.size_or_type)? } else { 0 };
        Some(vec![POINTER_TO_NOTHING[0], POINTER_TO_NOTHING[1], to])
    }

    fn prototype(&mut self, id: u32, of: Type) -> Option<Vec<u32>> {
        let returned = self.write(of.size_or_type)?;
        let [name, info, _] = self.head(of, id)?;
        let mut entry = vec![name, info, returned];
        for index in 0..of.entries {
            let [name, made_of] = self.words(of.behind + index as usize * 8)?;
            entry.extend([self.name(name), self.write(made_of)?]);
        }
        Some(entry)
    }

    fn enumeration(&mut self, id: u32, of: Type) -> Option<Vec<u32>> {
        let mut entry = self.head(of, id)?.to_vec();
        for index in 0..of.entries {
            let (name, number) = of.value(&self.btf.bytes, index)?;
            entry.extend([self.name(name), number]);
        }
        Some(entry)
    }

    /// Large enumerations keep their size, and none of their values.
    fn sized(&mut self, id: u32, of: Type) -> Option<Vec<u32>> {
        let [name, info, size] = self.head(of, id)?;
        const INTEGER: u32 = 1;
        if (info >> 24) & 0x1F == INTEGER {
            let [encoding] = self.words(of.behind)?;
            return Some(vec![name, info, size, encoding]);
        }
        Some(vec![name, info & !STRUCT_ENTRIES, size])
    }

    fn words<const COUNT: usize>(&self, at: usize) -> Option<[u32; COUNT]> {
        let mut words = [0; COUNT];
        for (index, place) in words.iter_mut().enumerate() {
            *place = word(&self.btf.bytes, at + index * 4).ok()?;
        }
        Some(words)
    }

    fn name(&mut self, old: u32) -> u32 {
        if let Some(known) = self.names.get(&old) {
            return *known;
        }
        let new = self.strings.len() as u32;
        self.strings.extend(self.btf.name(old).as_bytes());
        self.strings.push(0);
        self.names.insert(old, new);
        new
    }

    fn finish(self) -> Vec<u8> {
        let types: Vec<u8> = self.types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (length, strings) = (types.len() as u32, self.strings.len() as u32);
        let header = [HEADER, 0, length, length, strings].map(u32::to_ne_bytes).concat();
        [MAGIC.to_ne_bytes().as_slice(), &VERSION, &header, &types, &self.strings].concat()
    }
}
