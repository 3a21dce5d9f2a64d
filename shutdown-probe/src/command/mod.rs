//! What each command does, one file each.

mod api;
mod doctor;
mod generate;
pub(crate) mod kubectl;
mod record;
mod replay;
mod report;
mod watch;

use crate::app;
use crate::check;
use crate::cli::Command;
use crate::exit::{Exit, Failure};
use std::io::Write;

/// Does what was typed, and says how the program ends.
///
/// # Errors
/// What went wrong, with its exit code.
pub fn execute(command: Command, out: &mut impl Write) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => app::run(args),
        Command::Check(args) => check::run(*args, out),
        Command::Guard(args) => check::guard(&args),
        Command::Watch(args) => watch::run(args, out),
        Command::Report(args) => report::run(&args, out),
        Command::Doctor(args) => doctor::run(&args, out),
        Command::Record(args) => record::run(args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Kubectl(args) => kubectl::run(&args, out),
        Command::Generate(args) => generate::run(args.what, out),
    }
}

/// Prints a value as one line of JSON.
fn print_json(out: &mut impl Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, value).map_err(|error| Failure::cannot_write(error.into()))?;
    out.write_all(b"\n").map_err(Failure::cannot_write)
}

/// Prints text as it is: whoever made it has escaped it.
fn print(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(Failure::cannot_write)
}
