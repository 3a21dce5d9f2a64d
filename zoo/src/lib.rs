//! The zoo judges the daemon: real servers are stopped while real clients hold connections. What the
//! clients saw is the truth; what the daemon says is compared with it, connection by connection.
//!
//! What is public here is what other judges need: clients that keep records, the rule that turns a record into what
//! the daemon must find, and the comparison.

pub mod api;
mod case;
mod cgroup;
mod cli;
pub mod client;
pub mod compare;
mod daemon;
pub mod dashboard;
mod demo;
pub mod expect;
mod fleet;
pub mod framing;
mod judge;
pub mod log;
mod memory;
mod metrics;
mod namespace;
pub mod port;
mod process;
mod program;
pub mod prometheus;
mod report;
mod run;
mod server;
mod stage;
mod terminal;
mod tool;
pub mod truth;

pub use namespace::Network;
pub use stage::{PlayedClient, PlayedRun};

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// The whole program: from its arguments to its exit status.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(options) => run::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Fleet(options) => fleet::run(&options),
        Command::Prepare => run::prepare(),
        Command::Server(options) => server::run(&options).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("zoo: {error:#}");
            ExitCode::from(2)
        }
    }
}
