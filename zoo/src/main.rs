//! The zoo judges the daemon: real servers are stopped while real clients hold connections. What the
//! clients saw is the truth; what the daemon says is compared with it, connection by connection.

mod api;
mod case;
mod cgroup;
mod cli;
mod client;
mod compare;
mod daemon;
mod demo;
mod expect;
mod framing;
mod judge;
mod log;
mod memory;
mod metrics;
mod namespace;
mod port;
mod process;
mod program;
mod report;
mod run;
mod server;
mod stage;
mod terminal;
mod tool;
mod truth;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(options) => run::run(&options),
        Command::Demo(options) => demo::run(&options),
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
