//! The two clocks: ns since boot, by which the kernel side dates everything, and the wall's.

use rustix::time::{ClockId, Timespec, clock_gettime};
use shutdown_probe_core::Input;
use shutdown_probe_core::identity::KernelInstant;
use std::time::Duration;

/// How far the wall clock may drift before the engine is told. Slewing by NTP stays below for hours.
const TOLERANCE: Duration = Duration::from_millis(100);

/// Ns since boot, suspend included.
pub fn boot_now() -> KernelInstant {
    KernelInstant(crate::probe::boot_now())
}

/// What to add to ns since boot to get ns since the Unix epoch.
fn boot_to_unix_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Realtime)) - nanoseconds(clock_gettime(ClockId::Boottime))
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// What the engine was last told of the wall clock.
#[derive(Debug, Default)]
pub struct WallClock {
    told: Option<i64>,
}

impl WallClock {
    /// What the engine must be told now, if anything.
    pub fn news(&mut self) -> Option<Input> {
        self.compare(boot_to_unix_ns())
    }

    fn compare(&mut self, boot_to_unix_ns: i64) -> Option<Input> {
        let drifted = |told: i64| u128::from(told.abs_diff(boot_to_unix_ns)) > TOLERANCE.as_nanos();
        if self.told.is_some_and(|told| !drifted(told)) {
            return None;
        }
        self.told = Some(boot_to_unix_ns);
        Some(Input::Clock { boot_to_unix_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_told_first_and_when_the_clock_was_set() {
        let mut clock = WallClock::default();
        let second = 1_000_000_000;
        assert_eq!(clock.compare(5 * second), Some(Input::Clock { boot_to_unix_ns: 5 * second }));
        assert_eq!(clock.compare(5 * second + second / 20), None);
        assert_eq!(clock.compare(4 * second), Some(Input::Clock { boot_to_unix_ns: 4 * second }));
        assert_eq!(clock.compare(4 * second), None);
    }

    #[test]
    fn the_clocks_agree_with_the_system() {
        let Some(Input::Clock { boot_to_unix_ns }) = WallClock::default().news() else { panic!("no news") };
        let now = i128::from(boot_now().0) + i128::from(boot_to_unix_ns);
        let system = jiff::Timestamp::now().as_nanosecond();
        assert!((now - system).abs() < 1_000_000_000, "{now} against {system}");
    }
}
