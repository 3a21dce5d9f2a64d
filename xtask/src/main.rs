//! `cargo xtask`: everything one does to the project that is more than one cargo command.
//!
//! Invariant: what a command produces lies at a fixed place below `target/`, whoever ran it.

mod alerts;
mod bench;
mod build;
mod cache;
mod cargo;
mod cli;
mod cluster;
mod command;
mod context;
mod dashboards;
mod deploy;
mod docs;
mod e2e;
mod elevation;
mod failure;
mod image;
mod libraries;
mod page;
mod search_path;
mod setup;
mod terminal;
mod test;
mod toolchain;
mod vm;
mod workspace;
mod zoo;

use clap::Parser as _;
use cli::{Cli, Command};
use context::Context;
use setup::Scope;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Wrong usage ends in here, with exit code 2.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", terminal::stderr().red("error:"));
            failure::exit_code(&error)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let context = Context::new()?;
    match command {
        Command::Setup { build_only } => setup::run(&context, Scope::from_build_only(build_only)),
        Command::Build { debug } => build::run(&context, build::Profile::from_debug(debug)),
        Command::Test { quick, only } => test::run(&context, quick, only),
        Command::Zoo { args } => zoo::run(&context, &args),
        Command::Demo => zoo::demo(&context),
        Command::Vm(arguments) => vm::run(&context, &arguments),
        Command::VmGuest => vm::guest::run(),
        Command::Bench(arguments) => bench::run(&context, &arguments),
        Command::Cluster(arguments) => cluster::run(&context, &arguments),
        Command::Image(arguments) => image::run(&context, &arguments).map(|_| ()),
        Command::Page(arguments) => page::run(&context, &arguments),
        Command::Alerts(arguments) => alerts::run(&context, &arguments),
        Command::Dashboards(arguments) => dashboards::run(&context, &arguments),
        Command::Deploy(arguments) => deploy::run(&context, &arguments),
        Command::E2e(arguments) => e2e::run(&context, &arguments),
        Command::Docs { check } => docs::run(&context, check),
    }
}
