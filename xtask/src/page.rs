//! `page`: the daemon's web page in a real Chromium, and the pictures of it in the documents.

use crate::cargo;
use crate::command;
use crate::context::Context;
use crate::setup;
use crate::terminal::{Status, line};
use anyhow::{Context as _, Result};
use clap::Args;
use std::fs;

const TEST: &str = "page";
const FEATURE: &str = "browser-tests";

/// What can be typed after `cargo xtask page`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Also make the pictures in docs/images anew
    #[arg(long)]
    write: bool,
    /// Build with this profile; what is measured means something with `release` only
    #[arg(long, value_name = "PROFILE", default_value = "dev")]
    profile: String,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { write: false, profile: "dev".to_owned() }
    }
}

/// Serves scenes by the daemon's own server, and lets a browser walk through them.
///
/// # Errors
/// When something cannot be installed or built, and what the browser found.
pub fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let chromium = setup::ensure_browser(context)?;
    let mut test = cargo::workspace(context, "test")?;
    test.args(["--package", "shutdown-probe", "--features", FEATURE, "--test", TEST])
        .args(["--profile", &arguments.profile, "--", "--nocapture"])
        .env("SHUTDOWN_PROBE_PAGE_CHROMIUM", chromium)
        .env("SHUTDOWN_PROBE_PAGE_MODULES", context.workspace.browser_modules())
        .env_remove("SHUTDOWN_PROBE_PAGE_WRITE");
    if arguments.write {
        let pictures = context.workspace.root().join("docs/images");
        fs::create_dir_all(&pictures).with_context(|| pictures.display().to_string())?;
        line(Status::Note, "pictures", pictures.display());
        test.env("SHUTDOWN_PROBE_PAGE_WRITE", pictures);
    }
    command::run(&mut test)
}
