//! cargo-deny: licences, advisories, sources of the dependencies.

use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::terminal::{Status, line};
use anyhow::Result;

const VERSION: &str = "0.20.2";

/// Builds it if there is none.
pub fn ensure(context: &Context) -> Result<()> {
    if let Some(path) = context.search_path.find("cargo-deny") {
        line(Status::Found, "cargo-deny", path.display());
        return Ok(());
    }
    let arguments = ["cargo-deny", "--version", VERSION, "--locked"];
    line(Status::Installing, "cargo-deny", format!("cargo install {}", arguments.join(" ")));
    command::run(cargo::own(context, "install")?.args(arguments))
}
