//! curl as the client: another hand at HTTP/1, HTTP/2 and TLS.

use super::Case;
use super::exit::exits;
use crate::client::Protocol;
use crate::expect::{Cause, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, NEVER, RunId, Stage, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const GO: &[Tool] = &[Tool::Curl, Tool::Go];
const NODE: &[Tool] = &[Tool::Curl, Tool::Node, Tool::Openssl];

pub const CASES: &[Case] = &[
    Case::new("curl", GO, "curl by HTTP/1 and HTTP/2, waiting and half answered", clear).of_framing(),
    Case::new("curl-tls", NODE, "curl by HTTP/1 inside TLS, both versions", secured).of_framing(),
];

/// One curl; returns once the server has said `word` of it.
fn curl(
    stage: &mut Stage<'_>,
    server: RunId,
    protocol: Protocol,
    options: &str,
    path: &str,
    word: &str,
) -> Result<()> {
    let target = stage.target(server);
    let scheme = if target.security.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{}{path}?ms={NEVER}", target.address.port());
    let port = stage.client_ports(1)?[0];
    let options = format!("--ipv4 {options}");
    stage.start_other(server, &Program::curl(port, &options, &url), protocol, &[port])?;
    stage.wait_for_line(server, &format!("{word} {port}"))?;
    stage.wait_until_silent(server, &[port])
}

fn clear(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::go(stage.tools(), "none"))?;
    for (protocol, option) in [(Protocol::Http1, "--http1.1"), (Protocol::Http2, "--http2-prior-knowledge")] {
        curl(stage, server, protocol, option, "/slow", "read")?;
        curl(stage, server, protocol, option, "/stream", "parted")?;
    }
    // An upgrade to HTTP/2 that nobody takes up.
    curl(stage, server, Protocol::Http1, "--http2", "/slow", "read")?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 1, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess).or(Cause::StreamWithoutGoaway);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 4).severed(Fate::TruncatedResponse, 2));
    Ok(())
}

fn secured(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "exit").with_tls(stage.tools()))?;
    let certificate = stage.tools().certificate();
    for version in ["--tls-max 1.2", "--tlsv1.3"] {
        let options = format!("--http1.1 {version} --cacert {}", certificate.display());
        curl(stage, server, Protocol::Http1, &options, "/slow", "read")?;
    }
    stage.idle(server, 2)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}
