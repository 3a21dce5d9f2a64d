//! `check` on real servers: it fails them for the right reason, and passes them once its own advice is taken.
//!
//! The servers are those of the zoo; `cargo xtask zoo -- prepare` installs what they need.

mod bad_input;
mod gate;
mod leftovers;
mod pipelines;
mod servers;
mod verdicts;
