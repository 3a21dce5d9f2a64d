//! The daemon and its companions: the shell around the engine.
//!
//! A fact walks this path: the kernel side's record → [`probe_input`] → [`witness`], which drives the engine →
//! [`output`] and, from there, [`admin`].

pub mod admin;
pub mod clock;
pub mod config;
pub mod exit;
pub mod live;
pub mod output;
pub mod probe;
pub mod probe_input;
pub mod recording;
pub mod witness;
