//! Where what was observed goes: [`metrics`], the [`store`] behind the API, and the [`console`].

pub mod console;
pub mod metrics;
pub mod store;

#[cfg(test)]
pub(crate) mod sample;
