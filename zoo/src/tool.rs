//! The programs that the zoo keeps: those of the host, and those it builds once under `target/zoo`.
//!
//! Invariant: what is missing is an error that says what to install, never a case left out.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const REQUIREMENTS: &str = include_str!("../servers/requirements.txt");
const GO_SERVER: &str = include_str!("../servers/server.go");
/// The module of gRPC's server and clients; what it needs is pinned by its sums.
const GRPC_MODULE: &[(&str, &str)] = &[
    ("go.mod", include_str!("../servers/grpc/go.mod")),
    ("go.sum", include_str!("../servers/grpc/go.sum")),
    ("main.go", include_str!("../servers/grpc/main.go")),
    ("server.go", include_str!("../servers/grpc/server.go")),
    ("client.go", include_str!("../servers/grpc/client.go")),
];
const JAVA_SERVER: &str = include_str!("../servers/Server.java");

/// Files that servers read, written out as they are.
const SCRIPTS: &[(&str, &str)] = &[
    ("server.js", include_str!("../servers/server.js")),
    ("server.py", include_str!("../servers/server.py")),
    ("wsgi.py", include_str!("../servers/wsgi.py")),
    ("asgi.py", include_str!("../servers/asgi.py")),
    ("nginx.conf", include_str!("../servers/nginx.conf")),
    ("haproxy.cfg", include_str!("../servers/haproxy.cfg")),
];

/// A program that a case needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    Node,
    Python,
    PythonServers,
    Go,
    Grpc,
    Java,
    Nginx,
    Haproxy,
    Tini,
    DumbInit,
    Shell,
    Ip,
    Openssl,
    Curl,
}

impl Tool {
    /// The command that must be there, and the Debian package that brings it.
    fn command(self) -> (&'static str, &'static str) {
        match self {
            Self::Node => ("node", "nodejs"),
            Self::Python => ("python3", "python3"),
            Self::PythonServers => ("python3", "python3-venv"),
            Self::Go | Self::Grpc => ("go", "golang-go"),
            Self::Java => ("javac", "default-jdk-headless"),
            Self::Nginx => ("nginx", "nginx-light"),
            Self::Haproxy => ("haproxy", "haproxy"),
            Self::Tini => ("tini", "tini"),
            Self::DumbInit => ("dumb-init", "dumb-init"),
            Self::Shell => ("sh", "dash"),
            Self::Ip => ("ip", "iproute2"),
            Self::Openssl => ("openssl", "openssl"),
            Self::Curl => ("curl", "curl"),
        }
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct ToolBox {
    /// `target/zoo`.
    pub home: PathBuf,
    /// The directory that this program was built into, where the daemon is too.
    pub built: PathBuf,
    /// This program.
    pub zoo: PathBuf,
}

impl ToolBox {
    /// Finds its place next to this program: `target/<profile>/zoo` gives `target/zoo`.
    pub fn find() -> Result<Self> {
        let zoo = std::env::current_exe().context("finding this program")?;
        let built = zoo.parent().context("this program has no directory")?.to_path_buf();
        let target = built.parent().context("this program has no target directory")?;
        Ok(Self { home: target.join("zoo"), built, zoo })
    }

    /// Makes these tools ready; `progress` is told what takes long.
    pub fn prepare(&self, tools: &[Tool], progress: &dyn Fn(&str)) -> Result<()> {
        fs::create_dir_all(&self.home).with_context(|| format!("making {}", self.home.display()))?;
        for (name, content) in SCRIPTS {
            write_if_changed(&self.home.join(name), content)?;
        }
        let mut missing: Vec<String> = Vec::new();
        for tool in tools {
            let (command, package) = tool.command();
            if !is_installed(command) {
                missing.push(format!("{command} (Debian: apt-get install {package})"));
            }
        }
        ensure!(missing.is_empty(), "these programs are missing: {}", missing.join(", "));
        if tools.iter().any(|tool| matches!(tool, Tool::Go | Tool::Grpc)) {
            check_go()?;
        }
        for tool in tools {
            match tool {
                Tool::PythonServers => self.prepare_python_servers(progress)?,
                Tool::Go => self.build_once("server.go", GO_SERVER, self.go_server(), progress, || {
                    let mut build = Command::new("go");
                    build.args(["build", "-o"]).arg(self.go_server()).arg("server.go");
                    build
                })?,
                Tool::Grpc => self.build_grpc(progress)?,
                Tool::Java => {
                    self.build_once("Server.java", JAVA_SERVER, self.java_class(), progress, || {
                        let mut build = Command::new("javac");
                        build.arg("-d").arg(&self.home).arg("Server.java");
                        build
                    })?
                }
                Tool::Openssl => self.make_certificate()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A key of this host's own, made once: none is kept in the source.
    fn make_certificate(&self) -> Result<()> {
        let certificate = self.certificate();
        if certificate.exists() {
            return Ok(());
        }
        let options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
                       -subj /CN=localhost -addext subjectAltName=DNS:localhost \
                       -addext basicConstraints=critical,CA:FALSE";
        let mut openssl = Command::new("openssl");
        openssl.args(options.split_whitespace()).arg("-keyout").arg(certificate.with_extension("key"));
        run(openssl.arg("-out").arg(certificate))
    }

    /// Go fetches what the module needs, once, into its own cache.
    fn build_grpc(&self, progress: &dyn Fn(&str)) -> Result<()> {
        let module = self.home.join("grpc");
        fs::create_dir_all(&module).with_context(|| format!("making {}", module.display()))?;
        let mut changed = false;
        for (name, content) in GRPC_MODULE {
            changed |= write_if_changed(&module.join(name), content)?;
        }
        if !changed && self.grpc().exists() {
            return Ok(());
        }
        progress("fetching gRPC for Go and compiling its server");
        if self.grpc().exists() {
            fs::remove_file(self.grpc()).with_context(|| format!("removing {}", self.grpc().display()))?;
        }
        let mut build = Command::new("go");
        run(build
            .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
            .arg(self.grpc())
            .current_dir(module))
    }

    fn prepare_python_servers(&self, progress: &dyn Fn(&str)) -> Result<()> {
        let installed = self.venv().join("requirements.txt");
        if fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
            return Ok(());
        }
        progress("installing gunicorn and uvicorn into a virtual environment");
        let requirements = self.home.join("requirements.txt");
        fs::write(&requirements, REQUIREMENTS).context("writing requirements.txt")?;
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(self.venv()))
            .context("no virtual environment: Debian: apt-get install python3-venv")?;
        let mut pip = Command::new(self.python_server("pip"));
        run(pip.args(["install", "--quiet", "--no-deps", "--requirement"]).arg(&requirements))?;
        // Written last: it vouches for all that comes before.
        fs::write(&installed, REQUIREMENTS).with_context(|| format!("writing {}", installed.display()))
    }

    fn build_once(
        &self,
        name: &str,
        source: &str,
        product: PathBuf,
        progress: &dyn Fn(&str),
        command: impl Fn() -> Command,
    ) -> Result<()> {
        let changed = write_if_changed(&self.home.join(name), source)?;
        if !changed && product.exists() {
            return Ok(());
        }
        progress(&format!("compiling {name}"));
        if changed && product.exists() {
            fs::remove_file(&product).with_context(|| format!("removing {}", product.display()))?;
        }
        run(command().current_dir(&self.home))
    }

    /// A script of [`SCRIPTS`].
    pub fn script(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// The certificate of servers that speak TLS; its key is beside it.
    pub fn certificate(&self) -> PathBuf {
        self.home.join("certificate.pem")
    }

    fn venv(&self) -> PathBuf {
        self.home.join("venv")
    }

    /// A program of the virtual environment.
    pub fn python_server(&self, name: &str) -> PathBuf {
        self.venv().join("bin").join(name)
    }

    /// The compiled Go server.
    pub fn go_server(&self) -> PathBuf {
        self.home.join("go-server")
    }

    /// The compiled server and clients of gRPC.
    pub fn grpc(&self) -> PathBuf {
        self.home.join("grpc-server")
    }

    fn java_class(&self) -> PathBuf {
        self.home.join("Server.class")
    }
}

fn is_installed(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(command).is_file())
}

/// The first Go whose net/http speaks HTTP/2 in clear.
const GO_MINOR: u32 = 24;

/// An old compiler would complain of the source, not of itself.
fn check_go() -> Result<()> {
    let output = Command::new("go").args(["env", "GOVERSION"]).output().context("running go env")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let is_new = go_minor(&version).is_none_or(|minor| minor >= GO_MINOR);
    ensure!(
        is_new,
        "this is {version}, and the zoo's servers need Go 1.{GO_MINOR} or newer: https://go.dev/dl/"
    );
    Ok(())
}

/// `go1.24.3` gives 24; what is no release of Go 1 gives nothing.
fn go_minor(version: &str) -> Option<u32> {
    let digits = version.strip_prefix("go1.")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn write_if_changed(path: &Path, content: &str) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|text| text == content) {
        return Ok(false);
    }
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let line = format!("{name} {}", arguments.join(" "));
    let output = command.output().with_context(|| format!("running {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_told_apart() {
        assert_eq!(go_minor("go1.24.3"), Some(24));
        assert_eq!(go_minor("go1.26rc1"), Some(26));
        assert_eq!(go_minor("devel go1.27-abc"), None);
    }
}
