//! The zoo's servers, each as a project of its own that advice can be put into.

use crate::gate::{Service, fresh_port};
use crate::project::{Place, Project, Source, as_it_is, compile, words};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use tempfile::TempDir;

const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers");

/// The Node service as it is in the zoo, in one of its styles.
pub fn node(style: &str) -> Service {
    Service::new(["node", &format!("{SERVERS}/server.js"), style])
}

/// The Node service with HTTP/2 in clear, and nothing else.
pub fn node_http2() -> Service {
    Service::new(["node", &format!("{SERVERS}/server.js"), "none", "http2"])
}

/// The Node service with TLS, and nothing else; its certificate is made in this directory.
pub fn node_tls(style: &str, directory: &Path) -> Service {
    let (key, certificate) = (directory.join("key.pem"), directory.join("cert.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x".split(' '));
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().expect("openssl");
    assert!(made.status.success());
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    node(style).with("CERTIFICATE", text(&certificate)).with("KEY", text(&key))
}

/// `node server.js`, of a service that drains, and where.
pub fn node_without_arguments() -> (Service, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let script = format!("process.argv.push('drain');\nrequire('{SERVERS}/server.js');\n");
    fs::write(directory.path().join("server.js"), script).expect("written");
    (Service::new(["node", "server.js"]), directory)
}

/// The Node service in one of its styles, behind these words.
pub fn node_behind(words: &[&str], style: &str) -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = copy(&directory, "server.js");
    let server = ["node", path.to_str().expect("UTF-8"), style].map(str::to_owned);
    let service = match words {
        ["sh"] => behind_shell(&server.join(" ")),
        // It stands in front of itself, as with `--watch`.
        ["node", ..] => {
            Service::new(words.iter().map(|word| (*word).to_owned()).chain(server.into_iter().skip(1)))
        }
        _ => Service::new(words.iter().map(|word| (*word).to_owned()).chain(server)),
    };
    Project {
        service,
        style: Some(style.to_owned()),
        source: Some(Source { path: path.clone(), place: Place::End, build: as_it_is }),
        pod: Vec::new(),
        _directory: Some(directory),
    }
}

/// The Node service, started by npm.
pub fn node_by_npm(style: &str) -> Project {
    let mut project = node_behind(&[], style);
    let directory = project._directory.clone().expect("a directory");
    let manifest = format!("{{\"scripts\": {{\"start\": \"node server.js {style}\"}}}}");
    fs::write(directory.path().join("package.json"), manifest).expect("written");
    project.service = Service::new(["npm", "start"]).inside(directory.path());
    project.style = None;
    project
}

/// A primary and its workers, of which the primary does nothing about the signal.
pub fn node_cluster() -> Project {
    const CLUSTER: &str = "
const http = require('node:http');
let server;
if (require('node:cluster').isPrimary) {
  require('node:cluster').fork();
} else {
  server = http.createServer((request, response) => setTimeout(() => response.end('ok'), 200));
  server.listen(process.env.PORT, process.env.ADDRESS);
}
";
    let project = node_behind(&[], "none");
    fs::write(&project.source.as_ref().expect("a source").path, CLUSTER).expect("written");
    project
}

/// The threading server of Python, in one of its styles.
pub fn python(style: &str) -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = copy(&directory, "server.py");
    Project {
        service: Service::new(words(["python3"]).into_iter().chain([path.clone().into(), style.into()])),
        source: Some(Source { path, place: Place::InsteadOf("server.serve_forever()", ""), build: as_it_is }),
        style: None,
        pod: Vec::new(),
        _directory: Some(directory),
    }
}

/// The Go server, in one of its styles.
pub fn go(style: &str) -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = copy(&directory, "server.go");
    let program = directory.path().join("server");
    fs::copy(prepared("go-server"), &program).expect("copied");
    let place = Place::InsteadOf("\tstop := make(chan os.Signal, 1)", "}\n");
    Project {
        service: Service::new([program.into_os_string(), style.into()]),
        source: Some(Source { path, place, build: build_go }),
        style: None,
        pod: Vec::new(),
        _directory: Some(directory),
    }
}

/// An editor would add what the code imports.
fn build_go(source: &Path) {
    let text = fs::read_to_string(source).expect("readable");
    fs::write(source, text.replacen("\t\"fmt\"\n", "\t\"fmt\"\n\t\"log\"\n", 1)).expect("written");
    compile(&["go", "build", "-o", "server", "server.go"], source);
}

/// The Java server, in one of its styles.
pub fn java(style: &str) -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = copy(&directory, "Server.java");
    for class in
        fs::read_dir(prepared("Server.class").parent().expect("a directory")).expect("readable").flatten()
    {
        if class.path().extension().is_some_and(|extension| extension == "class") {
            fs::copy(class.path(), directory.path().join(class.file_name())).expect("copied");
        }
    }
    let options = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"];
    let command = words(options).into_iter().chain([directory.path().into(), "Server".into(), style.into()]);
    Project {
        service: Service::new(command),
        source: Some(Source {
            path,
            place: Place::Before("        server.start();"),
            build: |source| compile(&["javac", "Server.java"], source),
        }),
        style: None,
        pod: Vec::new(),
        _directory: Some(directory),
    }
}

/// The zoo's own server, with these options.
pub fn own(options: &str) -> Service {
    let target = Path::new(env!("CARGO_BIN_EXE_shutdown-probe")).ancestors().nth(2).expect("a directory");
    let zoo = target.join("release/zoo");
    assert!(zoo.exists(), "{} is missing: cargo xtask zoo -- prepare", zoo.display());
    let options = options.split_whitespace().map(Into::into);
    Service::new([zoo.into_os_string(), "server".into()].into_iter().chain(options))
}

/// gunicorn with these options.
pub fn gunicorn(options: &str) -> String {
    let program = prepared("venv/bin/gunicorn");
    format!(
        "{} --workers 2 --bind 127.0.0.1:$PORT --no-control-socket --chdir {SERVERS} {options} wsgi:application",
        program.display()
    )
}

/// uvicorn with these options.
pub fn uvicorn(options: &str) -> String {
    let program = prepared("venv/bin/uvicorn");
    format!(
        "{} --port $PORT --log-level warning --app-dir {SERVERS} {options} asgi:application",
        program.display()
    )
}

/// A line whose server takes the place of the shell.
pub fn exec(line: &str) -> Service {
    Service::line(&format!("exec {line}"))
}

/// A line whose server is waited for by the shell.
pub fn behind_shell(line: &str) -> Service {
    Service::line(&format!("{line}; true"))
}

/// nginx in front of this upstream.
pub fn nginx(upstream: u16) -> Project {
    proxy("nginx.conf", &["nginx", "-e", "stderr", "-c"], upstream)
}

/// HAProxy in front of this upstream.
pub fn haproxy(upstream: u16) -> Project {
    proxy("haproxy.cfg", &["haproxy", "-q", "-db", "-f"], upstream)
}

fn proxy(template: &str, command: &[&str], upstream: u16) -> Project {
    let directory = Rc::new(tempfile::tempdir().expect("a directory"));
    let path = directory.path().join(template);
    let service = Service::new(words(command.iter().copied()).into_iter().chain([path.clone().into()]));
    let filled = server(template)
        .replace("{dir}", directory.path().to_str().expect("UTF-8"))
        .replace("{port}", &service.port.to_string())
        .replace("{upstream}", &upstream.to_string())
        // Plain HTTP/1.
        .replace("{speaking}", "")
        .replace("{tls}", "")
        .replace("{sendfile}", "on");
    fs::write(path, filled).expect("written");
    Project { _directory: Some(directory), ..Project::from(service) }
}

/// What a proxy stands in front of; killed when dropped.
#[derive(Debug)]
pub struct Upstream(Child, pub u16);

impl Upstream {
    pub fn start() -> Self {
        let port = fresh_port();
        let mut command = Command::new("node");
        command.args([&format!("{SERVERS}/server.js"), "none"]);
        command.env("PORT", port.to_string()).env("ADDRESS", "127.0.0.1").env("GATES", "/");
        Self(command.stdout(Stdio::null()).spawn().expect("node"), port)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `zoo prepare` keeps beside the build.
fn prepared(name: &str) -> PathBuf {
    let target =
        Path::new(env!("CARGO_BIN_EXE_shutdown-probe")).ancestors().nth(2).expect("a target directory");
    let path = target.join("zoo").join(name);
    assert!(path.exists(), "{} is missing: cargo xtask zoo -- prepare", path.display());
    path
}

fn copy(directory: &TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, server(name)).expect("written");
    path
}

fn server(name: &str) -> String {
    fs::read_to_string(format!("{SERVERS}/{name}")).expect("a server of the zoo")
}
