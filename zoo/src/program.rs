//! The server programs, each as a command line that finds its port in `{port}` or in the
//! environment as `PORT`.

use crate::namespace::Network;
use crate::tool::ToolBox;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// How the zoo learns that a server takes connections.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// Its log says this.
    Says(&'static str),
    /// Somebody listens on its port, as the kernel's table says: no connection is made to find out.
    Listens,
    /// Nothing is waited for.
    AtOnce,
}

/// A program to start in a container.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    /// Where it listens.
    pub address: IpAddr,
    /// A port that was chosen already; otherwise a fresh one.
    pub port: Option<u16>,
    /// How it says that it takes connections.
    pub ready: Ready,
    /// Whether it is PID 1 of a PID namespace.
    pub as_init: bool,
    /// The network namespace it runs in; `None`: the host's.
    pub network: Option<Arc<Network>>,
    /// What it inherits.
    pub passed: Option<OwnedFd>,
    /// How much memory its container may use, in bytes.
    pub memory_limit: Option<u64>,
    /// The nested cgroup of the container in which it starts.
    pub nested: Option<&'static str>,
    /// Whether it asks for the clients' certificate too.
    mutual: bool,
    /// The certificate it shows, where it speaks TLS; the key is beside it.
    pub certificate: Option<PathBuf>,
    /// A template for a configuration file: `{config}` in the command line is its path.
    pub template: Option<PathBuf>,
    /// What else stands in braces in the command line and the template.
    pub values: Vec<(&'static str, String)>,
}

impl Program {
    fn new<S: Into<String>>(command: impl IntoIterator<Item = S>, ready: Ready) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: None,
            ready,
            as_init: false,
            network: None,
            passed: None,
            memory_limit: None,
            nested: None,
            mutual: false,
            certificate: None,
            template: None,
            values: Vec::new(),
        }
    }

    /// The story's Node service, in one of its styles; a second word may be `http2`.
    pub fn node(tools: &ToolBox, style: &str) -> Self {
        let command = ["node".into(), text(tools.script("server.js"))].into_iter().chain(words(style));
        Self::new(command, Ready::Says("listening"))
    }

    /// A threading server of Python's standard library.
    pub fn python(tools: &ToolBox, style: &str) -> Self {
        Self::new(["python3".into(), text(tools.script("server.py")), style.into()], Ready::Says("listening"))
    }

    /// gunicorn with two synchronous workers.
    pub fn gunicorn(tools: &ToolBox) -> Self {
        let options = "--workers 2 --bind 127.0.0.1:{port} --graceful-timeout 20 --no-control-socket --chdir";
        let command = [text(tools.python_server("gunicorn"))].into_iter().chain(words(options));
        Self::new(command.chain([text(tools.home.clone()), "wsgi:application".into()]), Ready::Listens)
    }

    /// uvicorn with one process.
    pub fn uvicorn(tools: &ToolBox, options: &str) -> Self {
        let fixed = "--host 127.0.0.1 --port {port} --log-level warning --app-dir";
        let command = [text(tools.python_server("uvicorn"))].into_iter().chain(words(fixed));
        let command =
            command.chain([text(tools.home.clone()), "asgi:application".into()]).chain(words(options));
        Self::new(command, Ready::Listens)
    }

    /// A server of Go's net/http.
    pub fn go(tools: &ToolBox, style: &str) -> Self {
        Self::new([text(tools.go_server()), style.into()], Ready::Says("listening"))
    }

    /// A server of gRPC for Go.
    pub fn grpc(tools: &ToolBox, style: &str) -> Self {
        Self::new([text(tools.grpc()), "server".into(), style.into()], Ready::Says("listening"))
    }

    /// Clients of gRPC for Go, each of which makes its calls on a connection of its own.
    pub fn grpc_clients(tools: &ToolBox, server: SocketAddr, calls: &[(u16, &str)]) -> Self {
        let command = [text(tools.grpc()), "client".into(), server.to_string()].into_iter();
        Self::new(command.chain(calls.iter().map(|(port, calls)| format!("{port}:{calls}"))), Ready::AtOnce)
    }

    /// A server of com.sun.net.httpserver.
    pub fn java(tools: &ToolBox, style: &str) -> Self {
        let options = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -cp";
        let command = ["java".into()].into_iter().chain(words(options));
        Self::new(
            command.chain([text(tools.home.clone()), "Server".into(), style.into()]),
            Ready::Says("listening"),
        )
    }

    /// nginx in front of `upstream`.
    pub fn nginx(tools: &ToolBox, upstream: u16) -> Self {
        let command = words("nginx -e stderr -c {config}");
        let program = Self::new(command, Ready::Listens).with_template(tools.script("nginx.conf"), upstream);
        program.with_value("speaking", "").with_value("tls", "").with_value("sendfile", "on")
    }

    /// The same nginx, which reads files and writes them itself.
    pub fn without_sendfile(self) -> Self {
        self.with_value("sendfile", "off")
    }

    /// The same nginx, with HTTP/2 in clear.
    pub fn nginx_http2(tools: &ToolBox, upstream: u16) -> Self {
        Self::nginx(tools, upstream).with_value("speaking", " http2")
    }

    /// The same nginx with TLS, HTTP/2 by ALPN, and further directives.
    pub fn nginx_tls(tools: &ToolBox, upstream: u16, directives: &str) -> Self {
        let certificate = tools.certificate();
        let key = text(certificate.with_extension("key"));
        let own =
            format!("ssl_certificate {}; ssl_certificate_key {key}; {directives}", certificate.display());
        let program = Self::nginx(tools, upstream).with_value("speaking", " ssl http2");
        program.with_value("tls", &own).with_tls(tools)
    }

    /// haproxy in front of `upstream`.
    pub fn haproxy(tools: &ToolBox, upstream: u16) -> Self {
        let command = words("haproxy -q -db -f {config}");
        Self::new(command, Ready::Listens).with_template(tools.script("haproxy.cfg"), upstream)
    }

    /// The zoo's own server: one thread a connection, every way to end.
    pub fn own(tools: &ToolBox, options: &str) -> Self {
        let command = [text(tools.zoo.clone()), "server".into()].into_iter();
        Self::new(command.chain(words(options)), Ready::Says("listening"))
    }

    /// curl, which asks once, from this port, and says what it got.
    pub fn curl(port: u16, options: &str, url: &str) -> Self {
        let line = format!(
            "echo client {port} connected; echo client {port} asked 0
            set -- $(curl --silent --output /dev/null --write-out '%{{exitcode}} %{{http_code}}' \
                --local-port {port} {options} '{url}')
            [ \"$2\" = 000 ] || echo client {port} begun 0
            [ \"$1\" = 0 ] && echo client {port} answered 0
            echo client {port} fin"
        );
        Self::new(["sh".into(), "-c".into(), line], Ready::AtOnce)
    }

    /// A command of the host.
    pub fn command(line: &[&str], ready: Ready) -> Self {
        Self::new(line.iter().copied(), ready)
    }

    fn with_template(mut self, template: PathBuf, upstream: u16) -> Self {
        self.template = Some(template);
        self.values.push(("upstream", upstream.to_string()));
        self
    }

    fn with_value(mut self, name: &'static str, value: &str) -> Self {
        self.values.retain(|(other, _)| *other != name);
        self.values.push((name, value.into()));
        self
    }

    /// Puts words in front, such as those of a wrapper.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.command.splice(0..0, wrapper.iter().map(|word| (*word).to_string()));
        self
    }

    /// Has a shell start it and wait for it, instead of becoming it.
    pub fn under_shell(mut self) -> Self {
        let line = format!("{}; true", self.command.join(" "));
        self.command = vec!["sh".into(), "-c".into(), line];
        self
    }

    /// As PID 1 of a PID namespace.
    pub fn in_pid_namespace(mut self) -> Self {
        self.as_init = true;
        self
    }

    /// On this port.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// On this address.
    pub fn on_address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// With TLS.
    pub fn with_tls(mut self, tools: &ToolBox) -> Self {
        self.certificate = Some(tools.certificate());
        self
    }

    /// Asks clients for the same certificate.
    pub fn with_mutual_tls(mut self) -> Self {
        self.mutual = true;
        self
    }

    /// In this network namespace.
    pub fn in_network(mut self, network: &Arc<Network>) -> Self {
        self.network = Some(Arc::clone(network));
        self
    }

    /// The command to start, on this port.
    pub fn build(&self, port: u16, config: Option<&Path>) -> Command {
        let fill = |word: &String| {
            let mut word = word.replace("{port}", &port.to_string());
            if let Some(config) = config {
                word = word.replace("{config}", &config.to_string_lossy());
            }
            self.fill(word)
        };
        let mut command = Command::new(fill(&self.command[0]));
        command.args(self.command[1..].iter().map(fill)).env("PORT", port.to_string());
        if let Some(certificate) = &self.certificate {
            command.env("CERTIFICATE", certificate).env("KEY", certificate.with_extension("key"));
        }
        if self.mutual {
            command.env("MUTUAL", "1");
        }
        command.env("ADDRESS", self.address.to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Replaces the values in braces.
    pub fn fill(&self, mut text: String) -> String {
        for (name, value) in &self.values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }
}

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split_whitespace().map(String::from)
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}
