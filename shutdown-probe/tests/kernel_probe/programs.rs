//! Which programs this kernel runs, and what its verifier made of each.

use crate::stage::Stage;
use shutdown_probe::probe::ProgramStats;
use shutdown_probe::probe::btf::Btf;
use shutdown_probe::probe::spec::{PROBES, Program, Variant};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::{env, fs};

/// Names a file to write the table to, for the reference of kernels: a program and its number a line.
const TABLE: &str = "SHUTDOWN_PROBE_PROGRAMS";

fn names<'a>(variants: impl IntoIterator<Item = &'a Variant>) -> BTreeSet<&'a str> {
    variants.into_iter().flat_map(|variant| variant.programs).map(|program: &Program| program.name).collect()
}

fn table(stats: &[ProgramStats]) -> String {
    let mut table = String::new();
    for program in stats {
        writeln!(table, "{} {}", program.name, program.verified_instructions).unwrap();
    }
    table
}

#[test]
fn the_programs_of_the_best_variants_run_and_no_others() {
    let stage = Stage::new();
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let best = names(PROBES.iter().filter_map(|probe| probe.choose(&btf)));
    let others = &names(PROBES.iter().flat_map(|probe| probe.variants)) - &best;
    let stats = stage.probes.stats();
    let loaded: BTreeSet<&str> = stats.iter().map(|program| program.name.as_str()).collect();
    assert!(loaded.is_superset(&best), "{:?} do not run", &best - &loaded);
    assert!(loaded.is_disjoint(&others), "{:?} are not the best", &loaded & &others);
    assert!(stats.iter().all(|program| program.verified_instructions > 0), "{stats:?}");
    if let Some(file) = env::var_os(TABLE) {
        fs::write(file, table(&stats)).unwrap();
    }
}
