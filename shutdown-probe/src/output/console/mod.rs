//! Terminations in words, for a terminal of 80 columns.
//!
//! Invariant: whatever came from outside passes [`escape::escape`] before it is printed.

pub mod escape;
mod list;
mod progress;
mod story;
mod text;

pub use list::list;
pub use progress::Progress;
pub use story::story;
pub use text::wrapped;
