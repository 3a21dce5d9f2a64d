//! Why a command ended badly, as far as its exit code tells.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

const FAILED_STEP: u8 = 1;
const MISSING_TOOL: u8 = 3;

/// Something has to be installed first, and this command would not or could not do it.
#[derive(Debug)]
pub struct MissingTool {
    what: String,
    commands: Vec<String>,
}

impl MissingTool {
    /// `commands`: what to type, one line each.
    pub fn new(what: impl Into<String>, commands: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { what: what.into(), commands: commands.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.commands.is_empty() {
            f.write_str("; type:")?;
        }
        self.commands.iter().try_for_each(|command| write!(f, "\n    {command}"))
    }
}

impl Error for MissingTool {}

/// 3 if a tool is missing, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    // Not `chain()`: a context added on the way must not hide it.
    if error.downcast_ref::<MissingTool>().is_some() { MISSING_TOOL } else { FAILED_STEP }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn missing_tool_keeps_its_code_under_context() {
        let error = anyhow::Error::new(MissingTool::new("no node", ["apt-get install nodejs"]));
        assert_eq!(code(&error), MISSING_TOOL);
        let wrapped = Err::<(), _>(error).context("step 'setup' failed").unwrap_err();
        assert_eq!(code(&wrapped), MISSING_TOOL);
        assert_eq!(format!("{wrapped:#}"), "step 'setup' failed: no node; type:\n    apt-get install nodejs");
    }

    #[test]
    fn all_else_is_a_failed_step() {
        assert_eq!(code(&anyhow!("cargo test: exit status: 101")), FAILED_STEP);
    }
}
