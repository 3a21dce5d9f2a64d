//! What each hook does. One file a theme; the entry points are in `main.rs`.

pub mod cgroup;
pub mod delivery;
pub mod existing;
pub mod narrate;
pub mod payload;
pub mod process;
pub mod read;
pub mod reset;
pub mod signal;
pub mod state;
