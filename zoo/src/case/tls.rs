//! TLS hides requests and answers, and has words of its own that are neither.

use super::Case;
use crate::client::{Script, Step};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, Stage, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const NODE: &[Tool] = &[Tool::Node, Tool::Openssl];
const PYTHON: &[Tool] = &[Tool::Python, Tool::Openssl];

pub const CASES: &[Case] = &[
    Case::new("tls-in-flight", NODE, "requests in flight and idle connections, inside TLS", in_flight)
        .of_framing(),
    Case::new(
        "tls-close-notify",
        NODE,
        "clients answer the close by close_notify, which is no request",
        close_notify,
    )
    .of_framing(),
    Case::new("tls-no-tickets", PYTHON, "the client's Finished was the last word", no_tickets).of_framing(),
];

fn in_flight(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "exit").with_tls(stage.tools()))?;
    stage.idle(server, 2)?;
    stage.in_flight(server, 3, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 3));
    Ok(())
}

fn close_notify(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "drain").with_tls(stage.tools()))?;
    stage.idle(server, 3)?;
    stage.in_flight(server, 2, Work::UntilStop)?;
    stage.stop(server, AMPLE)?;
    stage.expect(server, Expected::new(Cause::Clean).signal(Disposition::Handled).drained(2));
    Ok(())
}

fn no_tickets(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::python(stage.tools(), "exit").with_tls(stage.tools()))?;
    let spare: Vec<_> = (0..2).map(|_| stage.open(server, Script::now(vec![Step::AwaitSecurity]))).collect();
    stage.wait_until_said(server, "secured", &spare)?;
    stage.wait_until_played(&spare)?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 2, Work::Endless)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::UnansweredRequest, 2));
    Ok(())
}
