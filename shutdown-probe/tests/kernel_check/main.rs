//! `check` on real servers: it fails them for the right reason, and passes them once its own advice is taken.
//!
//! The servers are those of the zoo; `cargo xtask zoo -- prepare` installs what they need.

mod axum_service;
mod bad_input;
mod container;
mod gate;
mod leftovers;
mod matrix;
mod pipelines;
mod project;
mod servers;
mod verdicts;
