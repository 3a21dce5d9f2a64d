//! A server and what keeps it busy: nginx and wrk, on a CPU each.

use super::arena::Arena;
use super::http;
use super::process::Process;
use crate::command;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const CONNECTIONS: u32 = 32;
const BODY: &str = "served\n";
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than a run: a machine that stalls for a while is slow, not wrong.
const REQUEST_PATIENCE: &str = "30s";

/// One process, so that its end is the container's. It listens everywhere, as services do.
fn configuration(directory: &Path, port: u16, upstream: Option<SocketAddr>) -> String {
    let directory = directory.display();
    let hang = upstream.map_or(String::new(), |upstream| {
        format!("location /hang {{ proxy_pass http://{upstream}; }}\n        ")
    });
    format!(
        "daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    server {{
        listen {port} backlog=4096;
        {hang}location / {{ root {directory}/www; }}
    }}
}}
"
    )
}

/// A running nginx in a container of its own.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// Serves a file of a few bytes at `/`. What is asked at `/hang` waits for `upstream`.
    ///
    /// # Errors
    /// When it does not serve within a few seconds.
    pub fn start(arena: &Arena, container: &str, upstream: Option<SocketAddr>) -> Result<Self> {
        let address = http::free_address()?;
        let directory = arena.directory().join(container);
        fs::create_dir_all(directory.join("www"))?;
        fs::write(directory.join("www/index.html"), BODY)?;
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration(&directory, address.port(), upstream))?;
        let mut command = arena.command("taskset", &arena.container(container)?)?;
        command.args(["--cpu-list", &arena.server_cpu.to_string(), "nginx", "-c"]).arg(&file);
        command.arg("-e").arg(directory.join("error.log"));
        let mut server = Self { process: Process::start("nginx", &mut command)?, address };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.process.check()?;
            match http::get(self.address, "/") {
                Ok(body) if body == BODY => return Ok(()),
                other if Instant::now() > deadline => bail!("nginx does not serve: {other:?}"),
                _ => sleep(Duration::from_millis(2)),
            }
        }
    }
}

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    KeepAlive,
    NewConnections,
}

impl Load {
    pub const ALL: [Self; 2] = [Self::KeepAlive, Self::NewConnections];

    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::NewConnections => "new connections",
        }
    }

    /// Puts this load on the server from `cgroup` and waits for its end.
    ///
    /// # Errors
    /// When a request fails.
    pub fn run(self, arena: &Arena, server: &Server, cgroup: &Path, seconds: u64) -> Result<Served> {
        let mut wrk = arena.command("taskset", cgroup)?;
        wrk.args(["--cpu-list", &arena.client_cpu.to_string(), "wrk", "--threads", "1"]);
        wrk.args(["--timeout", REQUEST_PATIENCE]);
        wrk.args(["--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s")]);
        if self == Self::NewConnections {
            wrk.args(["--header", "Connection: close"]);
        }
        let before = server.process.cpu_time()?;
        let output = command::read(wrk.arg(format!("http://{}/", server.address)))?;
        let cpu_time = server.process.cpu_time()? - before;
        let (requests, per_second) = parse(&output).with_context(|| output.clone())?;
        let failed = output.contains("Socket errors") || output.contains("Non-2xx");
        ensure!(!failed && requests > 0, "requests failed: {output}");
        let server_cpu_seconds = cpu_time.as_secs_f64() / requests as f64;
        Ok(Served { requests, per_second, server_cpu_seconds })
    }
}

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Served {
    pub requests: u64,
    pub per_second: f64,
    /// CPU time of the server for a request.
    pub server_cpu_seconds: f64,
}

/// The requests, and requests a second, that wrk reports.
fn parse(output: &str) -> Option<(u64, f64)> {
    let requests = output.lines().find_map(|line| line.split_once(" requests in "))?.0;
    let per_second = output.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    Some((requests.trim().parse().ok()?, per_second.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood() {
        let output = "\
Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   441.76us  118.65us   4.04ms   87.03%
    Req/Sec    72.35k     2.51k   75.42k    85.71%
  151200 requests in 2.10s, 36.05MB read
Requests/sec:  71998.43
Transfer/sec:     17.17MB
";
        assert_eq!(parse(output), Some((151_200, 71_998.43)));
        assert_eq!(parse("unable to connect"), None);
    }

    #[test]
    fn only_a_server_with_an_upstream_can_hang() {
        assert!(!configuration(Path::new("/d"), 1, None).contains("proxy_pass"));
        let with = configuration(Path::new("/d"), 1, Some("127.0.0.1:2".parse().unwrap()));
        assert!(with.contains("location /hang { proxy_pass http://127.0.0.1:2; }"));
        assert!(with.contains("root /d/www;"));
    }
}
