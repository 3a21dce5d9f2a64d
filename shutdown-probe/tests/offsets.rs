//! Where other kernels keep what the probe reads. `btf/` has the part of their BTF that the probe looks at; when it
//! looks at more, `cargo xtask vm --btf` writes it anew. What is expected was read off the whole with other tools.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read is a failure")]

use shutdown_probe::probe::btf::Btf;
use shutdown_probe::probe::layout::{LayoutError, resolve, resolve_message};
use shutdown_probe::probe::spec::PROBES;
use std::path::Path;

const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7"];

fn btf(kernel: &str) -> Btf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/btf").join(format!("{kernel}.btf"));
    Btf::parse(std::fs::read(path).unwrap()).unwrap()
}

/// In bytes.
fn places(structure: &str, path: &str) -> [Option<u32>; KERNELS.len()] {
    KERNELS.map(|kernel| btf(kernel).member(structure, path).map(|member| member.bit_offset / 8))
}

/// How many arguments each kernel's hook gives.
fn arguments(hook: &str) -> [Option<u32>; KERNELS.len()] {
    KERNELS.map(|kernel| btf(kernel).hook_arguments(hook))
}

/// The first program of the variant that each kernel runs.
fn chosen(probe: &str) -> [Option<&'static str>; KERNELS.len()] {
    let probe = PROBES.iter().find(|spec| spec.name == probe).unwrap();
    KERNELS.map(|kernel| probe.choose(&btf(kernel)).map(|variant| variant.programs[0].name))
}

#[test]
fn members_are_where_each_kernel_has_them() {
    let expected: [(&str, &str, [u32; KERNELS.len()]); 15] = [
        ("task_struct", "flags", [36, 44, 44, 44, 44]),
        ("task_struct", "tgid", [2236, 2420, 2436, 1268, 2876]),
        ("task_struct", "exit_code", [2136, 2312, 2332, 1164, 2772]),
        ("task_struct", "signal", [2832, 3072, 3072, 1848, 3520]),
        ("task_struct", "cgroups", [3328, 3600, 3584, 2376, 4072]),
        ("task_struct", "start_boottime", [2544, 2784, 2784, 1560, 3224]),
        ("tcp_sock", "write_seq", [1804, 1812, 1636, 1576, 1668]),
        ("tcp_sock", "rcv_nxt", [1416, 1424, 1712, 1664, 1768]),
        ("tcp_sock", "copied_seq", [1420, 1428, 1520, 1464, 1504]),
        ("tcp_sock", "snd_una", [1460, 1468, 1720, 1672, 1776]),
        ("sock", "sk_shutdown", [626, 610, 571, 575, 591]),
        ("sock", "sk_cgrp_data", [664, 648, 672, 672, 688]),
        ("cgroup", "kn", [248, 248, 256, 256, 296]),
        ("kernfs_node", "id", [104, 104, 96, 96, 96]),
        ("sock", "__sk_common.skc_state", [18; KERNELS.len()]),
    ];
    for (structure, path, offsets) in expected {
        assert_eq!(places(structure, path), offsets.map(Some), "{structure}.{path}");
    }
}

#[test]
fn hooks_are_given_what_each_kernel_gives() {
    assert_eq!(arguments("sched_process_exit"), [1, 1, 1, 2, 2].map(Some));
    assert_eq!(arguments("mark_victim"), [1, 2, 2, 2, 2].map(Some));
    assert_eq!(arguments("tcp_send_reset"), [2, 2, 3, 3, 3].map(Some));
    assert_eq!(arguments("signal_generate"), [Some(5); KERNELS.len()]);
}

#[test]
fn the_variant_follows_from_the_hook() {
    let group = "process_exit_group";
    assert_eq!(chosen("exit"), ["process_exit", "process_exit", "process_exit", group, group].map(Some));
    let task = "oom_victim_task";
    assert_eq!(chosen("oom"), ["oom_victim_pid", task, task, task, task].map(Some));
    let (function, hook) = ("tcp_reset_sent_v4", "tcp_reset_sent_seen");
    assert_eq!(chosen("reset_sent"), [function, function, hook, hook, hook].map(Some));
    let (at_return, copying) = ("tcp_copied", "tcp_copying");
    assert_eq!(chosen("framing"), [at_return, at_return, at_return, copying, copying].map(Some));
}

#[test]
fn from_6_1_on_everything_is_found() {
    for kernel in &KERNELS[1..] {
        let layout = resolve(&btf(kernel)).unwrap();
        let of = |symbol| layout.iter().find(|(name, _)| *name == symbol).map(|(_, value)| *value);
        assert_eq!(of("TASK_TGID"), of("TASK_PID").map(|place| place + 4), "{kernel}");
        assert_eq!(of("K_SIGACTION_SIZE"), Some(32), "{kernel}");
        assert!(resolve_message(&btf(kernel)).is_ok(), "{kernel}");
        assert!(of("TCP_IS_MPTCP").is_some() && of("SOCK_LOCAL_V6").is_some(), "{kernel}");
    }
}

#[test]
fn before_it_the_lack_is_named() {
    let error = resolve(&btf("5.10")).unwrap_err();
    assert_eq!(error, LayoutError::Missing { structure: "sock", member: "sk_cgrp_data.cgroup" });
    assert_eq!(error.to_string(), "this kernel's sock has no sk_cgrp_data.cgroup");
    let error = resolve_message(&btf("5.10")).unwrap_err();
    assert_eq!(error.to_string(), "this kernel's msghdr has no msg_iter.iter_type");
}
