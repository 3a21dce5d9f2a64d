//! What runs the service: recognised from its processes, so that the advice can be in its language.
//!
//! Invariant: a guess changes only the words of the advice, never the verdict.

mod binary;
mod process;

use super::sandbox::{Container, tree};
use process::Process;
use std::path::Path;

macro_rules! languages {
    ($($variant:ident = $id:literal, $name:literal;)*) => {
        /// What a server is made with, as far as it matters for how it is told to end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Language { $($variant,)* }

        impl Language {
            /// All of them.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// For machines.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// For people.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

languages! {
    Node = "node", "Node.js";
    Deno = "deno", "Deno";
    Bun = "bun", "Bun";
    Gunicorn = "gunicorn", "gunicorn";
    Uvicorn = "uvicorn", "uvicorn";
    Python = "python", "Python";
    Go = "go", "Go";
    Spring = "spring", "Spring Boot";
    Java = "java", "Java";
    Nginx = "nginx", "nginx";
    Haproxy = "haproxy", "HAProxy";
    Rust = "rust", "Rust";
    Puma = "puma", "Puma";
    Ruby = "ruby", "Ruby";
    Php = "php", "PHP";
    Dotnet = "dotnet", ".NET";
    Unknown = "unknown", "an unknown runtime";
}

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

/// What runs the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The serving process's.
    pub language: Language,
    /// Who stands in front of it, and its name. `None`: the main process serves, or is of the server itself.
    pub wrapper: Option<(Wrapper, String)>,
}

impl Runtime {
    /// For people.
    pub fn name(&self) -> String {
        match &self.wrapper {
            Some((_, comm)) => format!("{} behind {comm}", self.language.name()),
            None => self.language.name().to_owned(),
        }
    }
}

/// Looks at the process that opened the listener, and at the main process.
pub fn recognise(container: &Container, serving: u32) -> Runtime {
    let server = Process::read(serving);
    let language = language(&server);
    let main = container.main();
    let is_inside = tree::processes(container.directory()).contains(&main);
    let wrapper = (main != serving && is_inside).then(|| Process::read(main)).and_then(|main| {
        // A master that opened no listener itself is still of the same kind as its workers.
        let same = self::language(&main) == language && main.exe_name() == server.exe_name();
        (!same || is_shell(main.exe_name())).then(|| (wrapper(&main), main.name().to_owned()))
    });
    Runtime { language, wrapper }
}

fn language(process: &Process) -> Language {
    let exe = process.exe_name();
    let starts = |prefix: &str| exe.starts_with(prefix);
    match exe {
        "node" | "nodejs" => Language::Node,
        "deno" => Language::Deno,
        "bun" | "bunx" => Language::Bun,
        "java" => java(process),
        "dotnet" => Language::Dotnet,
        "nginx" | "openresty" => Language::Nginx,
        "haproxy" => Language::Haproxy,
        _ if starts("python") || starts("pypy") => python(process),
        _ if starts("ruby") => ruby(process),
        _ if starts("php") => Language::Php,
        _ => mapped(process),
    }
}

fn python(process: &Process) -> Language {
    if process.runs("gunicorn") {
        Language::Gunicorn
    } else if process.runs("uvicorn") {
        Language::Uvicorn
    } else {
        Language::Python
    }
}

fn ruby(process: &Process) -> Language {
    if process.runs("puma") || process.comm.starts_with("puma") { Language::Puma } else { Language::Ruby }
}

fn java(process: &Process) -> Language {
    let is_spring = |text: &str| text.to_ascii_lowercase().contains("spring");
    let opened_spring = || process.open_files().iter().any(|file| is_spring(file));
    if process.arguments.iter().any(|argument| is_spring(argument)) || opened_spring() {
        Language::Spring
    } else {
        Language::Java
    }
}

/// By the libraries that it has mapped, else by what its own file says.
fn mapped(process: &Process) -> Language {
    let libraries = [
        ("libjvm.so", Language::Java),
        ("libcoreclr.so", Language::Dotnet),
        ("libnode.so", Language::Node),
        ("libpython", Language::Python),
        ("libruby", Language::Ruby),
        ("libphp", Language::Php),
    ];
    let maps = process.maps();
    let library =
        libraries.iter().find(|(name, _)| maps.lines().any(|line| file_name(line).starts_with(name)));
    library.map_or_else(
        || binary::language(&process.exe_file()).unwrap_or(Language::Unknown),
        |(_, found)| *found,
    )
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "dash" | "ash" | "busybox" | "zsh" | "ksh")
}

fn wrapper(main: &Process) -> Wrapper {
    let script = main.script().map(|path| Path::new(path).file_stem().unwrap_or_default().to_string_lossy());
    let managers = ["npm", "npm-cli", "npx", "yarn", "pnpm", "poetry", "pipenv", "uv", "bundle", "make"];
    let is_manager = |name: &str| managers.contains(&name);
    match main.exe_name() {
        name if is_shell(name) => Wrapper::Shell,
        "tini" | "tini-static" | "dumb-init" | "catatonit" | "docker-init" | "s6-svscan" | "runsvdir" => {
            Wrapper::Init
        }
        name if is_manager(name) || script.as_deref().is_some_and(is_manager) => Wrapper::PackageManager,
        _ if main.comm.starts_with("npm ") || main.comm.starts_with("yarn ") => Wrapper::PackageManager,
        _ => Wrapper::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(exe: &str, arguments: &[&str]) -> Process {
        Process {
            id: 0,
            exe: exe.into(),
            comm: file_name(exe).into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        }
    }

    #[test]
    fn interpreters_are_told_by_what_they_run() {
        let cases = [
            ("/usr/bin/node", vec!["node", "server.js"], Language::Node),
            (
                "/usr/bin/python3.11",
                vec!["/venv/bin/python", "/venv/bin/gunicorn", "app:app"],
                Language::Gunicorn,
            ),
            ("/usr/bin/python3.11", vec!["python", "-m", "uvicorn", "app:app"], Language::Uvicorn),
            ("/usr/bin/python3.11", vec!["python", "server.py"], Language::Python),
            ("/usr/bin/java", vec!["java", "-jar", "app.jar"], Language::Java),
            ("/usr/bin/java", vec!["java", "org.springframework.boot.loader.JarLauncher"], Language::Spring),
            ("/usr/bin/ruby3.1", vec!["puma 6.4 (tcp://0.0.0.0:80)"], Language::Puma),
            ("/usr/sbin/php-fpm8.2", vec![], Language::Php),
            ("/nowhere/at/all", vec![], Language::Unknown),
        ];
        for (exe, arguments, expected) in cases {
            assert_eq!(language(&process(exe, &arguments)), expected, "{exe} {arguments:?}");
        }
    }

    #[test]
    fn wrappers_are_told_apart() {
        let of = |exe: &str, arguments: &[&str]| wrapper(&process(exe, arguments));
        assert_eq!(of("/usr/bin/dash", &["sh", "-c", "x"]), Wrapper::Shell);
        assert_eq!(of("/usr/bin/tini", &["tini", "--", "x"]), Wrapper::Init);
        assert_eq!(of("/usr/bin/node", &["node", "/usr/bin/npm", "start"]), Wrapper::PackageManager);
        assert_eq!(of("/usr/bin/strace", &["strace", "x"]), Wrapper::Other);
    }
}
