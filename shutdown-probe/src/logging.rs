//! Logs: to standard error, as text or JSON.
//!
//! Invariant: no payload and no secret is ever logged, since none is ever read; text from outside is escaped
//! before it becomes a field.

use crate::config::{Log, LogFormat, LogLevel};
use crate::output::console::Paint;
use std::io;
use tracing::level_filters::LevelFilter;

/// Starts logging. A second call changes nothing.
pub fn start(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    let in_colour = Paint::stderr().is_coloured();
    // It fails only where logging was started before.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(in_colour).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
