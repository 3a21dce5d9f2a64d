//! Where what was observed goes: [`metrics`], the [`store`] behind the API, and the [`console`].

pub mod console;
mod daemon;
mod journal;
pub mod metrics;
pub mod store;

pub use daemon::{Events, Outputs, Voices};
pub use journal::Journal;

#[cfg(test)]
pub(crate) mod sample;
