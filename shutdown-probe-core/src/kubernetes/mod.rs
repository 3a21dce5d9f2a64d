//! What Kubernetes adds: which pod a cgroup belongs to, what the API says of it, and what that proves.
//!
//! Invariant: the API is a witness, not a condition. What the kernel saw is reported without it; names and
//! reasons fill in when they come.

pub mod cgroup_path;
pub mod pod;
pub mod source;
pub mod trigger;

mod member;
mod registry;

pub use pod::Pod;

pub(crate) use member::Member;
pub(crate) use registry::Registry;
