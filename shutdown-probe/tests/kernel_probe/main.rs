//! The kernel side on the running kernel. Needs root: `cargo test --features kernel-tests`.
//!
//! Each test watches a cgroup directory of its own, so that neither another test nor a daemon on the
//! same machine is in its way.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod attach;
mod delivery;
mod existing;
mod fates;
mod framing;
mod narration;
mod pieces;
mod pods;
mod processes;
mod programs;
mod puppet;
mod stage;
