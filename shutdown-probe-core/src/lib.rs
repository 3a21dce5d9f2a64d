//! The pure engine: [`Input`]s in, [`Command`]s out, one state machine per termination.
//!
//! Invariant: no IO and no clock. Time is data: each input carries its own, and whoever drives the
//! engine calls [`Engine::handle_timeout`] when [`Engine::poll_timeout`] says so. The same inputs give
//! the same commands, which is what makes recordings replayable.

pub mod advice;
pub mod cause;
pub mod command;
pub mod engine;
pub mod identity;
pub mod input;
pub mod kubernetes;
pub mod recommendation;
pub mod report;
pub mod signal;
pub mod trigger;

mod closed_set;
mod container;
mod summary;
mod termination;

pub use command::Command;
pub use engine::{Engine, Settings};
pub use input::Input;
