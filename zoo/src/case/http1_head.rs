//! Heads as they come: in pieces, very long, oddly written.

use super::Case;
use super::exit::{exits, open, open_replies, server};
use crate::client::{Script, Step, bytewise, get_with};
use crate::server::Reply;
use crate::stage::{NEVER, Stage, slow};
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const LARGE: usize = 64 * 1024;

pub const CASES: &[Case] = &[
    Case::new("request-bytewise", &[], "requests of one byte a packet", request_bytewise).of_framing(),
    Case::new("response-bytewise", &[], "answers of one byte a packet", response_bytewise).of_framing(),
    Case::new("large-heads", &[], "heads of 64 KiB, both ways", large_heads).of_framing(),
    Case::new("odd-heads", &[], "header names in any case, values in any white space", odd_heads)
        .of_framing(),
    Case::new("http10", &[], "HTTP/1.0 with keep-alive and a length", http10).of_framing(),
];

fn request_bytewise(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let ask = |path: &str| bytewise(format!("GET {path} HTTP/1.1\r\nHost: zoo\r\n\r\n").as_bytes());
    let idle = open(stage, server, 2, &ask("/"));
    let busy = open(stage, server, 2, &ask(&format!("/slow?ms={NEVER}")));
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&busy, 1)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}

fn response_bytewise(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let whole = [format!("{head}ninebytes"), chunked.to_string()];
    let whole = whole.map(|text| Reply::new().bytewise(&text).say("answered"));
    open_replies(stage, server, "answered", &whole)?;
    let cuts = [1, 12, head.len() - 1, head.len(), head.len() + 8]
        .map(|length| Reply::new().bytewise(&format!("{head}ninebytes")[..length]).say("parted").never());
    open_replies(stage, server, "parted", &cuts)?;
    exits(stage, server, &[(Fate::TruncatedResponse, cuts.len())])
}

fn large_heads(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let padding = format!("X-Padding: {}\r\n", "x".repeat(LARGE));
    let idle = open(stage, server, 1, &[get_with("/", &padding)]);
    let busy = open(stage, server, 1, &[get_with(&format!("/slow?ms={NEVER}"), &padding)]);
    stage.wait_until_answered(&idle)?;
    stage.wait_until_read(&busy, 1)?;
    let begin = || Reply::new().write("HTTP/1.1 200 OK\r\nX-Padding: ").fill(LARGE);
    let whole = begin().write("\r\nContent-Length: 4\r\n\r\nbody").say("answered");
    open_replies(stage, server, "answered", &[whole])?;
    let cuts = [begin(), begin().write("\r\nContent-Length: 4\r\n\r\nbo")];
    open_replies(stage, server, "parted", &cuts.map(|reply| reply.say("parted").never()))?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1), (Fate::TruncatedResponse, 2)])
}

fn odd_heads(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let lengths = [
        "content-length:4",
        "CONTENT-LENGTH: \t 4 \t",
        "x-content-length: 9\r\nContent-Length: 004",
        "cOnTeNt-LeNgTh:\t4\r\nX-Content-Length: 1",
    ];
    for length in lengths {
        let head = format!("HTTP/1.1 200 Fine, thank you\r\n{length}\r\n\r\n");
        let whole = Reply::new().write(&format!("{head}body")).say("answered");
        open_replies(stage, server, "answered", &[whole])?;
        open_replies(stage, server, "parted", &[Reply::cut(&format!("{head}bod"))])?;
    }
    let head = "HTTP/1.1 200 \r\ntRANSFER-eNCODING:  Chunked \r\n\r\n";
    let whole = Reply::new().write(&format!("{head}2\r\nok\r\n0\r\n\r\n")).say("answered");
    open_replies(stage, server, "answered", &[whole])?;
    open_replies(stage, server, "parted", &[Reply::cut(&format!("{head}2\r\nok\r\n"))])?;
    exits(stage, server, &[(Fate::TruncatedResponse, lengths.len() + 1)])
}

fn http10(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    let reply =
        Reply::new().write("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody");
    let path = reply.say("answered").path().to_string();
    let request = format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let ask = Step::Request(request.into_bytes(), 1);
    let idle = open(stage, server, 2, &[ask.clone(), Step::AwaitAnswers]);
    stage.wait_until_answered(&idle)?;
    let busy = Script::now(vec![ask, Step::AwaitAnswers, slow(NEVER)]);
    let busy = stage.open(server, busy);
    stage.wait_until_read(&[busy], 2)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 1)])
}
