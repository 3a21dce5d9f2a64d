//! Which request an answer of HTTP/1 belongs to: pipelines, interim answers, bodies that are held back.

use super::Case;
use super::exit::{exits, open, open_replies, server};
use crate::client::{Script, Step, get};
use crate::expect::{Cause, Disposition, Expected};
use crate::program::Program;
use crate::server::Reply;
use crate::stage::{AMPLE, ClientId, NEVER, Stage, Work, slow};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";

pub const CASES: &[Case] = &[
    Case::new("pipelined-three", &[], "three requests in one packet, some of them answered", pipelined_three)
        .of_framing(),
    Case::new("pipelined-post", &[], "the last of the pipeline has a body that comes later", pipelined_post)
        .of_framing(),
    Case::new("continue-body", &[], "100 Continue, the body, and the final answer or not", continue_body)
        .of_framing(),
    Case::new("early-hints", &[], "103 Early Hints is no answer", early_hints).of_framing(),
    Case::new("expectation-failed", &[], "417: the body was never sent, and is not owed", expectation_failed)
        .of_framing(),
    Case::new("answered-early", &[], "the answer came before the body was all there", answered_early)
        .of_framing(),
    Case::new(
        "uploading-on",
        &[],
        "the body goes on after its answer, unread and behind the FIN",
        uploading_on,
    )
    .of_framing(),
    Case::new("pipelined-half-closed", &[], "the client has asked twice and closed its side", half_closed)
        .of_framing(),
    Case::new("drained-in-pieces", &[], "answers begun before the stop and ended after it", drained)
        .of_framing(),
];

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: zoo\r\n\r\n")
}

fn post(path: &str, headers: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: zoo\r\n{headers}Content-Length: {length}\r\n\r\n")
}

/// Waits until each has got so many answers.
fn wait_for_answers(stage: &mut Stage<'_>, clients: &[(ClientId, usize)]) -> Result<()> {
    stage.wait_for("the answers before", |stage| {
        clients.iter().all(|(id, count)| stage.client(*id).record().answered == *count)
    })
}

fn pipelined_three(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let never = format!("/slow?ms={NEVER}");
    let half = Reply::cut(HALF);
    let pipelines = [
        (["/", &never, "/"], 1),
        (["/", "/", &never], 2),
        (["/", "/", "/"], 3),
        (["/", half.path(), "/"], 1),
        (["/", "/", half.path()], 2),
    ];
    let mut clients = Vec::new();
    for (paths, answers) in pipelines {
        let bytes: String = paths.into_iter().map(request).collect();
        let client = stage.open(server, Script::now(vec![Step::Request(bytes.into_bytes(), 3)]));
        clients.push((client, answers));
    }
    wait_for_answers(stage, &clients)?;
    for (client, answers) in &clients {
        stage.wait_until_read(&[*client], (answers + 1).min(3))?;
    }
    stage.wait_for("the halves", |stage| {
        clients[3..].iter().all(|(id, _)| stage.client(*id).record().answer_begun)
    })?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2), (Fate::TruncatedResponse, 2)])
}

fn pipelined_post(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let taken = Reply::new().take_body();
    let script = |reply: &Reply, bodies: &[&str]| {
        let first = request("/") + &post(reply.path(), "", 12) + "half";
        let mut steps = vec![Step::Request(first.into_bytes(), 2)];
        steps.extend(bodies.iter().map(|body| Step::Control(body.as_bytes().to_vec())));
        Script::now(steps)
    };
    let waits = stage.open(server, script(&taken.clone().never(), &["more", "last"]));
    let unfinished = stage.open(server, script(&taken, &["more"]));
    let whole = stage.open(server, script(&taken.clone().then_ok(), &["more", "last"]));
    stage.wait_until_said(server, "taken", &[waits, whole])?;
    stage.wait_until_read(&[unfinished], 2)?;
    stage.wait_until_taken(server, &[unfinished])?;
    wait_for_answers(stage, &[(waits, 1), (unfinished, 1), (whole, 2)])?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}

fn continue_body(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let go_on = Reply::new().write(CONTINUE).take_body();
    let steps = |reply: &Reply| {
        let head = post(reply.path(), "Expect: 100-continue\r\n", 4);
        vec![Step::Request(head.into_bytes(), 1), Step::Control(b"body".to_vec())]
    };
    let unanswered = open(stage, server, 2, &steps(&go_on.clone().never()));
    let whole = open(stage, server, 2, &steps(&go_on.clone().then_ok()));
    let half = open(stage, server, 1, &steps(&go_on.write(HALF).say("parted").never()));
    stage.wait_until_said(server, "taken", &unanswered)?;
    stage.wait_until_answered(&whole)?;
    stage.wait_until_said(server, "parted", &half)?;
    stage.wait_for("the half", |stage| stage.client(half[0]).record().answer_begun)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2), (Fate::TruncatedResponse, 1)])
}

fn early_hints(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let hinted = Reply::new().write(HINTS).say("hinted").never();
    let unanswered = open(stage, server, 2, &[get(hinted.path())]);
    stage.wait_until_said(server, "hinted", &unanswered)?;
    let twice = Reply::new().write(HINTS).write(HINTS).then_ok();
    open_replies(stage, server, "answered", &[twice])?;
    open_replies(stage, server, "parted", &[Reply::cut(&format!("{HINTS}{HALF}"))])?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2), (Fate::TruncatedResponse, 1)])
}

fn expectation_failed(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let failed = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
    let reply = Reply::new().write(failed).say("answered");
    let head = post(reply.path(), "Expect: 100-continue\r\n", 4000);
    let idle = open(stage, server, 2, &[Step::Request(head.into_bytes(), 1), Step::AwaitAnswers]);
    stage.wait_until_answered(&idle)?;
    // Those who send the body all the same: it is read, and what comes after it is a request again.
    let reply = Reply::new().write(failed).say("answered").take_body();
    let head = post(reply.path(), "Expect: 100-continue\r\n", 8);
    let sent = [Step::Request(head.into_bytes(), 1), Step::AwaitAnswers, Step::Control(b"the body".to_vec())];
    let rest = open(stage, server, 1, &sent);
    let busy = open(stage, server, 1, &[&sent[..], &[slow(NEVER)]].concat());
    stage.wait_until_said(server, "taken", &[rest[0], busy[0]])?;
    stage.wait_until_read(&busy, 2)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}

fn answered_early(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let reply = Reply::ok().take_body();
    let head = post(reply.path(), "", 12) + "half";
    let begun = [Step::Request(head.into_bytes(), 1), Step::AwaitAnswers, Step::Control(b"more".to_vec())];
    // The answer is whole, so nothing is owed, whether or not the rest of the body comes.
    let unfinished = open(stage, server, 2, &begun);
    let finished = [&begun[..], &[Step::Control(b"last".to_vec())]].concat();
    let idle = open(stage, server, 2, &finished);
    let busy = open(stage, server, 1, &[&finished[..], &[slow(NEVER)]].concat());
    stage.wait_until_taken(server, &unfinished)?;
    stage.wait_until_said(server, "taken", &[idle[0], idle[1], busy[0]])?;
    stage.wait_until_read(&busy, 2)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}

fn uploading_on(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    // Told that it is too large, before it has come.
    let refused = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let reply = Reply::new().write(refused).say("answered").never();
    let more = || Step::Control(vec![b'x'; 5000]);
    let chunked = format!("POST {} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nx", reply.path());
    let mut clients = Vec::new();
    for head in [post(reply.path(), "", 100_000), chunked] {
        let begun = [Step::Request(head.into_bytes(), 1), Step::AwaitAnswers];
        clients.extend(open(stage, server, 1, &begun));
        // It lies there unread.
        clients.extend(open(stage, server, 1, &[&begun[..], &[more()]].concat()));
        // It crosses the FIN.
        clients.extend(open(
            stage,
            server,
            1,
            &[&begun[..], &[Step::AwaitFin, more(), Step::LookBack]].concat(),
        ));
    }
    // A request behind a whole body is one.
    let head = post(reply.path(), "", 4) + "body";
    let ahead = [Step::Request(head.into_bytes(), 1), Step::AwaitAnswers, get("/")];
    let unread = open(stage, server, 1, &ahead);
    stage.wait_until_said(server, "answered", &[&clients[..], &unread].concat())?;
    stage.wait_until_played(&[clients[1], clients[4], unread[0]])?;
    exits(stage, server, &[(Fate::UnreadRequest, 1)])
}

fn half_closed(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let both = |second: &str| {
        let bytes = request("/") + &request(second);
        vec![Step::Request(bytes.into_bytes(), 2), Step::HalfClose]
    };
    let whole = Reply::ok().never();
    let answered = open(stage, server, 1, &both(whole.path()));
    open(stage, server, 1, &both(&format!("/slow?ms={NEVER}")));
    stage.wait_until_answered(&answered)?;
    stage.in_flight(server, 1, Work::Endless)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}

fn drained(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::own(stage.tools(), "--on-term drain"))?;
    let gate = stage.gate(server);
    let begun = |text: &str| Reply::new().write(text).say("parted").gate(&gate);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n";
    let replies = [
        begun(HALF).write("other").say("answered"),
        begun(HINTS).then_ok(),
        begun(CONTINUE).bytewise("HTTP/1.1 204 No Content\r\n\r\n").say("answered"),
        begun(chunked).bytewise("body\r\n0\r\nX-Sum: 1\r\n\r\n").say("answered"),
    ];
    let open = |reply: &Reply| stage.open(server, Script::now(vec![get(reply.path())]));
    let clients: Vec<_> = replies.iter().map(open).collect();
    stage.wait_until_said(server, "parted", &clients)?;
    stage.idle(server, 1)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::Clean).signal(Disposition::Handled);
    stage.expect(server, expected.drained(replies.len()));
    Ok(())
}
