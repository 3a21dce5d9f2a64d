//! What a daemon that was killed leaves in the kernel: nothing, or this fails.

use super::arena::Arena;
use super::daemon::{Daemon, Framing};
use super::kernel_objects::Held;
use super::progress;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde::Serialize;
use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel frees programs and maps after a grace period of RCU.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
pub struct Remains {
    pub programs_before: usize,
    pub maps_before: usize,
    pub links_before: usize,
    /// From the end of the daemon until bpftool found none of them.
    pub gone_after_seconds: f64,
}

/// # Errors
/// When something is left.
pub fn measure(arena: &Arena) -> Result<Remains> {
    progress("remains: killing the daemon");
    let daemon = Daemon::start(arena, Framing::On)?;
    let held = daemon.held()?;
    let before = Count::of(&held)?;
    ensure!(
        before.programs > 0 && before.maps > 0 && before.links > 0,
        "bpftool does not show what the daemon holds: {before:?}"
    );
    daemon.end(Signal::KILL)?;
    let gone_after_seconds = wait_until_gone(&held)?;
    Ok(Remains {
        programs_before: before.programs,
        maps_before: before.maps,
        links_before: before.links,
        gone_after_seconds,
    })
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    programs: usize,
    maps: usize,
    links: usize,
}

impl Count {
    fn of(held: &Held) -> Result<Self> {
        Ok(Self { programs: held.programs()?.len(), maps: held.maps()?.len(), links: held.links()?.len() })
    }
}

fn wait_until_gone(held: &Held) -> Result<f64> {
    let killed = Instant::now();
    loop {
        let left = Count::of(held)?;
        let elapsed = killed.elapsed();
        if left == Count::default() {
            return Ok(elapsed.as_secs_f64());
        }
        ensure!(elapsed < PATIENCE, "left in the kernel after SIGKILL: {left:?}");
        sleep(Duration::from_millis(10));
    }
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programs_before, maps_before, links_before, gone_after_seconds } = self;
        writeln!(
            f,
            "Killed by SIGKILL, the daemon left nothing: its {programs_before} programs, {links_before} links and \
             {maps_before} maps were gone from bpftool's lists after {:.0} ms.",
            gone_after_seconds * 1e3
        )
    }
}
