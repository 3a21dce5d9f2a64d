//! `docs`: the reference of the metrics, from the same table that registers them, and the page about kernels, from
//! what was recorded of them.

use crate::build::{self, Profile};
use crate::command;
use crate::context::Context;
use crate::vm;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Writes docs/metrics.md and docs/kernels.md; with `check`, only compares.
///
/// # Errors
/// When the daemon cannot be built or asked; with `check`, when a file differs.
pub fn run(context: &Context, check: bool) -> Result<()> {
    build::run(context, Profile::Release)?;
    let daemon = context.workspace.daemon(Profile::Release);
    let generated = command::read(Command::new(daemon).args(["generate", "metrics-doc"]))?;
    page(&context.workspace.metrics_doc(), &generated, check)?;
    page(&context.workspace.kernels_doc(), &vm::page(context)?, check)
}

fn page(path: &Path, generated: &str, check: bool) -> Result<()> {
    if !check {
        return fs::write(path, generated).with_context(|| path.display().to_string());
    }
    let written = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    match first_difference(&written, generated) {
        None => Ok(()),
        Some(difference) => {
            bail!("{} is out of date, {difference}; cargo xtask docs writes it", path.display())
        }
    }
}

fn first_difference(written: &str, generated: &str) -> Option<String> {
    if written == generated {
        return None;
    }
    let same = written.lines().zip(generated.lines()).take_while(|(old, new)| old == new).count();
    let at = |text: &str| text.lines().nth(same).map_or("nothing".to_owned(), |line| format!("'{line}'"));
    Some(format!("line {} is {} and should be {}", same + 1, at(written), at(generated)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let difference = |old, new| first_difference(old, new).unwrap();
        assert_eq!(difference("a\nb\n", "a\nc\n"), "line 2 is 'b' and should be 'c'");
        assert_eq!(difference("a\n", "a\nc\n"), "line 2 is nothing and should be 'c'");
        assert_eq!(difference("a", "a\n"), "line 2 is nothing and should be nothing");
    }
}
