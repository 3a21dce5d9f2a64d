//! docs/kernels.md, from what is recorded.

use super::record::{Origin, Record, Records, Shown};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const HEAD: &str = "\
# Kernels

<!-- Made by `cargo xtask vm --write` from xtask/kernels.json; do not edit. -->

`cargo xtask vm` boots these kernels in virtual machines, attaches every probe, and runs the kernel tests and a core of
the zoo on each; `cargo xtask test` does all of it on the machine's own. What a kernel offers is read from its BTF, never
from its version: others of these series, and other distributions', may have more.

";

const PROBES: &str = "
## What each probe is made of

The best that a kernel offers is taken. `cargo xtask vm` fails when a kernel offers less than is expected of it
(`xtask/src/vm/matrix.rs`), and when it offers more. Where a kernel lacks what a probe needs, `/probes` says so, and the
fates that depend on it become `not_measured`.

";

const PROGRAMS: &str = "
## What the verifiers walk through

Instructions that the verifier looked at to accept each program; its limit is a million. `cargo xtask vm` fails when one
has grown by more than 20 % over this table, and so does `cargo xtask test` on a machine whose own kernel is in it. A
dash: the kernel offers something better, or nothing, and another program or none is used.

";

const REST: &str = "
## From 7.0 on

A task can be preempted inside a tracepoint's program. The kernel runs no program on a CPU where it runs already: until
that task is scheduled again, the same program is skipped there, and what it would have seen is lost
(`shutdown_probe_recursion_misses_total`). Programs at functions have always been so on kernels built for full preemption.
On an emulated processor, 20 times slower than a real one, 3 % of events are lost so under a storm of connections; there
the tests run under a real-time policy, where none preempts another. `bpf_preempt_disable` does not help: the kernel
preempts in `bpf_preempt_enable` instead, when the program is not over
([numbers](journal/2026-11-22-the-kernel-matrix.md)).

## Before 6.1

5.10 is refused: a socket's cgroup is kept in another form, and tracing programs cannot use socket storage (5.11).

## Run it

```console
$ cargo xtask vm                # all; needs no root, installs QEMU with apt where it is missing
$ cargo xtask vm 6.1 --keep     # one; its initrd and what it said stay at target/vm
$ cargo xtask vm --write        # accept what is found: this page, xtask/kernels.json, the BTF for off-line tests
$ cargo xtask vm --btf          # only the latter: boots each for a second
$ cargo xtask vm own --write    # the machine's own kernel, as root
```

Kernels are the newest packages of Debian's suites, fetched with apt's own lists left alone, and kept for a week in the
user's cache. Without KVM a guest's processor is emulated.
";

const DASH: &str = "–";

/// The page.
pub fn render(records: &Records) -> String {
    let mut text = HEAD.to_owned();
    row(&mut text, ["kernel", "release", "from", "shown"].map(String::from));
    text.push_str("|---|---|---|---|\n");
    for (version, record) in records.iter() {
        let from = match &record.origin {
            Origin::Debian(suite) => format!("Debian {suite}"),
            Origin::Own => "the machine of the tests".to_owned(),
        };
        row(&mut text, [version.to_owned(), record.release.clone(), from, shown(record)]);
    }
    text.push_str(PROBES);
    probes(&mut text, records);
    text.push_str(PROGRAMS);
    programs(&mut text, records);
    text.push_str(REST);
    text
}

fn shown(record: &Record) -> String {
    match &record.shown {
        Shown::Carries { .. } if record.origin == Origin::Own => "runs; `cargo xtask test`".to_owned(),
        Shown::Carries { tests, cases, .. } => {
            format!("runs; {tests} kernel tests, {cases} cases of the zoo")
        }
        Shown::Refuses(reason) => format!("refused: {reason}"),
    }
}

/// One row for each way to do what a probe does.
fn probes(text: &mut String, records: &Records) {
    row(text, ["probe", "made of", "kernels"].map(String::from));
    text.push_str("|---|---|---|\n");
    let names: BTreeSet<&String> = records.iter().flat_map(|(_, record)| record.probes.keys()).collect();
    for name in names {
        let mut ways: Vec<(&str, Vec<&str>)> = Vec::new();
        for (version, record) in records.iter() {
            let Some(way) = record.probes.get(name) else { continue };
            match ways.iter_mut().find(|(known, _)| known == way) {
                Some((_, versions)) => versions.push(version),
                None => ways.push((way, vec![version])),
            }
        }
        for (way, versions) in ways {
            row(text, [format!("`{name}`"), way.to_owned(), versions.join(", ")]);
        }
    }
}

fn programs(text: &mut String, records: &Records) {
    let columns: Vec<_> =
        records.iter().filter_map(|(version, record)| Some((version, record.programs()?))).collect();
    let versions = columns.iter().map(|(version, _)| version.to_string());
    row(text, std::iter::once("program".to_owned()).chain(versions));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(columns.len()));
    let names: BTreeSet<&String> = columns.iter().flat_map(|(_, programs)| programs.keys()).collect();
    for name in names {
        let cell =
            |programs: &super::record::Programs| programs.get(name).map_or(DASH.to_owned(), u64::to_string);
        let cells = columns.iter().map(|(_, programs)| cell(programs));
        row(text, std::iter::once(format!("`{name}`")).chain(cells));
    }
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn record(origin: Origin, way: &str, shown: Shown) -> Record {
        let probes = BTreeMap::from([("exit".to_owned(), way.to_owned())]);
        Record { release: "9.9".into(), origin, shown, probes }
    }

    fn carries(program: &str, count: u64) -> Shown {
        Shown::Carries { tests: 50, cases: 22, programs: BTreeMap::from([(program.to_owned(), count)]) }
    }

    #[test]
    fn every_kernel_has_its_row_and_its_column() {
        let debian = |suite: &str| Origin::Debian(suite.to_owned());
        let mut records = Records::default();
        records.put("6.18", record(Origin::Own, "two", carries("process_exit_group", 7)));
        records.put("6.1", record(debian("bookworm"), "one", carries("process_exit", 900)));
        records.put("5.10", record(debian("bullseye"), "one", Shown::Refuses("it is too old".into())));
        let text = render(&records);
        for expected in [
            "| 5.10 | 9.9 | Debian bullseye | refused: it is too old |\n| 6.1 | 9.9 | Debian bookworm | runs; 50",
            "| 6.18 | 9.9 | the machine of the tests | runs; `cargo xtask test` |\n",
            "| `exit` | one | 5.10, 6.1 |\n| `exit` | two | 6.18 |\n",
            "| program | 6.1 | 6.18 |\n|---|--:|--:|\n| `process_exit` | 900 | – |\n| `process_exit_group` | – | 7 |\n",
        ] {
            assert!(text.contains(expected), "{expected}\nis not in\n{text}");
        }
    }
}
