//! `generate`: references, manual page and completions, from the program itself.

use super::print;
use crate::cli::{Cli, Generate, Shell};
use crate::dashboards;
use crate::exit::{Exit, Failure};
use crate::output::metrics;
use crate::probe;
use clap::{Command, CommandFactory};
use clap_complete::aot::{self, generate};
use std::fs;
use std::io::Write;
use std::path::Path;

/// The width of the help texts in the reference, in columns.
const WIDTH: usize = 100;

/// Prints what is asked for.
pub fn run(what: Generate, out: &mut impl Write) -> Result<Exit, Failure> {
    match what {
        Generate::MetricsDoc => print(out, &metrics::reference())?,
        Generate::CliDoc => print(out, &reference())?,
        Generate::Man { command } => manual(command.as_deref(), out)?,
        Generate::Dashboard { which } => {
            serde_json::to_writer_pretty(&mut *out, &dashboards::json(which))
                .map_err(|error| Failure::cannot_write(error.into()))?;
            print(out, "\n")?;
        }
        Generate::Btf { file } => excerpt(&file, out)?,
        Generate::Completions { shell } => complete(shell, out)?,
    }
    Ok(Exit::Success)
}

fn manual(command: Option<&str>, out: &mut impl Write) -> Result<(), Failure> {
    let mut page = Cli::command();
    // Now each knows what is global, and its full name.
    page.build();
    if let Some(name) = command {
        let found = page.find_subcommand(name).cloned();
        page = found.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no command {name:?}")))?;
    }
    clap_mangen::Man::new(page).render(out).map_err(Failure::cannot_write)
}

fn excerpt(file: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let failure = |exit, error: String| Failure::new(exit, format!("{}: {error}", file.display()));
    let whole = fs::read(file).map_err(|error| failure(Exit::NoInput, error.to_string()))?;
    let part = probe::excerpt(whole).map_err(|error| failure(Exit::Data, error.to_string()))?;
    out.write_all(&part).map_err(Failure::cannot_write)
}

fn complete(shell: Shell, out: &mut impl Write) -> Result<(), Failure> {
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Fish => aot::Shell::Fish,
        Shell::Zsh => aot::Shell::Zsh,
    };
    // Into memory first: the generator does not return errors of writing.
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "shutdown-probe", &mut text);
    // For bash the generator calls a program with a hyphen by two names (https://github.com/clap-rs/clap/issues/6421).
    let text = String::from_utf8_lossy(&text).replace("shutdown__subcmd__probe", "shutdown__probe");
    out.write_all(text.as_bytes()).map_err(Failure::cannot_write)
}

/// The reference of commands, `docs/cli.md`.
pub fn reference() -> String {
    let mut root = Cli::command().term_width(WIDTH);
    root.build();
    let mut text = String::from(
        "# Commands\n\n<!-- Made by `shutdown-probe generate cli-doc`; do not edit. -->\n\n\
         Every option that names an environment variable can be given by it; a flag goes before it, and it goes \
         before the configuration file of `run`.\n",
    );
    text.push_str(&section(&mut root));
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        // What the variables are set to here is nobody else's affair.
        let command = command.clone().mut_args(|argument| argument.hide_env_values(true));
        text.push_str(&section(&mut command.term_width(WIDTH)));
    }
    text
}

/// The help of one command, as it is printed on a wide terminal.
fn section(command: &mut Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_the_repository_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");
        let written = std::fs::read_to_string(path).expect("docs/cli.md");
        assert!(written == reference(), "docs/cli.md is stale: run `shutdown-probe generate cli-doc`");
    }

    #[test]
    fn everything_can_be_generated() {
        let shells = [Shell::Bash, Shell::Fish, Shell::Zsh].map(|shell| Generate::Completions { shell });
        for what in [Generate::MetricsDoc, Generate::CliDoc, Generate::Man { command: None }]
            .into_iter()
            .chain(shells)
        {
            let mut text = Vec::new();
            run(what, &mut text).expect("memory can be written");
            assert!(String::from_utf8(text).expect("UTF-8").contains("shutdown"));
        }
    }
}
