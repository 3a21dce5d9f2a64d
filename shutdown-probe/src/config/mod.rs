//! From what the user gave to what the program uses: checked, complete, and before any port is bound.
//!
//! Precedence: flag, then environment (both by clap), then configuration file, then default.

mod kubernetes;
mod options;
mod value;

pub use kubernetes::{Kubernetes, KubernetesOptions};
pub use options::{File, LogFormat, LogLevel, LogOptions, ObserveOptions, ServeOptions};
pub use value::{ByteSize, Span, StopSignal};

use crate::exit::{Exit, Failure, OrExit};
use crate::probe::Protocols;
use shutdown_probe_core::Settings;
use shutdown_probe_core::signal::{SIGINT, SIGQUIT, SIGTERM};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The smallest ring buffer: one page of the common kernels.
const RING_BYTES_LEAST: u64 = 4 << 10;
/// The largest ring buffer; the kernel charges it to our cgroup at once.
const RING_BYTES_MOST: u64 = 1 << 30;
/// A linger longer than this would keep connections apart that no shutdown refused.
const LINGER_MOST: Duration = Duration::from_secs(600);
/// The most terminations that are kept; with a thousand connections each that is some GiB.
const KEEP_MOST: usize = 100_000;

/// What to observe.
#[derive(Clone, Debug, PartialEq)]
pub struct Observe {
    /// The parent of all containers; `None`: every leaf cgroup that has processes is one.
    pub watch_cgroup: Option<PathBuf>,
    /// Containers are those of pods, wherever they are; `watch_cgroup` means nothing then.
    pub pods: bool,
    /// Where cgroup v2 is mounted; found where it is not said.
    pub cgroup_root: Option<PathBuf>,
    /// The engine's settings.
    pub engine: Settings,
    /// Signals by number, ascending.
    pub stop_signals: Vec<u32>,
    /// Size of the ring buffer, in bytes.
    pub ring_bytes: u32,
    /// Which protocols are followed.
    pub protocols: Protocols,
}

/// What to serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    /// Where.
    pub listen: SocketAddr,
    /// How many complete terminations to keep.
    pub keep: usize,
    /// How long the series of an ended container stay.
    pub series_expiry: Duration,
    /// Where to record all that is observed.
    pub record: Option<PathBuf>,
    /// Whether complete terminations go to standard output; where that is not said, in Kubernetes.
    pub journal: Option<bool>,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log {
    /// The least important message to log.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
}

impl Default for Observe {
    fn default() -> Self {
        Self {
            watch_cgroup: None,
            pods: false,
            cgroup_root: None,
            engine: Settings::default(),
            stop_signals: vec![SIGINT, SIGQUIT, SIGTERM],
            ring_bytes: 8 << 20,
            protocols: Protocols::ALL,
        }
    }
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            keep: 1000,
            series_expiry: Duration::from_secs(3600),
            record: None,
            journal: None,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

impl Observe {
    /// Checks what was given and fills in the rest.
    ///
    /// # Errors
    /// [`Exit::Usage`], naming the option and its bounds.
    pub fn check(given: ObserveOptions) -> Result<Self, Failure> {
        let default = Self::default();
        let linger = given.linger.map_or(default.engine.linger, |span| span.0);
        if linger > LINGER_MOST {
            return Err(usage(format!("--linger {linger:?} is longer than {LINGER_MOST:?}")));
        }
        let grace = given.grace.map(|span| span.0);
        if grace.is_some_and(|grace| grace.is_zero()) {
            return Err(usage("--grace must be longer than 0; leave it out if it is not known".into()));
        }
        Ok(Self {
            watch_cgroup: given.watch_cgroup,
            pods: false,
            cgroup_root: given.cgroup_root,
            engine: Settings { linger, grace, ..default.engine },
            stop_signals: match given.stop_signals {
                Some(signals) => check_signals(signals)?,
                None => default.stop_signals,
            },
            ring_bytes: given.ring_bytes.map_or(Ok(default.ring_bytes), check_ring)?,
            protocols: given.protocols.unwrap_or(default.protocols),
        })
    }
}

impl Serve {
    /// Checks what was given and fills in the rest.
    ///
    /// # Errors
    /// [`Exit::Usage`], naming the option and its bounds.
    pub fn check(given: ServeOptions) -> Result<Self, Failure> {
        let default = Self::default();
        let keep = given.keep.unwrap_or(default.keep);
        if !(1..=KEEP_MOST).contains(&keep) {
            return Err(usage(format!("--keep {keep} is not between 1 and {KEEP_MOST}")));
        }
        Ok(Self {
            listen: given.listen.unwrap_or(default.listen),
            keep,
            series_expiry: given.series_expiry.map_or(default.series_expiry, |span| span.0),
            record: given.record,
            journal: given.journal,
        })
    }
}

impl Log {
    /// Fills in the rest.
    pub fn check(given: LogOptions) -> Self {
        let default = Self::default();
        Self { level: given.level.unwrap_or(default.level), format: given.format.unwrap_or(default.format) }
    }
}

fn check_signals(given: Vec<StopSignal>) -> Result<Vec<u32>, Failure> {
    let mut signals: Vec<u32> = given.into_iter().map(|signal| signal.0).collect();
    signals.sort_unstable();
    signals.dedup();
    if signals.is_empty() {
        return Err(usage("--stop-signals names no signal".into()));
    }
    Ok(signals)
}

fn check_ring(given: ByteSize) -> Result<u32, Failure> {
    let ByteSize(bytes) = given;
    match u32::try_from(bytes) {
        Ok(size) if bytes.is_power_of_two() && (RING_BYTES_LEAST..=RING_BYTES_MOST).contains(&bytes) => {
            Ok(size)
        }
        _ => Err(usage(format!("--ring-bytes {bytes} is no power of two between 4KiB and 1GiB"))),
    }
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}

impl File {
    /// Reads the configuration file, if one is named.
    ///
    /// # Errors
    /// [`Exit::Usage`] where it cannot be read, is not TOML, or sets what does not exist.
    pub fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let name = || format!("configuration file {}", path.display());
        let text = std::fs::read_to_string(path).or_exit(Exit::Usage, name)?;
        toml::from_str(&text).or_exit(Exit::Usage, name)
    }
}

#[cfg(test)]
mod tests;
