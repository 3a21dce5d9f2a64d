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
    /// One that builds and then runs what it has built: Maven, Gradle, `go run`, ...
    BuildTool,
    /// One that starts it again when it ends or a file changes: PM2, nodemon, `node --watch`.
    Manager,
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
            Self::BuildTool => "build_tool",
            Self::Manager => "process_manager",
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
        && !matches!(kind(one), Wrapper::Shell | Wrapper::PackageManager | Wrapper::BuildTool)
        && !is_manager(one)
}

/// Whether it keeps other programs running; it may listen for them.
pub(super) fn is_manager(process: &Process) -> bool {
    let script = stem(process);
    let is_named = ["pm2", "pm2-runtime", "pm2-docker", "nodemon"].contains(&script.as_str());
    is_named || watches(process) || process.arguments.first().is_some_and(|title| title.starts_with("PM2 v"))
}

/// Whether it is a Node that starts its own script again when a file changes.
fn watches(process: &Process) -> bool {
    let mut options = process.arguments.iter().skip(1).take_while(|argument| argument.starts_with('-'));
    process.exe_name() == "node" && options.any(|option| option.starts_with("--watch"))
}

/// The first in the chain that is of another kind than the server, and its name. An init only if there is no other:
/// it passes the signal on to the next.
pub(super) fn wrapper(server: &Process, in_front: &[Process]) -> Option<(Wrapper, String)> {
    let strangers = || in_front.iter().filter(|process| !is_kin(process, server));
    let first = strangers().find(|process| kind(process) != Wrapper::Init).or_else(|| strangers().next())?;
    Some((kind(first), name(first)))
}

/// What people call it: an interpreter goes by what it runs.
fn name(process: &Process) -> String {
    let stem = stem(process);
    let interprets = ["node", "python", "ruby", "perl"].iter().any(|it| process.exe_name().starts_with(it));
    let called = process.comm.split(' ').next().unwrap_or_default();
    match process.exe_name() {
        "java" if runs_maven(process) => "Maven".into(),
        "java" if runs_gradle(process) => "Gradle".into(),
        "go" | "cargo" | "dotnet" if kind(process) == Wrapper::BuildTool => {
            format!("{} {}", process.exe_name(), process.script().unwrap_or_default())
        }
        "node" if watches(process) => "node --watch".into(),
        _ if PACKAGE_MANAGERS.contains(&called) => called.into(),
        "node" if package(process).is_some() => package(process).unwrap_or_default(),
        _ if interprets && !stem.is_empty() => stem.trim_end_matches("-cli").into(),
        _ => process.name().to_owned(),
    }
}

const PACKAGE_MANAGERS: [&str; 14] = [
    "npm", "npm-cli", "npx", "npx-cli", "yarn", "pnpm", "corepack", "poetry", "pipenv", "uv", "pdm", "hatch",
    "bundle", "make",
];

fn kind(process: &Process) -> Wrapper {
    let is_package_manager = |name: &str| PACKAGE_MANAGERS.contains(&name);
    // npm calls itself `npm start`.
    let called = process.comm.split(' ').next().unwrap_or_default();
    match process.exe_name() {
        "sh" | "bash" | "dash" | "ash" | "busybox" | "zsh" | "ksh" => Wrapper::Shell,
        "tini" | "tini-static" | "dumb-init" | "catatonit" | "docker-init" => Wrapper::Init,
        // They wait for what they pass signals on to.
        "s6-svscan" | "s6-supervise" | "runsvdir" | "runsv" | "multirun" => Wrapper::Init,
        _ if stem(process) == "supervisord" => Wrapper::Init,
        "mvnd" => Wrapper::BuildTool,
        "go" | "cargo" | "dotnet" if matches!(process.script(), Some("run" | "watch")) => Wrapper::BuildTool,
        "java" if runs_maven(process) || runs_gradle(process) => Wrapper::BuildTool,
        name if is_package_manager(name)
            || is_package_manager(called)
            || is_package_manager(&stem(process)) =>
        {
            Wrapper::PackageManager
        }
        _ if is_manager(process) || package(process).is_some() => Wrapper::Manager,
        _ => Wrapper::Other,
    }
}

fn runs_maven(process: &Process) -> bool {
    let is_main = |argument: &String| {
        argument.starts_with("org.codehaus.plexus.classworlds") || argument.starts_with("org.apache.maven")
    };
    process.arguments.iter().any(is_main)
}

fn runs_gradle(process: &Process) -> bool {
    process.arguments.iter().any(|argument| argument.starts_with("org.gradle."))
}

/// The package that its script belongs to, where it is a tool that was installed, not the service's own code.
fn package(process: &Process) -> Option<String> {
    let (_, inside) = process.script()?.rsplit_once("node_modules/")?;
    let mut parts = inside.split('/');
    match parts.next()? {
        ".bin" => Some(stem(process)),
        scope if scope.starts_with('@') => Some(format!("{scope}/{}", parts.next()?)),
        name => Some(name.to_owned()),
    }
}

/// The name of its script, without the ending.
fn stem(process: &Process) -> String {
    let stem = process.script().and_then(|path| Path::new(path).file_stem());
    stem.unwrap_or_default().to_string_lossy().into_owned()
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
        assert_eq!(before_node(&[nodemon]), Some(Wrapper::Manager));
        let (pm2, watch) = (
            ("/usr/bin/node", &["node", "/app/node_modules/.bin/pm2-runtime", "server.js"][..]),
            ("/usr/bin/node", &["node", "--watch-path=.", "server.js"][..]),
        );
        assert_eq!(before_node(&[pm2]), Some(Wrapper::Manager));
        assert_eq!(before_node(&[watch]), Some(Wrapper::Manager), "it is no master of the same script");
        assert_eq!(before_node(&[primary]), None, "a master is no wrapper");
        assert_eq!(before_node(&[]), None);
    }

    #[test]
    fn build_tools_are_told_by_what_they_do() {
        let maven =
            process("/jdk/bin/java", &["java", "org.codehaus.plexus.classworlds.launcher.Launcher", "x"]);
        assert_eq!((kind(&maven), name(&maven).as_str()), (Wrapper::BuildTool, "Maven"));
        let run = process("/usr/local/go/bin/go", &["go", "run", "."]);
        assert_eq!((kind(&run), name(&run).as_str()), (Wrapper::BuildTool, "go run"));
        assert_eq!(kind(&process("/usr/bin/dotnet", &["dotnet", "App.dll"])), Wrapper::Other);
    }

    #[test]
    fn interpreters_go_by_what_they_run() {
        let called = |exe: &str, arguments: &[&str]| name(&process(exe, arguments));
        assert_eq!(called("/usr/bin/node", &["node", "/app/node_modules/.bin/yarn", "start"]), "yarn");
        assert_eq!(called("/usr/bin/node", &["node", "/lib/npm/bin/npm-cli.js", "start"]), "npm");
        assert_eq!(called("/usr/bin/node", &["node", "--watch", "server.js"]), "node --watch");
        let tsx = ["node", "/app/node_modules/tsx/dist/cli.mjs", "server.ts"];
        assert_eq!(called("/usr/bin/node", &tsx), "tsx");
        assert_eq!(kind(&process("/usr/bin/node", &tsx)), Wrapper::Manager);
        assert_eq!(called("/usr/bin/dash", &["sh", "-c", "x"]), "dash");
    }

    #[test]
    fn npm_goes_by_its_title() {
        let mut npm = process("/usr/bin/node", &["npm start"]);
        npm.comm = "npm start".into();
        assert_eq!((kind(&npm), name(&npm).as_str()), (Wrapper::PackageManager, "npm"));
    }
}
