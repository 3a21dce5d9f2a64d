//! Where the body of an answer ends, in all the ways in which HTTP/1 says so.

use super::Case;
use super::exit::{exits, open, open_replies, server};
use crate::client::{Script, Step, get};
use crate::server::Reply;
use crate::stage::{NEVER, Stage, Work, slow};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

pub const CASES: &[Case] = &[
    Case::new("trailers", &[], "chunked answers cut before, in and after their trailers", trailers)
        .of_framing(),
    Case::new("chunks", &[], "chunk extensions, and a cut inside a chunk's size", chunks).of_framing(),
    Case::new("head", &[], "HEAD: a Content-Length of which no byte is owed", head).of_framing(),
    Case::new("no-body", &[], "204 and 304 have no body, whatever they say", no_body).of_framing(),
    Case::new("close-delimited", &[], "a body that only the close delimits", close_delimited).of_framing(),
    Case::new("said-close", &[], "Connection: close, and the server has not closed yet", said_close)
        .of_framing(),
];

fn trailers(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let part = |rest: &str| Reply::cut(&format!("{CHUNKED}4\r\nbody\r\n{rest}"));
    // Before the last chunk, after it, in a trailer, before the empty line.
    let cut = ["", "0\r\n", "0\r\nX-Sum: 1", "0\r\nX-Sum: 1\r\n"].map(part);
    open_replies(stage, server, "parted", &cut)?;
    let whole = format!("{CHUNKED}4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n");
    open_replies(stage, server, "answered", &[Reply::new().write(&whole).say("answered")])?;
    exits(stage, server, &[(Fate::TruncatedResponse, 4)])
}

fn chunks(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let cut = [Reply::cut(&format!("{CHUNKED}4;a=b\r\nbody\r\n1")), Reply::cut(&format!("{CHUNKED}A\r\n"))];
    open_replies(stage, server, "parted", &cut)?;
    let last = "0;last\r\n\r\n";
    let whole = [
        Reply::new().write(&format!("{CHUNKED}4;a=\"b\"\r\nbody\r\n{last}")),
        // Every size, and every end of a line, arrives by itself.
        Reply::new().write(CHUNKED).bytewise(&format!("0000A\r\n0123456789\r\n{last}")),
    ];
    open_replies(stage, server, "answered", &whole.map(|reply| reply.say("answered")))?;
    exits(stage, server, &[(Fate::TruncatedResponse, 2)])
}

fn head(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let reply = Reply::new().write(answer).say("answered");
    let request = |method: &str, path: &str| {
        Step::Request(format!("{method} {path} HTTP/1.1\r\nHost: zoo\r\n\r\n").into_bytes(), 1)
    };
    let idle = open(stage, server, 2, &[request("HEAD", reply.path()), Step::AwaitAnswers]);
    let again = [request("HEAD", reply.path()), Step::AwaitAnswers, get("/"), Step::AwaitAnswers];
    let again = open(stage, server, 1, &[&again[..], &[slow(NEVER)]].concat());
    open_replies(stage, server, "parted", &[Reply::cut(answer)])?;
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&again, 3)?;
    exits(stage, server, &[(Fate::TruncatedResponse, 1), (Fate::UnansweredRequest, 1)])
}

fn no_body(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let answers = [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for answer in answers {
        let ask = get(Reply::new().write(answer).say("answered").path());
        let idle = open(stage, server, 1, &[ask.clone(), Step::AwaitAnswers]);
        let busy = open(stage, server, 1, &[ask, Step::AwaitAnswers, slow(NEVER)]);
        stage.wait_until_answered(&idle)?;
        stage.wait_until_read(&busy, 2)?;
    }
    exits(stage, server, &[(Fate::UnansweredRequest, answers.len())])
}

fn close_delimited(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let answer = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nbegun\n";
    let path = Reply::cut(answer).path().to_string();
    let request = Step::Request(format!("GET {path} HTTP/1.0\r\n\r\n").into_bytes(), 1);
    let cut = open(stage, server, 2, &[request]);
    stage.wait_until_said(server, "parted", &cut)?;
    stage.wait_for("the first half", |stage| cut.iter().all(|id| stage.client(*id).record().answer_begun))?;
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::Endless)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}

fn said_close(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
    // The server takes its time to close.
    let whole = Reply::new().write(head).write("done").say("answered").never();
    let cut = Reply::new().write(head).write("do").say("parted").never();
    let clients = [whole, cut].map(|reply| stage.open(server, Script::now(vec![get(reply.path())])));
    stage.wait_until_said(server, "answered", &clients[..1])?;
    stage.wait_until_said(server, "parted", &clients[1..])?;
    stage.wait_for("what was written", |stage| {
        let [whole, cut] = clients.map(|id| stage.client(id).record().clone());
        whole.answered == 1 && cut.answer_begun
    })?;
    exits(stage, server, &[(Fate::TruncatedResponse, 1)])
}
