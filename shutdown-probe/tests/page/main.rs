//! The page in a real Chromium: the daemon's own HTTP server, with scenes made by the engine, and `browser/` to look
//! at them.
//!
//! Most scenes are recordings of real servers. It needs what `cargo xtask page` installs, and says so.

mod scene;
mod served;
mod story;

use serde_json::{Value, json};
use served::Served;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the browser's programs are; set by `cargo xtask page`.
const MODULES: &str = "SHUTDOWN_PROBE_PAGE_MODULES";
const CHROMIUM: &str = "SHUTDOWN_PROBE_PAGE_CHROMIUM";
/// Where pictures for the documents go, if any are asked for.
const WRITE: &str = "SHUTDOWN_PROBE_PAGE_WRITE";

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name).map(PathBuf::from).unwrap_or_else(|| panic!("no {name}: run `cargo xtask page`"))
}

#[test]
fn people_find_their_way_in_a_real_browser() {
    let scenes = [
        ("empty", Served::start(Vec::new())),
        ("story", Served::start(scene::recordings())),
        ("cluster", Served::start(scene::cluster())),
        ("busy", Served::start(scene::busy())),
        ("thousand", Served::start(scene::thousand())),
        ("progress", Served::start(scene::in_progress())),
        ("hostile", Served::start(scene::hostile())),
    ];
    let addresses: Value =
        scenes.iter().map(|(name, served)| ((*name).to_owned(), served.addresses())).collect();
    let write = std::env::var_os(WRITE).map(PathBuf::from);
    let settings = json!({
        "scenes": addresses,
        "modules": variable(MODULES),
        "chromium": variable(CHROMIUM),
        "write": write,
    });
    node("page.test.mjs", &settings);
    if write.is_some() {
        node("screenshots.test.mjs", &settings);
    }
}

fn node(script: &str, settings: &Value) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/browser").join(script);
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"]).arg(&script);
    let status = node.env("SHUTDOWN_PROBE_PAGE_TEST", settings.to_string()).status().expect("node starts");
    assert!(status.success(), "{}: {status}", script.display());
}
