//! The zoo's servers as they are, and with the code that `check` advises put into them.

use crate::gate::Service;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SERVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../zoo/servers");
const FIXES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/check/fix");

/// Where fixed servers are written and compiled.
#[derive(Debug)]
pub struct Workshop(TempDir);

impl Workshop {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// The fix behind the server that has no handler.
    pub fn node(&self) -> Service {
        let path = self.write("server.js", &(server("server.js") + &fix("node.js")));
        Service::new(["node".into(), path.into_os_string(), "none".into()])
    }

    /// The same as `node server.js`, and where.
    pub fn node_without_arguments(&self) -> (Service, &Path) {
        self.write("fixed.js", &(server("server.js") + &fix("node.js")));
        self.write("server.js", "process.argv.push('none');\nrequire('./fixed.js');\n");
        (Service::new(["node", "server.js"]), self.0.path())
    }

    /// The fix in place of the last call, as it says.
    pub fn python(&self) -> Service {
        let path = self.write(
            "server.py",
            &(before(&server("server.py"), "server.serve_forever()") + &fix("python.py")),
        );
        Service::new(["python3".into(), path.into_os_string(), "none".into()])
    }

    /// The fix in place of the last call, as it says.
    pub fn go(&self) -> Service {
        let source = before(&server("server.go"), "\tstop := make(chan os.Signal, 1)");
        let source = source.replacen("\t\"fmt\"\n", "\t\"fmt\"\n\t\"log\"\n", 1) + &fix("go.go") + "}\n";
        self.write("server.go", &source);
        let mut build = Command::new("go");
        compile(build.args(["build", "-o", "server", "server.go"]).current_dir(self.0.path()));
        Service::new([self.0.path().join("server").into_os_string(), "none".into()])
    }

    /// The fix before the server is started.
    pub fn java(&self) -> Service {
        let start = "        server.start();";
        let (head, tail) = (before(&server("Server.java"), start), after(&server("Server.java"), start));
        self.write("Server.java", &format!("{head}{}{start}{tail}", fix("java.java")));
        compile(Command::new("javac").arg("Server.java").current_dir(self.0.path()));
        java(self.0.path(), "none")
    }

    /// nginx in front of this upstream.
    pub fn nginx(&self, upstream: u16) -> Service {
        self.proxy("nginx.conf", &["nginx", "-e", "stderr", "-c"], upstream)
    }

    /// HAProxy in front of this upstream.
    pub fn haproxy(&self, upstream: u16) -> Service {
        self.proxy("haproxy.cfg", &["haproxy", "-q", "-db", "-f"], upstream)
    }

    fn proxy(&self, template: &str, command: &[&str], upstream: u16) -> Service {
        let path = self.0.path().join(template);
        let words = command.iter().map(std::ffi::OsString::from).chain([path.clone().into_os_string()]);
        let service = Service::new(words);
        let filled = server(template)
            .replace("{dir}", self.0.path().to_str().expect("UTF-8"))
            .replace("{port}", &service.port.to_string())
            .replace("{upstream}", &upstream.to_string())
            // Plain HTTP/1.
            .replace("{speaking}", "")
            .replace("{tls}", "");
        fs::write(path, filled).expect("written");
        service
    }
}

/// The Node service, in one of its styles.
pub fn node(style: &str) -> Service {
    Service::new(["node", &format!("{SERVERS}/server.js"), style])
}

/// The threading server of Python, in one of its styles.
pub fn python(style: &str) -> Service {
    Service::new(["python3", &format!("{SERVERS}/server.py"), style])
}

/// The Go server, in one of its styles.
pub fn go(style: &str) -> Service {
    Service::new([prepared("go-server").into_os_string(), style.into()])
}

/// The Java server of the zoo's own.
pub fn java_of_the_zoo(style: &str) -> Service {
    java(prepared("Server.class").parent().expect("a directory"), style)
}

fn java(classes: &Path, style: &str) -> Service {
    let options = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"];
    let words = options.iter().map(std::ffi::OsString::from);
    Service::new(words.chain([classes.as_os_str().to_owned(), "Server".into(), style.into()]))
}

/// How gunicorn is started, for a shell.
pub fn gunicorn(options: &str) -> String {
    let program = prepared("venv/bin/gunicorn");
    format!(
        "{} --workers 2 --bind 127.0.0.1:$PORT --no-control-socket --chdir {SERVERS} {options} wsgi:application",
        program.display()
    )
}

/// How uvicorn is started, for a shell.
pub fn uvicorn() -> String {
    let program = prepared("venv/bin/uvicorn");
    format!("{} --port $PORT --log-level warning --app-dir {SERVERS} asgi:application", program.display())
}

/// What `zoo prepare` keeps beside the build.
fn prepared(name: &str) -> PathBuf {
    let target =
        Path::new(env!("CARGO_BIN_EXE_shutdown-probe")).ancestors().nth(2).expect("a target directory");
    let path = target.join("zoo").join(name);
    assert!(path.exists(), "{} is missing: cargo xtask zoo -- prepare", path.display());
    path
}

fn server(name: &str) -> String {
    fs::read_to_string(format!("{SERVERS}/{name}")).expect("a server of the zoo")
}

fn fix(name: &str) -> String {
    fs::read_to_string(format!("{FIXES}/{name}")).expect("a fix")
}

fn before(source: &str, anchor: &str) -> String {
    source.split_once(anchor).unwrap_or_else(|| panic!("no {anchor:?} in the server")).0.to_owned()
}

fn after(source: &str, anchor: &str) -> String {
    source.split_once(anchor).unwrap_or_else(|| panic!("no {anchor:?} in the server")).1.to_owned()
}

fn compile(command: &mut Command) {
    let output = command.output().expect("a compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
