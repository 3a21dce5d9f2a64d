//! What is said in the end, and in which form.

mod document;
mod github;
mod junit;
mod notes;
mod text;
mod timeline;

pub use document::Document;
pub use github::{annotations, failure as failure_annotation};
pub use junit::{error as junit_error, junit};
pub use text::text;
