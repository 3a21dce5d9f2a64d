//! The daemon and its companions: the shell around the engine.
//!
//! A fact walks this path: the kernel side's record → [`probe_input`] → [`witness`], which drives the engine →
//! [`output`] and, from there, [`admin`].

pub mod admin;
pub mod app;
pub mod check;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod exit;
pub mod kernel;
pub mod live;
pub mod logging;
pub mod output;
pub mod privileges;
pub mod probe;
pub mod probe_input;
pub mod recording;
pub mod session;
pub mod witness;

use clap::Parser;
use exit::{Exit, Failure};
use output::console::escape::escape;
use std::io::{BufWriter, Write};

/// Does what the command line says, and says how the program ends.
pub fn main() -> Exit {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { exit_for_usage() } else { Exit::Success };
            // Help that cannot be printed is no reason for another complaint.
            let _ = error.print();
            return exit;
        }
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = command::execute(cli.command, &mut out)
        .and_then(|exit| out.flush().map(|()| exit).map_err(Failure::cannot_write));
    outcome.unwrap_or_else(|failure| {
        if failure.is_broken_pipe() {
            return Exit::Success;
        }
        for line in failure.to_string().lines() {
            eprintln!("shutdown-probe: {}", escape(line));
        }
        failure.exit
    })
}

/// A gate in a pipeline has three answers; what was typed wrong is no measurement.
fn exit_for_usage() -> Exit {
    let is_check = std::env::args_os().nth(1).is_some_and(|command| command == "check");
    if is_check { Exit::NotMeasured } else { Exit::Usage }
}
