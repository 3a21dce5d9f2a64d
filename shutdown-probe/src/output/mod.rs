//! Where what was observed goes: [`metrics`], the [`store`] behind the API, and the [`console`].

pub mod console;
mod daemon;
pub mod metrics;
pub mod store;

pub use daemon::Outputs;

#[cfg(test)]
pub(crate) mod sample;
