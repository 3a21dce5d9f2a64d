//! Who stands in front of the serving process: shells, inits, package managers, masters of its own kind.

use super::file_name;
use super::process::Process;
use std::path::Path;

/// How many generations are looked at.
const GENERATIONS: usize = 32;

/// What stands in front of the server as the process that is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// A shell that waits for its child.
    Shell,
    /// An init that passes signals on.
    Init,
    /// A package manager that runs a script: npm, yarn, pnpm, poetry, ...
    PackageManager,
    /// Some other program.
    Other,
}

impl Wrapper {
    /// For machines.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Init => "init",
            Self::PackageManager => "package_manager",
            Self::Other => "other",
        }
    }
}

/// From the main process down to the parent of the server.
pub(super) fn ancestors(server: &Process, main: u32) -> Vec<Process> {
    let mut chain: Vec<Process> = Vec::new();
    let mut next = server.parent;
    while next != 0 && chain.len() < GENERATIONS {
        let process = Process::read(next);
        next = if process.id == main { 0 } else { process.parent };
        chain.push(process);
    }
    // Whoever lost its parent is not below the main process any more.
    if chain.last().is_none_or(|last| last.id != main) {
        chain = vec![Process::read(main)];
    }
    chain.reverse();
    chain
}

/// Whether one is a master of the other: the same program, started for the same script.
pub(super) fn is_kin(one: &Process, server: &Process) -> bool {
    one.exe_name() == server.exe_name()
        && one.script().map(file_name) == server.script().map(file_name)
        && !matches!(kind(one), Wrapper::Shell | Wrapper::PackageManager)
}

/// The first in the chain that is of another kind than the server, and its name. An init only if there is no other:
/// it passes the signal on to the next.
pub(super) fn wrapper(server: &Process, in_front: &[Process]) -> Option<(Wrapper, String)> {
    let strangers = || in_front.iter().filter(|process| !is_kin(process, server));
    let first = strangers().find(|process| kind(process) != Wrapper::Init).or_else(|| strangers().next())?;
    Some((kind(first), first.name().to_owned()))
}

fn kind(process: &Process) -> Wrapper {
    let script =
        process.script().map(|path| Path::new(path).file_stem().unwrap_or_default().to_string_lossy());
    let managers =
        ["npm", "npm-cli", "npx", "npx-cli", "yarn", "pnpm", "poetry", "pipenv", "uv", "bundle", "make"];
    let is_manager = |name: &str| managers.contains(&name);
    // npm calls itself `npm start`.
    let called = process.comm.split(' ').next().unwrap_or_default();
    match process.exe_name() {
        "sh" | "bash" | "dash" | "ash" | "busybox" | "zsh" | "ksh" => Wrapper::Shell,
        "tini" | "tini-static" | "dumb-init" | "catatonit" | "docker-init" | "s6-svscan" | "runsvdir" => {
            Wrapper::Init
        }
        name if is_manager(name) || is_manager(called) || script.as_deref().is_some_and(is_manager) => {
            Wrapper::PackageManager
        }
        _ => Wrapper::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::process;
    use super::*;

    fn before_node(in_front: &[(&str, &[&str])]) -> Option<Wrapper> {
        let server = process("/usr/bin/node", &["node", "server.js"]);
        let in_front: Vec<_> = in_front.iter().map(|(exe, arguments)| process(exe, arguments)).collect();
        wrapper(&server, &in_front).map(|(wrapper, _)| wrapper)
    }

    #[test]
    fn wrappers_are_told_apart() {
        let shell: (&str, &[&str]) = ("/usr/bin/dash", &["sh", "-c", "x"]);
        let init: (&str, &[&str]) = ("/usr/bin/tini", &["tini", "--", "x"]);
        let npm: (&str, &[&str]) = ("/usr/bin/node", &["node", "/usr/bin/npm", "start"]);
        let primary: (&str, &[&str]) = ("/usr/bin/node", &["node", "/app/server.js"]);
        let nodemon: (&str, &[&str]) = ("/usr/bin/node", &["node", "/app/node_modules/.bin/nodemon"]);
        assert_eq!(before_node(&[shell]), Some(Wrapper::Shell));
        assert_eq!(before_node(&[init]), Some(Wrapper::Init));
        assert_eq!(
            before_node(&[init, shell]),
            Some(Wrapper::Shell),
            "the init passes it on, the shell does not"
        );
        assert_eq!(before_node(&[npm, shell]), Some(Wrapper::PackageManager));
        assert_eq!(before_node(&[nodemon]), Some(Wrapper::Other));
        assert_eq!(before_node(&[primary]), None, "a master is no wrapper");
        assert_eq!(before_node(&[]), None);
    }

    #[test]
    fn npm_goes_by_its_title() {
        let mut npm = process("/usr/bin/node", &["npm start"]);
        npm.comm = "npm start".into();
        assert_eq!(kind(&npm), Wrapper::PackageManager);
    }
}
