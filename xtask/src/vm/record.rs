//! xtask/kernels.json: what each kernel was shown to do, and the numbers that later runs are held to.
//!
//! Invariant: a kernel that was not run stays as it was.

use crate::context::Context;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// A verifier's work may grow so much before somebody has to look.
const GROWTH_PERCENT: u64 = 20;

/// How many instructions the verifier walked through, by program.
pub type Programs = BTreeMap<String, u64>;

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Record {
    /// As the kernel calls itself.
    pub release: String,
    /// Where it is from.
    pub origin: Origin,
    pub shown: Shown,
    /// By probe: what it is made of, in the words of `doctor`.
    pub probes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A suite's package, booted in a virtual machine.
    Debian(String),
    /// It ran the machine that `vm own` was typed on.
    Own,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Tests and cases passed on it.
    Carries { tests: usize, cases: usize, programs: Programs },
    /// It is refused for this reason.
    Refuses(String),
}

impl Record {
    /// What its verifier accepted.
    pub fn programs(&self) -> Option<&Programs> {
        match &self.shown {
            Shown::Carries { programs, .. } => Some(programs),
            Shown::Refuses(_) => None,
        }
    }
}

/// All of them, by version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Records(BTreeMap<String, Record>);

impl Records {
    /// What is in the repository; nothing where there is no file.
    pub fn load(context: &Context) -> Result<Self> {
        let path = context.workspace.kernels_data();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    pub fn store(&self, context: &Context) -> Result<()> {
        let path = context.workspace.kernels_data();
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    pub fn put(&mut self, version: &str, record: Record) {
        self.0.insert(version.to_owned(), record);
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Record)> {
        let mut all: Vec<_> = self.0.iter().map(|(version, record)| (version.as_str(), record)).collect();
        all.sort_by_key(|(version, _)| numbers(version));
        all.into_iter()
    }

    /// Holds what was shown now to what is known. `typed`: the name by which `vm` is asked for that kernel.
    ///
    /// # Errors
    /// Each program that has grown too much, or that is not known.
    pub fn compare(&self, version: &str, typed: &str, programs: &Programs) -> Result<()> {
        let known = self.0.get(version).and_then(Record::programs);
        let complaints: Vec<String> = programs
            .iter()
            .filter_map(|(program, now)| {
                complaint(version, program, *now, known.and_then(|known| known.get(program).copied()))
            })
            .collect();
        ensure!(
            complaints.is_empty(),
            "{}; if it has to be so: cargo xtask vm {typed} --write",
            complaints.join("; ")
        );
        Ok(())
    }

    /// The version under which a machine's own kernel is known, if it is this very one.
    pub fn own(&self, release: &str) -> Option<&str> {
        let own = |record: &Record| record.origin == Origin::Own && record.release == head(release);
        self.0.iter().find(|(_, record)| own(record)).map(|(version, _)| version.as_str())
    }
}

fn complaint(version: &str, program: &str, now: u64, before: Option<u64>) -> Option<String> {
    match before {
        None => Some(format!("xtask/kernels.json does not have {program} on {version}")),
        Some(before) if now * 100 > before * (100 + GROWTH_PERCENT) => Some(format!(
            "{program} on {version}: the verifier walks through {now} instructions, {before} before, which is more \
             than {GROWTH_PERCENT} % growth"
        )),
        Some(_) => None,
    }
}

/// The numbers in a text, in order.
pub fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Of a release, what is the kernel's own: 6.18.44 of 6.18.44-whose-build.
pub fn head(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    &release[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carries(origin: Origin, release: &str, counts: &[(&str, u64)]) -> Record {
        let programs = counts.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        let shown = Shown::Carries { tests: 50, cases: 22, programs };
        Record { release: release.into(), origin, shown, probes: BTreeMap::new() }
    }

    fn records() -> Records {
        let mut records = Records::default();
        records.put("6.12", carries(Origin::Debian("trixie".into()), "6.12.9", &[("tcp_read", 100)]));
        records.put("6.1", carries(Origin::Debian("bookworm".into()), "6.1.9", &[("tcp_read", 250)]));
        records.put("6.18", carries(Origin::Own, "6.18.44", &[("tcp_read", 90)]));
        records
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let text = serde_json::to_string_pretty(&records()).unwrap();
        assert_eq!(serde_json::from_str::<Records>(&text).unwrap(), records());
        let versions: Vec<String> = records().iter().map(|(version, _)| version.to_owned()).collect();
        assert_eq!(versions, ["6.1", "6.12", "6.18"]);
    }

    #[test]
    fn growth_is_held_against_it_beyond_a_fifth() {
        let compare = |program: &str, count| {
            records()
                .compare("6.12", "6.12", &BTreeMap::from([(program.to_owned(), count)]))
                .map_err(|e| e.to_string())
        };
        compare("tcp_read", 120).unwrap();
        compare("tcp_read", 10).unwrap();
        let how = "if it has to be so: cargo xtask vm 6.12 --write";
        let sentence = "tcp_read on 6.12: the verifier walks through 121 instructions, 100 before, which is more than \
                        20 % growth";
        assert_eq!(compare("tcp_read", 121).unwrap_err(), format!("{sentence}; {how}"));
        let sentence = "xtask/kernels.json does not have new on 6.12";
        assert_eq!(compare("new", 1).unwrap_err(), format!("{sentence}; {how}"));
    }

    #[test]
    fn a_machine_is_held_to_its_own_kernel_alone() {
        assert_eq!(records().own("6.18.44-mine"), Some("6.18"));
        assert_eq!(records().own("6.18.45-mine"), None);
        assert_eq!(records().own("6.12.9"), None, "that one ran in a virtual machine");
    }
}
