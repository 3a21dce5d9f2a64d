//! What the programs cost, as the kernel tells it.

use aya::Ebpf;
use aya::programs::Program;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

/// What the kernel counted for one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// The program's name.
    pub name: String,
    /// How often it ran, where `kernel.bpf_stats_enabled` is set.
    pub run_count: u64,
    /// How long altogether, in ns, where `kernel.bpf_stats_enabled` is set.
    pub run_time_ns: u64,
    /// How often the kernel skipped it because it ran on that CPU already.
    pub recursion_misses: u64,
    /// How many instructions the verifier walked through to accept it; 0 where the kernel does not say.
    pub verified_instructions: u64,
}

/// The statistics of every loaded program, by name.
pub fn read(ebpf: &Ebpf) -> Vec<ProgramStats> {
    let mut stats: Vec<_> = ebpf.programs().filter_map(|(name, program)| of(name, program)).collect();
    stats.sort_by(|one, other| one.name.cmp(&other.name));
    stats
}

fn of(name: &str, program: &Program) -> Option<ProgramStats> {
    let descriptor = program.fd().ok()?.as_fd().as_raw_fd();
    // Of the two ways to ask, only this one tells of the skipped runs in every version.
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    Some(parse(name, &info))
}

fn parse(name: &str, info: &str) -> ProgramStats {
    let value = |key: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    };
    ProgramStats {
        name: name.to_owned(),
        run_count: value("run_cnt"),
        run_time_ns: value("run_time_ns"),
        recursion_misses: value("recursion_misses"),
        verified_instructions: value("verified_insns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let info = "pos:\t0\nprog_type:\t26\nrun_time_ns:\t1200\nrun_cnt:\t10\nrecursion_misses:\t3\n\
                    verified_insns:\t250\n";
        let expected = ProgramStats {
            name: "tcp_read".into(),
            run_count: 10,
            run_time_ns: 1200,
            recursion_misses: 3,
            verified_instructions: 250,
        };
        assert_eq!(parse("tcp_read", info), expected);
        assert_eq!(parse("tcp_read", "").run_count, 0);
    }
}
