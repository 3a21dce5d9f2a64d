//! Running other programs: what ran is named when it fails.

use anyhow::{Context as _, Result, bail};
use std::process::{Command, Output};

/// Runs to the end, output passed through.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| describe(command))?;
    if !status.success() {
        bail!("{}: {status}", describe(command));
    }
    Ok(())
}

/// Runs to the end and returns its standard output; standard error is passed through.
///
/// # Errors
/// When it cannot be started, does not exit with 0, or wrote something that is not text.
pub fn read(command: &mut Command) -> Result<String> {
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().with_context(|| describe(command))?;
    if !output.status.success() {
        bail!("{}: {}", describe(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| describe(command))
}

/// Asks a program that may be absent or unwilling: its standard output, or nothing.
pub fn probe(command: &mut Command) -> Option<String> {
    let Output { status, stdout, .. } = command.output().ok()?;
    status.success().then(|| String::from_utf8_lossy(&stdout).into_owned())
}

/// As one would type it.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 7: exit status: 7");
        let error = run(&mut Command::new("/nowhere/at-all")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/at-all");
    }

    #[test]
    fn probe_has_no_answer_from_a_failure() {
        assert_eq!(probe(Command::new("sh").args(["-c", "echo yes"])).as_deref(), Some("yes\n"));
        assert_eq!(probe(Command::new("sh").args(["-c", "echo no; exit 1"])), None);
        assert_eq!(probe(&mut Command::new("/nowhere/at-all")), None);
    }
}
