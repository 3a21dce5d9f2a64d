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
pub mod dashboards;
pub mod exit;
pub mod fleet;
pub mod kernel;
pub mod kube;
pub mod live;
pub mod logging;
pub mod output;
pub mod privileges;
pub mod probe;
pub mod probe_input;
pub mod promql;
pub mod recording;
pub mod session;
pub mod witness;

use clap::Parser;
use exit::{Exit, Failure};
use output::console::escape::escape;
use output::console::wrapped;
use std::ffi::OsString;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

/// The name under which kubectl finds its plugin, for `kubectl shutdown-probe`.
const PLUGIN: &str = "kubectl-shutdown_probe";

/// The command line; that of the plugin is the one of `kubectl`.
fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = given.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_stem);
    if name.is_some_and(|name| name == PLUGIN) {
        arguments.insert(1, "kubectl".into());
    }
    arguments
}

/// Does what the command line says, and says how the program ends.
pub fn main() -> Exit {
    let cli = match cli::Cli::try_parse_from(arguments(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { exit_for_usage() } else { Exit::Success };
            // Help that cannot be printed is no reason for another complaint.
            let _ = error.print();
            return exit;
        }
    };
    cli.color.write_global();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = command::execute(cli.command, &mut out)
        .and_then(|exit| out.flush().map(|()| exit).map_err(Failure::cannot_write));
    outcome.unwrap_or_else(|failure| {
        if failure.is_broken_pipe() {
            return Exit::Success;
        }
        for line in failure.to_string().lines() {
            eprint!("{}", complaint(line, std::io::stderr().is_terminal()));
        }
        failure.exit
    })
}

/// One line of it; on a terminal broken between words.
fn complaint(line: &str, on_terminal: bool) -> String {
    let first = "shutdown-probe: ";
    if on_terminal { wrapped(first, line) } else { format!("{first}{}\n", escape(line)) }
}

/// A gate in a pipeline has three answers; what was typed wrong is no measurement.
fn exit_for_usage() -> Exit {
    let is_check = std::env::args_os().nth(1).is_some_and(|command| command == "check");
    if is_check { Exit::NotMeasured } else { Exit::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_the_same_program() {
        let of = |line: &[&str]| arguments(line.iter().map(OsString::from));
        let plugin = of(&["/usr/bin/kubectl-shutdown_probe", "report", "web"]);
        assert_eq!(plugin, ["/usr/bin/kubectl-shutdown_probe", "kubectl", "report", "web"]);
        assert_eq!(of(&["shutdown-probe", "doctor"]), ["shutdown-probe", "doctor"]);
        assert!(of(&[]).is_empty());
    }
}
