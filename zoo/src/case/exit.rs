//! What most cases of framing share: the zoo's own server exits when it is told to stop, so that
//! each connection is cut exactly where its scene has brought it.

use crate::client::{Script, Step, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::server::Reply;
use crate::stage::{AMPLE, ClientId, RunId, Stage};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

/// The server.
pub fn server(stage: &mut Stage<'_>) -> Result<RunId> {
    stage.start(Program::own(stage.tools(), "--on-term exit"))
}

/// So many clients that play the same steps.
pub fn open(stage: &mut Stage<'_>, server: RunId, count: usize, steps: &[Step]) -> Vec<ClientId> {
    (0..count).map(|_| stage.open(server, Script::now(steps.to_vec()))).collect()
}

/// A client for each of these answers: all is set once the server has said `word` to each, and each
/// has got something, or the whole if that is what was said.
pub fn open_replies(
    stage: &mut Stage<'_>,
    server: RunId,
    word: &str,
    replies: &[Reply],
) -> Result<Vec<ClientId>> {
    let open = |reply: &Reply| stage.open(server, Script::now(vec![get(reply.path())]));
    let clients: Vec<_> = replies.iter().map(open).collect();
    stage.wait_until_said(server, word, &clients)?;
    if word == "answered" {
        stage.wait_until_answered(&clients)?;
    } else {
        stage.wait_for("the beginnings of answers", |stage| {
            clients.iter().all(|id| stage.client(*id).record().answer_begun)
        })?;
    }
    Ok(clients)
}

/// The server is stopped and exits; this is what it costs.
pub fn exits(stage: &mut Stage<'_>, server: RunId, losses: &[(Fate, usize)]) -> Result<()> {
    stage.stop(server, AMPLE)?;
    let cause = if losses.is_empty() { Cause::Clean } else { Cause::ExitedWithoutDrain };
    let expected = Expected::new(cause).signal(Disposition::Handled);
    let expected = losses.iter().fold(expected, |expected, (fate, count)| expected.severed(*fate, *count));
    stage.expect(server, expected);
    Ok(())
}
