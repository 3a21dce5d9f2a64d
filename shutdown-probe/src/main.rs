//! `shutdown-probe`: see [`shutdown_probe::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    shutdown_probe::main().into()
}
