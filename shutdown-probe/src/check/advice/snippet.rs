//! The pieces of code, each with what it does.

use crate::check::runtime::{Language, Runtime};

/// A piece of code with blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub title: &'static str,
    /// What the code is: a name for highlighting.
    pub language: &'static str,
    pub code: &'static str,
}

macro_rules! snippet {
    ($title:literal, $language:literal, $file:literal) => {
        Snippet { title: $title, language: $language, code: include_str!(concat!("fix/", $file)) }
    };
}

/// A sleep that outlasts the last arrival.
pub(super) const PRE_STOP: Snippet =
    snippet!("Sleep before the stop signal, until nobody is sent here any more", "yaml", "pre_stop.yaml");
/// More time.
pub(super) const GRACE: Snippet = snippet!("Give it longer, or make the drain shorter", "yaml", "grace.yaml");
/// For a handler that forgets idle connections.
pub(super) const NODE_IDLE: Snippet =
    snippet!("Let idle connections go, besides what the handler of SIGTERM does", "js", "node_idle.js");
/// For a shell that waits.
pub(super) const EXEC_FOR_SHELL: Snippet =
    snippet!("Let the server take the shell's place, and get its signals", "sh", "exec.sh");
/// For another program that waits, or does not.
pub(super) const EXEC_FOR_OTHER: Snippet =
    snippet!("Start the server itself: what stands in front of it does not wait for it", "sh", "exec.sh");
/// For npm and the like.
pub(super) const COMMAND_FOR_PACKAGE_MANAGER: Snippet =
    snippet!("Start the server itself, not by its package manager", "dockerfile", "command.dockerfile");

/// For Maven, `go run` and the like: what they start is not where the image has it.
pub(super) fn command_for_build_tool(language: Language) -> Snippet {
    match language {
        Language::Spring | Language::Java | Language::JavaServer => snippet!(
            "Start what was built, not the tool that builds it",
            "dockerfile",
            "built_java.dockerfile"
        ),
        Language::Go => {
            snippet!("Start what was built, not the tool that builds it", "dockerfile", "built_go.dockerfile")
        }
        Language::Dotnet => snippet!(
            "Start what was built, not the tool that builds it",
            "dockerfile",
            "built_dotnet.dockerfile"
        ),
        _ => COMMAND_FOR_PACKAGE_MANAGER,
    }
}

/// The fix for Rust compiles.
///
#[doc = concat!(
    "```no_run\n",
    "# async fn f(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {\n",
    include_str!("fix/rust.rs"),
    "# }\n```"
)]
const RUST: &str = include_str!("fix/rust.rs");

/// How a server of this kind is made to drain.
pub(super) fn drain(runtime: &Runtime) -> Option<Snippet> {
    match runtime.language {
        Language::Node if runtime.has_workers => Some(snippet!(
            "Handle SIGTERM: in the primary for its workers, in these to drain",
            "js",
            "node_cluster.js"
        )),
        language => snippet(language),
    }
}

/// How a server of this language is made to drain.
pub(super) fn snippet(language: Language) -> Option<Snippet> {
    Some(match language {
        Language::Node => snippet!("Handle SIGTERM: stop accepting, finish, then exit", "js", "node.js"),
        Language::Deno => snippet!("Handle SIGTERM: stop accepting, finish, then exit", "js", "deno.js"),
        Language::Bun => snippet!("Handle SIGTERM: stop accepting, finish, then exit", "js", "bun.js"),
        Language::Gunicorn => {
            snippet!("Give its workers time to finish, less than the grace period", "sh", "gunicorn.sh")
        }
        Language::Uvicorn => {
            snippet!("Give it time to finish, less than the grace period", "sh", "uvicorn.sh")
        }
        Language::Hypercorn => {
            snippet!("Give it time to finish, less than the grace period", "sh", "hypercorn.sh")
        }
        Language::Wsgi => snippet!("Serve with one that drains on SIGTERM", "sh", "wsgi.sh"),
        Language::Asgi => snippet!("Serve with one that drains on SIGTERM", "sh", "asgi.sh"),
        Language::Tornado => {
            snippet!("Handle SIGTERM: stop accepting, finish, then exit", "python", "tornado.py")
        }
        Language::PythonHttp => {
            snippet!("Handle SIGTERM: stop accepting, finish, then exit", "python", "python.py")
        }
        Language::Go => snippet!("Handle SIGTERM with Server.Shutdown", "go", "go.go"),
        Language::Spring => snippet!("Turn graceful shutdown on", "properties", "spring.properties"),
        Language::Java => snippet!("Stop the server in a shutdown hook", "java", "java.java"),
        Language::Nginx => {
            snippet!("Make the graceful signal the stop signal", "dockerfile", "nginx.dockerfile")
        }
        Language::Haproxy => {
            snippet!("Make the graceful signal the stop signal", "dockerfile", "haproxy.dockerfile")
        }
        Language::Caddy => {
            snippet!("Give it time to finish, less than the grace period", "caddyfile", "caddy.caddyfile")
        }
        Language::Apache => {
            snippet!("Make the graceful signal the stop signal", "dockerfile", "apache.dockerfile")
        }
        Language::Lighttpd => {
            snippet!("Make the graceful signal the stop signal", "dockerfile", "lighttpd.dockerfile")
        }
        Language::Rust => Snippet { title: "Serve with a graceful shutdown", language: "rust", code: RUST },
        Language::Puma => snippet!("Give it time to finish, less than the grace period", "ruby", "puma.rb"),
        Language::Ruby => snippet!("Handle SIGTERM: stop accepting, finish, then exit", "ruby", "ruby.rb"),
        Language::Php => snippet!("Serve with one that drains", "dockerfile", "php.dockerfile"),
        Language::Dotnet => snippet!("Give the host time to finish", "csharp", "dotnet.cs"),
        Language::Python | Language::JavaServer | Language::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recognised_has_its_fix() {
        let without = [Language::Python, Language::JavaServer, Language::Unknown];
        for language in Language::ALL.iter().filter(|language| !without.contains(language)) {
            let snippet = snippet(*language).expect("a snippet");
            assert!(!snippet.code.trim().is_empty(), "{language:?}");
            let fits = |line: &str| line.chars().count() <= 100;
            assert!(snippet.code.lines().all(fits), "{language:?} has a long line");
        }
    }
}
