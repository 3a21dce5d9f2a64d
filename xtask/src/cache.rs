//! Where what is expensive to make or to fetch survives the checkout.

use crate::context::Context;
use std::env;
use std::path::PathBuf;

/// The user's cache, where there is one; below `target/` otherwise.
pub fn directory(context: &Context) -> PathBuf {
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let users = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    match users {
        Some(cache) if cache.is_dir() => cache.join("shutdown-probe"),
        _ => context.workspace.target().join("cache"),
    }
}
