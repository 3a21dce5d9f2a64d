//! docs/kernels.md: what was shown on which kernel, and the numbers that later runs are held to.
//!
//! Invariant: the page is its own memory: what it says can be read back, and a kernel that was not run stays as
//! it was.

use super::matrix::KERNELS;
use super::verdict::{Proof, Shown};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A verifier's work may grow so much before somebody has to look.
const GROWTH_PERCENT: u64 = 20;

const HEAD: &str = "\
# Kernels

Written by `cargo xtask vm --write-docs`, which boots these kernels in virtual machines, attaches every probe, and
runs the kernel tests and a part of the zoo on each. What a kernel offers is read from its BTF, never from its
version: others of these series, and other distributions', may have more.

| kernel | release | Debian | shown |
|---|---|---|---|
";

const PROGRAMS: &str = "
## What the verifiers walk through

Instructions that the verifier looked at to accept each program (its limit is a million). `cargo xtask vm` fails when
one has grown by more than 20 % over this table. A dash: the kernel offers something better, or nothing, and another
program or none is used.

";

const DASH: &str = "–";

/// What the page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// By version: release, suite, what was shown.
    rows: BTreeMap<String, [String; 3]>,
    /// By program, then by version.
    programs: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Page {
    /// Reads it back. Lines that are no rows of a table are passed over.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut versions: Vec<String> = Vec::new();
        for cells in text.lines().filter_map(cells) {
            match cells.as_slice() {
                [first, rest @ ..] if *first == "program" => {
                    versions = rest.iter().map(ToString::to_string).collect();
                }
                [program, counts @ ..] if program.starts_with('`') => {
                    let counts = versions.iter().zip(counts);
                    let known = counts.filter_map(|(version, n)| Some((version.clone(), n.parse().ok()?)));
                    page.programs.insert(program.trim_matches('`').to_owned(), known.collect());
                }
                [version, release, suite, shown] if is_version(version) => {
                    let row = [release, suite, shown].map(ToString::to_string);
                    page.rows.insert(version.to_string(), row);
                }
                _ => {}
            }
        }
        page
    }

    /// Takes up what was shown.
    pub fn put(&mut self, proof: &Proof) {
        let shown = match &proof.shown {
            Shown::Carries { tests, cases, .. } => {
                format!("all probes run; {tests} kernel tests, {cases} cases of the zoo")
            }
            Shown::Refuses(reason) => format!("refused: {reason}"),
        };
        self.rows.insert(proof.version.to_owned(), [proof.release.clone(), proof.suite.to_owned(), shown]);
        for counts in self.programs.values_mut() {
            counts.remove(proof.version);
        }
        for (program, count) in programs(proof) {
            self.programs.entry(program.clone()).or_default().insert(proof.version.to_owned(), *count);
        }
        self.programs.retain(|_, counts| !counts.is_empty());
    }

    /// Holds what was shown to what the page says.
    ///
    /// # Errors
    /// Each program that has grown too much, or that the page does not know.
    pub fn compare(&self, proof: &Proof) -> Result<()> {
        let complaints: Vec<String> = programs(proof)
            .filter_map(|(program, now)| self.complaint(proof.version, program, *now))
            .collect();
        ensure!(complaints.is_empty(), "{}", complaints.join("; "));
        Ok(())
    }

    fn complaint(&self, version: &str, program: &str, now: u64) -> Option<String> {
        match self.programs.get(program).and_then(|counts| counts.get(version)) {
            None => Some(format!("docs/kernels.md does not have {program}: cargo xtask vm --write-docs")),
            Some(before) if now * 100 > before * (100 + GROWTH_PERCENT) => {
                Some(format!("the verifier walks through {now} instructions of {program}, {before} before"))
            }
            Some(_) => None,
        }
    }

    /// The page.
    pub fn render(&self) -> String {
        let mut text = HEAD.to_owned();
        let order =
            KERNELS.iter().map(|kernel| kernel.version).filter(|version| self.rows.contains_key(*version));
        let versions: Vec<&str> = order.collect();
        for version in &versions {
            let _ = writeln!(text, "| {version} | {} |", self.rows[*version].join(" | "));
        }
        text.push_str(PROGRAMS);
        let counted = |version: &&str| self.programs.values().any(|counts| counts.contains_key(*version));
        let versions: Vec<&str> = versions.into_iter().filter(counted).collect();
        let _ =
            writeln!(text, "| program | {} |\n|---|{}", versions.join(" | "), "--:|".repeat(versions.len()));
        for (program, counts) in &self.programs {
            let cell = |version: &&str| counts.get(*version).map_or(DASH.to_owned(), u64::to_string);
            let cells: Vec<String> = versions.iter().map(cell).collect();
            let _ = writeln!(text, "| `{program}` | {} |", cells.join(" | "));
        }
        text
    }
}

fn programs(proof: &Proof) -> impl Iterator<Item = (&String, &u64)> {
    let programs = match &proof.shown {
        Shown::Carries { programs, .. } => Some(programs),
        Shown::Refuses(_) => None,
    };
    programs.into_iter().flatten()
}

fn is_version(text: &str) -> bool {
    KERNELS.iter().any(|kernel| kernel.version == text)
}

/// The cells of a line, if it is a row of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carries(version: &'static str, counts: &[(&str, u64)]) -> Proof {
        let programs = counts.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        let shown = Shown::Carries { tests: 50, cases: 22, programs };
        Proof { version, suite: "trixie", release: format!("{version}.9"), shown }
    }

    #[test]
    fn the_page_remembers() {
        let mut page = Page::default();
        page.put(&carries("6.1", &[("tcp_read", 250), ("process_exit", 900)]));
        page.put(&carries("7", &[("tcp_read", 240)]));
        let shown = Shown::Refuses("it is too old".into());
        page.put(&Proof { version: "5.10", suite: "bullseye", release: "5.10.0-32".into(), shown });
        let text = page.render();
        assert_eq!(Page::parse(&text), page);
        assert!(text.contains("| 5.10 | 5.10.0-32 | bullseye | refused: it is too old |\n| 6.1 |"), "{text}");
        assert!(
            text.contains("| program | 6.1 | 7 |\n|---|--:|--:|\n| `process_exit` | 900 | – |\n"),
            "{text}"
        );

        page.put(&carries("6.1", &[("tcp_read", 260)]));
        assert!(!page.render().contains("process_exit"), "it is gone from the only kernel that had it");
    }

    #[test]
    fn growth_is_held_against_it_beyond_a_fifth() {
        let mut page = Page::default();
        page.put(&carries("6.1", &[("tcp_read", 100)]));
        page.compare(&carries("6.1", &[("tcp_read", 120)])).unwrap();
        page.compare(&carries("6.1", &[("tcp_read", 10)])).unwrap();
        let error = page.compare(&carries("6.1", &[("tcp_read", 121)])).unwrap_err().to_string();
        assert_eq!(error, "the verifier walks through 121 instructions of tcp_read, 100 before");
        let error = page.compare(&carries("6.1", &[("new", 1)])).unwrap_err().to_string();
        assert_eq!(error, "docs/kernels.md does not have new: cargo xtask vm --write-docs");
        page.compare(&carries("7", &[("tcp_read", 100)])).unwrap_err();
    }
}
