//! Against BTF made here, and against the running kernel's.

use super::extract::{Questions, extract};
use super::*;

/// Writes BTF by hand: types are given as words, names as they are first used.
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    fn head(&mut self, name: &str, kind: u32, entries: u32, bit_fields: bool, size_or_type: u32) {
        let name = self.name(name);
        let info = u32::from(bit_fields) << 31 | kind << 24 | entries;
        self.words(&[name, info, size_or_type]);
    }

    fn member(&mut self, name: &str, of: u32, offset: u32) {
        let name = self.name(name);
        self.words(&[name, of, offset]);
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn bytes(&self) -> Vec<u8> {
        let types = self.types.len() as u32;
        let strings = self.strings.len() as u32;
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend([24, 0, types, types, strings].iter().flat_map(|word: &u32| word.to_ne_bytes()));
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// `struct outer { u32 first; union { struct { u32 flag:3, rest:5; }; u32 second; }; const outer_t *self; }`
fn sample() -> Writer {
    let mut writer = Writer::new();
    writer.head("u32", 1, 0, false, 4); // 1
    writer.words(&[32]);
    writer.head("", 4, 2, true, 4); // 2: the anonymous structure of bit fields
    writer.member("flag", 1, 3 << 24);
    writer.member("rest", 1, 5 << 24 | 3);
    writer.head("", 5, 2, false, 4); // 3: the anonymous union
    writer.member("", 2, 0);
    writer.member("second", 1, 0);
    writer.head("outer", 4, 4, false, 32); // 4
    writer.member("first", 1, 0);
    writer.member("", 3, 32);
    writer.member("self", 6, 64);
    writer.member("words", 8, 128);
    writer.head("outer_t", 8, 0, false, 4); // 5
    writer.head("", 10, 0, false, 7); // 6: const
    writer.head("", 2, 0, false, 5); // 7: pointer
    writer.head("", 3, 0, false, 0); // 8: array of 4
    writer.words(&[1, 1, 4]);
    writer.head("", 13, 3, false, 0); // 9: a prototype of three
    writer.words(&[0, 7, 0, 7, 0, 1]);
    writer.head("", 2, 0, false, 9); // 10
    writer.head("btf_trace_sample", 8, 0, false, 10); // 11
    writer.head("do_sample", 12, 0, false, 9); // 12
    writer.head("wrapper", 4, 1, false, 40); // 13
    writer.member("inner", 5, 64);
    writer.head("colour", 6, 2, false, 4); // 14
    for (value, name) in [(3, "red"), (9, "green")] {
        let name = writer.name(name);
        writer.words(&[name, value]);
    }
    writer
}

#[test]
fn members_are_found_through_what_has_no_name() {
    let btf = Btf::parse(sample().bytes()).unwrap();
    assert_eq!(btf.member("outer", "first"), Some(Member { bit_offset: 0, bits: 32 }));
    assert_eq!(btf.member("outer", "second"), Some(Member { bit_offset: 32, bits: 32 }));
    assert_eq!(btf.member("outer", "flag"), Some(Member { bit_offset: 32, bits: 3 }));
    assert_eq!(btf.member("outer", "rest"), Some(Member { bit_offset: 35, bits: 5 }));
    assert_eq!(btf.member("outer", "self"), Some(Member { bit_offset: 64, bits: 64 }));
    assert_eq!(btf.member("outer", "words"), Some(Member { bit_offset: 128, bits: 128 }));
    assert_eq!(btf.member("wrapper", "inner.rest"), Some(Member { bit_offset: 99, bits: 5 }));
}

#[test]
fn what_is_missing_is_missing() {
    let btf = Btf::parse(sample().bytes()).unwrap();
    assert_eq!(btf.member("outer", "third"), None);
    assert_eq!(btf.member("outer", "self.first"), None, "pointers are not followed");
    assert_eq!(btf.member("inner", "first"), None);
    assert_eq!(btf.size("outer"), Some(32));
    assert_eq!(btf.size("outer_t"), None);
}

#[test]
fn hooks_are_counted_without_their_data() {
    let btf = Btf::parse(sample().bytes()).unwrap();
    assert_eq!(btf.hook_arguments("sample"), Some(2));
    assert_eq!(btf.hook_arguments("other"), None);
    assert!(btf.has_function("do_sample"));
    assert!(!btf.has_function("outer"));
}

#[test]
fn a_part_answers_what_was_asked_and_no_more() {
    let whole = Btf::parse(sample().bytes()).unwrap();
    let questions = Questions {
        members: vec![
            ("wrapper", "inner.rest"),
            ("outer", "self"),
            ("outer", "words.none"),
            ("none", "first"),
        ],
        sizes: vec!["outer"],
        hooks: vec!["sample", "none"],
        enumerations: vec!["colour"],
        functions: vec!["do_sample".into(), "none".into()],
    };
    let part = Btf::parse(extract(&whole, &questions)).unwrap();
    for (structure, path) in
        [("wrapper", "inner.rest"), ("outer", "rest"), ("outer", "self"), ("outer", "words")]
    {
        assert_eq!(part.member(structure, path).unwrap(), whole.member(structure, path).unwrap(), "{path}");
    }
    for path in ["first", "second", "flag"] {
        assert_eq!(part.member("outer", path), None, "{path} was not asked for");
    }
    assert_eq!((part.size("outer"), part.size("wrapper")), (Some(32), Some(40)));
    assert_eq!((part.hook_arguments("sample"), part.hook_arguments("none")), (Some(2), None));
    assert_eq!((part.enumerator("colour", "green"), part.enumerator("colour", "blue")), (Some(9), None));
    assert!(part.has_function("do_sample") && !part.has_function("none"));
}

#[test]
fn no_bytes_make_it_panic() {
    let bytes = sample().bytes();
    for length in 0..bytes.len() {
        drop(Btf::parse(bytes[..length].to_vec()).map(|btf| btf.member("outer", "rest")));
    }
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0xFF;
        let questions = Questions { members: vec![("outer", "rest")], ..Questions::default() };
        drop(Btf::parse(broken).map(|btf| {
            let part = extract(&btf, &questions);
            (btf.member("outer", "rest"), btf.hook_arguments("sample"), part)
        }));
    }
    assert_eq!(Btf::parse(vec![0; 64]).unwrap_err(), BtfError::Magic(0));
    assert_eq!(Btf::parse(vec![]).unwrap_err(), BtfError::Truncated(0));
}

#[test]
fn the_running_kernel_is_read() {
    let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    assert_eq!(btf.member("task_struct", "comm").unwrap().bits, 128);
    assert_eq!(btf.member("sock", "__sk_common.skc_num").unwrap().bits, 16);
    assert_eq!(btf.member("tcp_sock", "copied_seq").unwrap().bits, 32);
    assert_eq!(btf.hook_arguments("inet_sock_set_state"), Some(3));
    assert!(btf.has_function("tcp_v4_send_reset"));
}
