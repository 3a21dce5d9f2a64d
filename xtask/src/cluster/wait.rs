//! Waiting for things that happen elsewhere, with a limit.

use anyhow::{Result, bail};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For what should happen at once.
pub const SOON: Duration = Duration::from_secs(10);
/// For what starts many programs.
pub const STARTED: Duration = Duration::from_secs(120);

const PERIOD: Duration = Duration::from_millis(100);

/// Looks again and again.
///
/// # Errors
/// When it is not so in time; `what` is named.
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        sleep(PERIOD);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_comes_is_named() {
        let error = until(Duration::ZERO, "Godot", || false).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s in vain for Godot");
        until(Duration::ZERO, "nothing", || true).unwrap();
    }
}
