//! Doing the few things that need root: directly, or through sudo with the reason said.

use crate::failure::MissingTool;
use crate::search_path::SearchPath;
use anyhow::Result;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// How this process gets to be root.
#[derive(Debug)]
pub struct Elevation {
    way: Way,
    /// Reasons already given, so that each is said once.
    explained: RefCell<BTreeSet<String>>,
}

#[derive(Debug)]
enum Way {
    AlreadyRoot,
    Sudo(PathBuf),
    None,
}

impl Elevation {
    pub fn detect(search_path: &SearchPath) -> Self {
        let way = if rustix::process::geteuid().is_root() {
            Way::AlreadyRoot
        } else {
            search_path.find("sudo").map_or(Way::None, Way::Sudo)
        };
        Self { way, explained: RefCell::default() }
    }

    /// `program` with root's rights and these variables set. `why` completes "root is needed to …".
    ///
    /// # Errors
    /// [`MissingTool`] when we are not root and there is no sudo.
    pub fn command(
        &self,
        program: impl AsRef<OsStr>,
        variables: &[(&str, OsString)],
        why: &str,
    ) -> Result<Command> {
        let program = program.as_ref();
        match &self.way {
            Way::AlreadyRoot => {
                let mut command = Command::new(program);
                command.envs(variables.iter().map(|(name, value)| (name, value)));
                Ok(command)
            }
            Way::Sudo(sudo) => {
                if self.explained.borrow_mut().insert(why.to_owned()) {
                    println!("using sudo: root is needed to {why}");
                }
                let mut command = Command::new(sudo);
                // sudo replaces the environment, PATH above all, hence env.
                command.args(["--", "env"]).args(variables.iter().map(assignment)).arg(program);
                Ok(command)
            }
            Way::None => {
                let what = format!("root is needed to {why}: install sudo, or become root");
                Err(MissingTool::new(what, [] as [&str; 0]).into())
            }
        }
    }
}

fn assignment((name, value): &(&str, OsString)) -> OsString {
    let mut assignment = OsString::from(name);
    assignment.push("=");
    assignment.push(value);
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<&OsStr> {
        std::iter::once(command.get_program()).chain(command.get_args()).collect()
    }

    fn through(way: Way) -> Elevation {
        Elevation { way, explained: RefCell::default() }
    }

    #[test]
    fn root_runs_directly() {
        let command = through(Way::AlreadyRoot).command("ip", &[("A", "b".into())], "test").unwrap();
        assert_eq!(words(&command), ["ip"]);
        assert_eq!(command.get_envs().collect::<Vec<_>>(), [(OsStr::new("A"), Some(OsStr::new("b")))]);
    }

    #[test]
    fn others_use_sudo_and_keep_the_variables() {
        let elevation = through(Way::Sudo("/usr/bin/sudo".into()));
        let command = elevation.command("ip", &[("PATH", "/a:/b".into())], "test").unwrap();
        assert_eq!(words(&command), ["/usr/bin/sudo", "--", "env", "PATH=/a:/b", "ip"]);
    }

    #[test]
    fn without_sudo_it_says_so() {
        let error = through(Way::None).command("ip", &[], "make a network").unwrap_err();
        assert!(error.is::<MissingTool>());
        assert_eq!(error.to_string(), "root is needed to make a network: install sudo, or become root");
    }
}
