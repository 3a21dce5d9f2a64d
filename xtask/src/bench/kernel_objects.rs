//! The eBPF programs, maps and links that a process holds, as the kernel tells.
//!
//! Whose they are is read from `/proc/PID/fdinfo`, for not every bpftool can say; what they are, from bpftool.

use crate::command;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Ids are not used twice until there have been four billions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub programs: BTreeSet<u32>,
    pub maps: BTreeSet<u32>,
    pub links: BTreeSet<u32>,
}

/// A program; the counts are there only while the kernel counts.
#[derive(Debug, Deserialize)]
pub struct Program {
    pub id: u32,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub run_time_ns: u64,
    #[serde(default)]
    pub run_cnt: u64,
}

/// A map.
#[derive(Debug, Deserialize)]
pub struct Map {
    pub id: u32,
    #[serde(default)]
    pub name: String,
    #[serde(rename = "bytes_memlock", default)]
    pub bytes: u64,
}

/// A program's attachment.
#[derive(Debug, Deserialize)]
pub struct Link {
    pub id: u32,
}

/// What this process has open.
///
/// # Errors
/// When it is gone, or belongs to somebody else.
pub fn held_by(process_id: u32) -> Result<Held> {
    let directory = format!("/proc/{process_id}/fdinfo");
    let mut held = Held::default();
    for entry in fs::read_dir(&directory).with_context(|| directory.clone())? {
        // A descriptor may be closed meanwhile.
        if let Ok(text) = fs::read_to_string(entry?.path()) {
            held.add(&text);
        }
    }
    Ok(held)
}

impl Held {
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let Ok(id) = value.trim().parse() else { continue };
            match key {
                "prog_id" => self.programs.insert(id),
                "map_id" => self.maps.insert(id),
                "link_id" => self.links.insert(id),
                _ => false,
            };
        }
    }

    /// Its programs, with what the kernel has counted for them until now.
    pub fn programs(&self) -> Result<Vec<Program>> {
        let all: Vec<Program> = list("prog")?;
        Ok(all.into_iter().filter(|program| self.programs.contains(&program.id)).collect())
    }

    pub fn maps(&self) -> Result<Vec<Map>> {
        let all: Vec<Map> = list("map")?;
        Ok(all.into_iter().filter(|map| self.maps.contains(&map.id)).collect())
    }

    pub fn links(&self) -> Result<Vec<Link>> {
        let all: Vec<Link> = list("link")?;
        Ok(all.into_iter().filter(|link| self.links.contains(&link.id)).collect())
    }
}

fn list<T: DeserializeOwned>(kind: &str) -> Result<Vec<T>> {
    let json = command::read(Command::new("bpftool").args(["--json", kind, "show"]))?;
    serde_json::from_str(&json).with_context(|| format!("bpftool {kind} show"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_tell_their_ids() {
        let mut held = Held::default();
        held.add("pos:\t0\nprog_type:\t26\nprog_id:\t41\nrun_cnt:\t0\n");
        held.add("pos:\t0\nlink_type:\traw_tracepoint\nlink_id:\t7\nprog_id:\t41\n");
        held.add("map_type:\t27\nmap_id:\t9\nmemlock:\t4096\n");
        held.add("pos:\t0\nflags:\t02\n");
        let expected = Held { programs: [41].into(), maps: [9].into(), links: [7].into() };
        assert_eq!(held, expected);
    }

    #[test]
    fn a_program_that_never_ran_has_no_counts() {
        let json = r#"[{"id":3,"type":"tracing","name":"tcp_read","run_time_ns":90,"run_cnt":2},{"id":4,"type":"x"}]"#;
        let programs: Vec<Program> = serde_json::from_str(json).unwrap();
        assert_eq!(
            (programs[0].name.as_str(), programs[0].run_time_ns, programs[0].run_cnt),
            ("tcp_read", 90, 2)
        );
        assert_eq!((programs[1].name.as_str(), programs[1].run_cnt), ("", 0));
    }
}
