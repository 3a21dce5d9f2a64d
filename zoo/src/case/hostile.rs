//! Bytes that break every rule. What becomes of their own connections is anybody's guess; the others
//! are to be judged as exactly as ever.

use super::Case;
use super::exit::{exits, open_replies, server};
use super::http2::{ask, begins, streams, waits};
use crate::client::{Script, Step, get, get_with, http2};
use crate::expect::{Cause, Expected};
use crate::program::Program;
use crate::server::Reply;
use crate::stage::{AMPLE, ClientId, RunId, Stage, Work};
use crate::tool::Tool;
use anyhow::Result;
use shutdown_probe_common::fate::Fate;

const NODE: &[Tool] = &[Tool::Node];

pub const CASES: &[Case] = &[
    Case::new("hostile-requests", &[], "absurd lengths, garbage, a head of 1 MiB", requests).of_framing(),
    Case::new("hostile-responses", &[], "a server that breaks every rule itself", responses).of_framing(),
    Case::new("hostile-frames", NODE, "frames of 2^24-1 bytes, nonsense after the preface", frames)
        .of_framing(),
    Case::new("hostile-upgrade", &[], "garbage after an upgrade", upgrade).of_framing(),
];

/// Hostile clients, each of which sends one of these; all of it is with the server's kernel.
fn hostile(stage: &mut Stage<'_>, server: RunId, pieces: Vec<Vec<u8>>) -> Result<Vec<ClientId>> {
    let script = |bytes| Script::hostile(vec![Step::Control(bytes)]);
    let clients: Vec<_> = pieces.into_iter().map(|bytes| stage.open(server, script(bytes))).collect();
    stage.wait_until_played(&clients)?;
    Ok(clients)
}

/// Well-behaved clients, who come before and after: two idle, two with a request in flight.
fn neighbours(stage: &mut Stage<'_>, server: RunId) -> Result<()> {
    stage.idle(server, 1)?;
    stage.in_flight(server, 1, Work::Endless).map(|_| ())
}

fn requests(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    neighbours(stage, server)?;
    let post = |headers: &str| format!("POST /slow HTTP/1.1\r\nHost: zoo\r\n{headers}\r\n\r\nx").into_bytes();
    let noise: Vec<u8> =
        (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut head = b"GET / HTTP/1.1\r\nX-Padding: ".to_vec();
    head.resize(1 << 20, b'x');
    let pieces = vec![
        post("Content-Length: 99999999999999999999999999999999"),
        post("Content-Length: 18446744073709551615"),
        post("Content-Length: -1"),
        post("Content-Length: 5\r\nContent-Length: 6"),
        post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        [post("Transfer-Encoding: chunked"), b"\r\nffffffffffffffffff\r\nx".to_vec()].concat(),
        [post("Transfer-Encoding: chunked"), b"\r\nzz\r\n-1\r\n".to_vec()].concat(),
        b"GET / HTTP/9.9\r\n\r\n\r\n\r\n\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        b"\x16\x03\x01\xff\xff\x01".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),
        noise,
        head,
    ];
    hostile(stage, server, pieces)?;
    neighbours(stage, server)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}

fn responses(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    neighbours(stage, server)?;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nx".to_string(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nxxxxxxx".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nxxxx".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore than was said".into(),
        format!("{chunked}ffffffffffffffffffff\r\nx"),
        format!("{chunked}8000000000000000\r\nx"),
        format!("{chunked}4\r\nbodybody\r\n0\r\n\r\n"),
        format!("{chunked}\r\n\r\n\r\n"),
        "HTTP/1.1 999\r\n\r\nHTTP/1.1\r\n\r\n\r\n".into(),
        "no answer at all\r\n".into(),
    ];
    let open = |answer: &String| {
        let reply = Reply::new().write(answer).say("parted").never();
        stage.open(server, Script::hostile(vec![get(reply.path())]))
    };
    let clients: Vec<_> = answers.iter().map(open).collect();
    stage.wait_until_said(server, "parted", &clients)?;
    open_replies(stage, server, "parted", &[Reply::cut(&format!("{chunked}4\r\nbody\r\n"))])?;
    neighbours(stage, server)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2), (Fate::TruncatedResponse, 1)])
}

fn frames(stage: &mut Stage<'_>) -> Result<()> {
    let server = stage.start(Program::node(stage.tools(), "none http2"))?;
    streams(stage, server, vec![ask("/"), waits()], 1, false)?;
    let after = |rest: Vec<u8>| [http2::preface(), rest].concat();
    // DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION and two that nobody knows.
    let mut pieces: Vec<_> = [0, 1, 4, 6, 7, 8, 9, 0x10, 0xff]
        .into_iter()
        .flat_map(|kind| [(kind, 0, 0xff_ffff), (kind, 1, 0xff_ffff), (kind, 0x7fff_ffff, 0), (kind, 0, 1)])
        .map(|(kind, stream, length)| after([http2::frame_head(kind, stream, length), vec![0; 64]].concat()))
        .collect();
    pieces.push(after(b"GET / HTTP/1.1\r\nHost: zoo\r\n\r\n".to_vec()));
    pieces.push(after(http2::continued_request(1, "/", 1)));
    pieces.push(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec());
    hostile(stage, server, pieces)?;
    streams(stage, server, vec![begins(), waits(), ask("/")], 1, true)?;
    streams(stage, server, vec![ask("/")], 1, false)?;
    stage.stop(server, AMPLE)?;
    let expected = Expected::new(Cause::StopSignalKilledProcess);
    let expected = expected.severed(Fate::UnansweredRequest, 1).severed(Fate::TruncatedResponse, 1);
    stage.expect(server, expected);
    Ok(())
}

fn upgrade(stage: &mut Stage<'_>) -> Result<()> {
    let server = server(stage)?;
    neighbours(stage, server)?;
    let request = get_with("/websocket", "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    let garbage = [
        b"GET / HTTP/1.1\r\nHost: zoo\r\n\r\n".to_vec(),
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        http2::preface(),
        vec![0xff; 1000],
    ];
    let script =
        |bytes: Vec<u8>| Script::hostile(vec![request.clone(), Step::AwaitAnswers, Step::Control(bytes)]);
    let clients: Vec<_> = garbage.into_iter().map(|bytes| stage.open(server, script(bytes))).collect();
    stage.wait_until_said(server, "frame", &clients)?;
    neighbours(stage, server)?;
    exits(stage, server, &[(Fate::UnansweredRequest, 2)])
}
