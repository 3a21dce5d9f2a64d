//! Terminations in words, for a terminal of 80 columns.
//!
//! Invariant: whatever came from outside passes [`escape::escape`] before it is printed.

mod connections;
pub mod escape;
mod kubernetes;
mod list;
mod paint;
mod patience;
mod progress;
mod remedy;
mod story;
mod text;
pub mod timeline;

pub use list::{list, name};
pub use paint::Paint;
pub use patience::{StatusLine, patiently};
pub use progress::Progress;
pub use remedy::title as patch_title;
pub use story::story;
pub use text::{cell, counted, time, wrapped};
