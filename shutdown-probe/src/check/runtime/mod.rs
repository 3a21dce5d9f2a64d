//! What runs the service: recognised from its processes, so that the advice can be in its language.
//!
//! Invariant: a guess changes only the words of the advice, never the verdict.

mod binary;
mod front;
mod java;
mod process;

use super::sandbox::{Container, tree};
pub use front::Wrapper;
use process::Process;

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
    Hypercorn = "hypercorn", "Hypercorn";
    Wsgi = "wsgi", "a Python WSGI server";
    Asgi = "asgi", "Daphne";
    Tornado = "tornado", "Tornado";
    PythonHttp = "python_http", "Python's http.server";
    Python = "python", "Python";
    Go = "go", "Go";
    Spring = "spring", "Spring Boot";
    Java = "java", "Java";
    JavaServer = "java_server", "a Java server";
    Nginx = "nginx", "nginx";
    Haproxy = "haproxy", "HAProxy";
    Caddy = "caddy", "Caddy";
    Apache = "apache", "Apache";
    Lighttpd = "lighttpd", "lighttpd";
    Rust = "rust", "Rust";
    Puma = "puma", "Puma";
    Ruby = "ruby", "Ruby";
    Php = "php", "PHP's built-in server";
    Dotnet = "dotnet", ".NET";
    Unknown = "unknown", "an unknown runtime";
}

/// What runs the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The serving process's.
    pub language: Language,
    /// Who stands in front of it, and its name. `None`: the main process serves, or is of the server itself.
    pub wrapper: Option<(Wrapper, String)>,
    /// A master and its workers serve together.
    pub has_workers: bool,
    /// How the serving process was started, where it shows that.
    pub command: Option<Vec<String>>,
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

/// Looks at the process that opened the listener, and at those in front of it. `software`: what its answers say of it.
pub fn recognise(container: &Container, serving: u32, software: Option<&str>) -> Runtime {
    let (main, inside) = (container.main(), tree::processes(container.directory()));
    let server = behind_manager(Process::read(serving), &inside);
    let in_front = if main == server.id || !inside.contains(&main) {
        Vec::new()
    } else {
        front::ancestors(&server, main)
    };
    Runtime {
        language: told_by(software, language(&server)),
        wrapper: front::wrapper(&server, &in_front),
        has_workers: has_workers(&server, &inside) || in_front.iter().any(|it| front::is_kin(it, &server)),
        command: server.command(),
    }
}

/// Where a manager listens for those that it keeps running: the first of them.
fn behind_manager(listening: Process, inside: &[u32]) -> Process {
    if !front::is_manager(&listening) {
        return listening;
    }
    let kept = |id: &u32| Some(Process::read(*id)).filter(|other| other.parent == listening.id);
    inside.iter().find_map(kept).unwrap_or(listening)
}

/// Whether it has children of its own kind.
fn has_workers(server: &Process, inside: &[u32]) -> bool {
    let others = inside.iter().filter(|id| **id != server.id).map(|id| Process::read(*id));
    others.into_iter().any(|other| other.parent == server.id && front::is_kin(&other, server))
}

/// What the `Server` header adds to what the process shows: in Python, most is loaded without a trace in /proc.
fn told_by(software: Option<&str>, language: Language) -> Language {
    let software = software.unwrap_or_default().to_ascii_lowercase();
    let says = |word: &str| software.contains(word);
    match language {
        Language::Python if says("basehttp") || says("simplehttp") => Language::PythonHttp,
        Language::Python if says("werkzeug") || says("wsgiserver/") || says("waitress") => Language::Wsgi,
        Language::Python if says("tornado") => Language::Tornado,
        Language::Python if says("daphne") => Language::Asgi,
        Language::Python if says("hypercorn") => Language::Hypercorn,
        Language::Python if says("uvicorn") => Language::Uvicorn,
        Language::Python if says("gunicorn") => Language::Gunicorn,
        known => known,
    }
}

fn language(process: &Process) -> Language {
    let exe = process.exe_name();
    let starts = |prefix: &str| exe.starts_with(prefix);
    match exe {
        "node" | "nodejs" => Language::Node,
        "deno" => Language::Deno,
        "bun" | "bunx" => Language::Bun,
        "java" => java::language(process),
        "dotnet" => Language::Dotnet,
        "nginx" | "openresty" => Language::Nginx,
        "haproxy" => Language::Haproxy,
        "caddy" => Language::Caddy,
        "apache2" | "httpd" => Language::Apache,
        "lighttpd" => Language::Lighttpd,
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
    } else if process.runs("hypercorn") {
        Language::Hypercorn
    } else if process.runs("daphne") {
        Language::Asgi
    } else if process.runs("waitress-serve") || process.runs("flask") {
        Language::Wsgi
    } else {
        Language::Python
    }
}

fn ruby(process: &Process) -> Language {
    if process.runs("puma") || process.comm.starts_with("puma") { Language::Puma } else { Language::Ruby }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn process(exe: &str, arguments: &[&str]) -> Process {
        Process {
            id: 0,
            exe: exe.into(),
            parent: 0,
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
            ("/usr/bin/ruby3.1", vec!["puma 6.4 (tcp://0.0.0.0:80)"], Language::Puma),
            ("/usr/sbin/php-fpm8.2", vec![], Language::Php),
            ("/usr/bin/caddy", vec!["caddy", "run"], Language::Caddy),
            ("/nowhere/at/all", vec![], Language::Unknown),
        ];
        for (exe, arguments, expected) in cases {
            assert_eq!(language(&process(exe, &arguments)), expected, "{exe} {arguments:?}");
        }
    }

    #[test]
    fn answers_tell_what_the_process_hides() {
        let python = |software| told_by(Some(software), Language::Python);
        assert_eq!(python("BaseHTTP/0.6 Python/3.11.2"), Language::PythonHttp);
        assert_eq!(python("Werkzeug/3.1.3 Python/3.11.2"), Language::Wsgi);
        assert_eq!(python("WSGIServer/0.2 CPython/3.11.2"), Language::Wsgi, "Django's runserver");
        assert_eq!(python("Python/3.11 aiohttp/3.9"), Language::Python);
        assert_eq!(python("TornadoServer/6.5"), Language::Tornado);
        assert_eq!(
            told_by(Some("uvicorn"), Language::Nginx),
            Language::Nginx,
            "a proxy passes on what its upstream says"
        );
    }
}
