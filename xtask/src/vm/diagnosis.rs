//! What `doctor --json` says in a guest, held to the matrix.

use super::matrix::{Answer, KERNELS, Kernel, ROWS};
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

const PROBE: &str = "probe ";

/// The part of it that is looked at.
#[derive(Debug, Deserialize)]
pub struct Diagnosis {
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    name: String,
    answer: String,
    finding: String,
}

impl Diagnosis {
    /// Finds it in what a step said on both streams.
    pub fn parse(said: &str) -> Result<Self> {
        let begin = said.find('{').context("doctor has said nothing")?;
        let mut values = serde_json::Deserializer::from_str(&said[begin..]).into_iter();
        values.next().context("doctor has said nothing")?.context("doctor --json")
    }

    /// Each probe, and what it is made of there or what it lacks.
    pub fn probes(&self) -> BTreeMap<String, String> {
        let probes = self.checks.iter().filter_map(|check| {
            let name = check.name.strip_prefix(PROBE)?;
            let mark = if check.answer == "yes" { "" } else { "no: " };
            Some((name.to_owned(), format!("{mark}{}", check.finding)))
        });
        probes.collect()
    }

    /// # Errors
    /// Every check that is not answered as the matrix has it, and every probe that it does not know.
    pub fn compare(&self, kernel: &Kernel) -> Result<()> {
        let column = KERNELS.iter().position(|known| known == kernel).context("a kernel of the matrix")?;
        let known = ROWS.iter().filter_map(|row| self.complaint(row.check, row.answers[column]));
        let unknown = self
            .checks
            .iter()
            .filter(|check| check.name.starts_with(PROBE) && ROWS.iter().all(|row| row.check != check.name));
        let unknown =
            unknown.map(|check| format!("the matrix does not have {}: {}", check.name, check.finding));
        let complaints: Vec<String> = known.chain(unknown).collect();
        ensure!(complaints.is_empty(), "doctor: {}", complaints.join("; "));
        Ok(())
    }

    fn complaint(&self, name: &str, expected: Answer) -> Option<String> {
        let Some(found) = self.checks.iter().find(|check| check.name == name) else {
            return Some(format!("{name} is not looked at"));
        };
        let finding = expected.finding.unwrap_or(&found.finding);
        if found.answer == expected.answer && found.finding == finding {
            return None;
        }
        let Check { answer, finding: other, .. } = found;
        Some(format!("{name} should be {} ({finding}), and is {answer} ({other})", expected.answer))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// What doctor says on a kernel that is as the matrix has it.
    pub fn said(kernel: &Kernel) -> String {
        let column = KERNELS.iter().position(|known| known == kernel).unwrap();
        let checks: Vec<_> = ROWS
            .iter()
            .map(|row| {
                let Answer { answer, finding } = row.answers[column];
                serde_json::json!({ "name": row.check, "answer": answer, "finding": finding.unwrap_or("so it is") })
            })
            .collect();
        format!("a warning\n{}\nanother\n", serde_json::json!({ "would_work": true, "checks": checks }))
    }

    fn complaint(said: &str) -> String {
        Diagnosis::parse(said).unwrap().compare(&KERNELS[1]).unwrap_err().to_string()
    }

    #[test]
    fn each_kernel_is_held_to_its_own_column() {
        for kernel in &KERNELS {
            Diagnosis::parse(&said(kernel)).unwrap().compare(kernel).unwrap();
        }
        let error = complaint(&said(&KERNELS[2]));
        let expected = "probe reset_sent should be yes (function tcp_v4_send_reset, function tcp_v6_send_reset), and \
                        is yes (tracepoint tcp_send_reset (3 arguments))";
        assert_eq!(error, format!("doctor: {expected}"), "more than expected is not as expected");
    }

    #[test]
    fn a_probe_that_is_missing_or_new_is_named() {
        let good = said(&KERNELS[1]);
        assert_eq!(complaint(&good.replace("probe oom", "probe moo")).matches("; ").count(), 1);
        assert!(complaint(&good.replace("probe oom", "probe moo")).contains("probe oom is not looked at"));
        assert!(
            complaint(&good.replace("probe oom", "probe moo")).contains("the matrix does not have probe moo")
        );
        assert_eq!(Diagnosis::parse("gone").unwrap_err().to_string(), "doctor has said nothing");
    }

    #[test]
    fn probes_are_listed_without_the_rest() {
        let probes = Diagnosis::parse(&said(&KERNELS[0])).unwrap().probes();
        assert_eq!(probes["oom"], "tracepoint mark_victim (1 arguments)");
        assert!(!probes.contains_key("attachment") && !probes.contains_key("kernel structures"));
    }
}
