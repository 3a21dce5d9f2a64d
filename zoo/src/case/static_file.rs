//! Files that nginx hands to the kernel by sendfile, and clients that take their time to read them.

use super::Case;
use crate::client::{Script, Step, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::stage::{AMPLE, ClientId, RunId, Stage};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const NGINX: &[Tool] = &[Tool::Nginx];
/// More than any socket's buffers hold, and so little that they hold all of it, in bytes.
const LARGE: u64 = 50 << 20;
const SMALL: u64 = 100 << 10;

pub const CASES: &[Case] = &[
    Case::new("nginx-file-term", NGINX, "large files cut by the fast stop, small ones with the kernel", term)
        .of_framing(),
    Case::new("nginx-file-kill", NGINX, "the same by SIGKILL", kill).of_framing(),
];

/// A server, two clients whose file is too large for the kernel, and one whose file it holds.
fn audience(stage: &mut Stage<'_>) -> Result<(RunId, Vec<ClientId>)> {
    stage.file("large", LARGE)?;
    stage.file("small", SMALL)?;
    // Nothing is passed on: any port does.
    let server = stage.start(Program::nginx(stage.tools(), 1))?;
    let slow = |path: &str| Script::now(vec![Step::LookAway, get(path), Step::AwaitArrival]);
    let small = stage.open(server, slow("/files/small"));
    let mut clients: Vec<_> = (0..2).map(|_| stage.open(server, slow("/files/large"))).collect();
    stage.wait_until_played(&clients)?;
    stage.wait_until_said(server, "answered", &[small])?;
    stage.after_answer(server, 1, vec![get("/files/small"), Step::AwaitAnswers])?;
    clients.push(small);
    Ok((server, clients))
}

/// Now that the server is gone, they read what is left.
fn look_back(stage: &mut Stage<'_>, clients: &[ClientId]) -> Result<()> {
    for client in clients {
        stage.client_mut(*client).tell([Step::LookBack]);
    }
    stage.wait_for("the ends of the files", |stage| clients.iter().all(|id| stage.client(*id).has_ended()))
}

fn term(stage: &mut Stage<'_>) -> Result<()> {
    let (server, clients) = audience(stage)?;
    stage.stop(server, AMPLE)?;
    look_back(stage, &clients)?;
    let expected = Expected::new(Cause::ExitedWithoutDrain).signal(Disposition::Handled);
    stage.expect(server, expected.severed(Fate::TruncatedResponse, 2));
    Ok(())
}

fn kill(stage: &mut Stage<'_>) -> Result<()> {
    let (server, clients) = audience(stage)?;
    stage.kill(server)?;
    look_back(stage, &clients)?;
    stage.expect(server, Expected::new(Cause::KilledWithoutStopSignal).severed(Fate::TruncatedResponse, 2));
    Ok(())
}
