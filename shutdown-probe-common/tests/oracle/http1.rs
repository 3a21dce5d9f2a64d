//! HTTP/1 as `httparse` reads it: heads and sizes of chunks by that crate, the rules of RFC 9112 for
//! bodies written down once more, plainly, over whole buffers.

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};
use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Framed, Framing, Hand, feed, framing_flag, protocol};

/// Why a comparison ends: what follows is read differently, or not at all, with good reason.
#[derive(Debug)]
struct Apart;

/// Where the bytes end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Between two messages.
    Whole,
    /// In a head.
    Head,
    /// In a body; bytes of it still to come, if that is known.
    Body(Option<u64>),
    /// In a body that lasts until the close.
    UntilClose,
    Upgraded,
}

enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// `data`: what the client says, a byte 0xff, what the server answers.
pub fn check(data: &[u8]) {
    let middle = data.iter().position(|byte| *byte == 0xff).unwrap_or(data.len());
    let (inbound, outbound) = (&data[..middle], data.get(middle + 1..).unwrap_or_default());
    let mut framing = Framing::default();
    framing.begin(0, 0, false);
    feed(&mut framing, Inbound, inbound);
    let Ok((requests, asked)) = requests(inbound) else { return };
    if requests.len() > 32 {
        return assert!(!framing.is_followed());
    }
    feed(&mut framing, Outbound, outbound);
    let Ok(answers) = answers(outbound, &requests) else { return };
    // A line that is not whole can be nonsense already.
    if !framing.is_followed() && (asked == End::Head || answers.end == End::Head) {
        return;
    }
    let mut framed = Framed::default();
    framing.frame(&mut framed);
    // What has not shown by a whole line that it is HTTP is judged by its bytes.
    let is_proved = !requests.is_empty() || framed.protocol != protocol::UNSEEN;
    if !is_proved && framed.in_hand() == Hand::Unknown {
        return;
    }
    let expected = hand(&requests, asked, &answers);
    assert_eq!(framed.in_hand(), expected, "{asked:?} {answers:?} {framed:?}");
    assert_eq!(framed.flags & framing_flag::UPGRADED != 0, answers.end == End::Upgraded);
    if let End::Body(left) = answers.end {
        assert_eq!(framed.begun, answers.begun);
        assert_eq!(framed.expected, left.map_or(0, |left| answers.begun + left));
    }
}

fn hand(requests: &[String], asked: End, answers: &Answers) -> Hand {
    match answers.end {
        End::Upgraded => Hand::Nothing,
        End::UntilClose => Hand::AnswerUntilClose,
        End::Body(_) => Hand::Answer,
        End::Head if !answers.interim => Hand::Answer,
        _ if answers.finals < requests.len() => Hand::Request,
        // One answer more than requests answers the head that is still arriving.
        _ if asked == End::Head && answers.finals == requests.len() => Hand::HalfRequest,
        _ => Hand::Nothing,
    }
}

/// The methods of all requests whose head is complete.
fn requests(bytes: &[u8]) -> Result<(Vec<String>, End), Apart> {
    let mut rest = bytes;
    let mut methods = Vec::new();
    loop {
        rest = without_empty_lines(rest)?;
        if rest.is_empty() {
            return Ok((methods, End::Whole));
        }
        let mut headers = [EMPTY_HEADER; 64];
        let mut request = Request::new(&mut headers);
        let status = request.parse(rest).map_err(|_| Apart)?;
        let method = request.method.unwrap_or_default().to_owned();
        // PROXY and PRI begin other protocols.
        if method.len() > 24 || method == "PROXY" || method == "PRI" {
            return Err(Apart);
        }
        let Status::Complete(head) = status else {
            return Ok((methods, End::Head));
        };
        let body = match body(request.headers)? {
            Body::UntilClose if is_coded(request.headers) => return Err(Apart),
            Body::UntilClose => Body::None,
            body => body,
        };
        methods.push(method);
        let (end, after) = skip(&body, &rest[head..])?;
        if end != End::Whole {
            return Ok((methods, end));
        }
        rest = after;
    }
}

#[derive(Debug)]
struct Answers {
    finals: usize,
    end: End,
    /// The head that is not complete is an interim one.
    interim: bool,
    begun: u64,
}

fn answers(bytes: &[u8], methods: &[String]) -> Result<Answers, Apart> {
    let mut rest = bytes;
    let mut answers = Answers { finals: 0, end: End::Whole, interim: false, begun: 0 };
    loop {
        rest = without_empty_lines(rest)?;
        if rest.is_empty() {
            return Ok(answers);
        }
        answers.begun = rest.len() as u64;
        let mut headers = [EMPTY_HEADER; 64];
        let mut response = Response::new(&mut headers);
        let status = response.parse(rest).map_err(|_| Apart)?;
        let code = response.code.unwrap_or_default();
        let Status::Complete(head) = status else {
            answers.interim = (100..200).contains(&code) && code != 101;
            answers.end = End::Head;
            // A status line can be cut where neither of us has seen the code.
            return if response.code.is_none() { Err(Apart) } else { Ok(answers) };
        };
        let method = methods.get(answers.finals).map_or("", String::as_str);
        let body = match (code, method) {
            (101, _) | (200..300, "CONNECT") => {
                body(response.headers)?;
                answers.end = End::Upgraded;
                let names = |name: &str| response.headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
                return if names("upgrade") { Err(Apart) } else { Ok(answers) };
            }
            (100..200, _) => {
                body(response.headers)?;
                rest = &rest[head..];
                continue;
            }
            (204 | 304, _) | (_, "HEAD") => body(response.headers).map(|_| Body::None)?,
            _ => body(response.headers)?,
        };
        let (end, after) = skip(&body, &rest[head..])?;
        if end != End::Whole {
            answers.end = end;
            return Ok(answers);
        }
        answers.finals += 1;
        rest = after;
    }
}

fn without_empty_lines(mut bytes: &[u8]) -> Result<&[u8], Apart> {
    while let [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    if bytes.first() == Some(&b'\r') { Err(Apart) } else { Ok(bytes) }
}

fn is_coded(headers: &[Header]) -> bool {
    headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding"))
}

fn body(headers: &[Header]) -> Result<Body, Apart> {
    let mut length = None;
    let mut codings = Vec::new();
    for header in headers {
        let value = std::str::from_utf8(header.value).map_err(|_| Apart)?.trim_matches([' ', '\t']);
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let this: u64 = value.parse().map_err(|_| Apart)?;
            if !digits || this > 1 << 55 || length.is_some_and(|length| length != this) {
                return Err(Apart);
            }
            length = Some(this);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            codings.extend(value.split(',').map(|name| name.trim_matches([' ', '\t']).to_ascii_lowercase()));
        }
    }
    Ok(match (codings.last().map(String::as_str), length) {
        (Some("chunked"), _) => Body::Chunked,
        (Some(_), _) | (None, None) => Body::UntilClose,
        (None, Some(0)) => Body::None,
        (None, Some(length)) => Body::Length(length),
    })
}

fn skip<'a>(body: &Body, bytes: &'a [u8]) -> Result<(End, &'a [u8]), Apart> {
    match *body {
        Body::None => Ok((End::Whole, bytes)),
        Body::UntilClose => Ok((End::UntilClose, &[])),
        Body::Length(length) => match bytes.get(length as usize..) {
            Some(rest) => Ok((End::Whole, rest)),
            None => Ok((End::Body(Some(length - bytes.len() as u64)), &[])),
        },
        Body::Chunked => chunks(bytes),
    }
}

fn chunks(mut bytes: &[u8]) -> Result<(End, &[u8]), Apart> {
    let cut = Ok((End::Body(None), &[][..]));
    loop {
        // That crate takes no digits for 0, and a line feed alone for a part of an extension.
        let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let bare = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        // More than 13 digits are taken for nonsense before the line is whole.
        if bare || digits > 13 || digits == 0 && !line.is_empty() {
            return Err(Apart);
        }
        let Status::Complete((head, size)) = httparse::parse_chunk_size(bytes).map_err(|_| Apart)? else {
            return cut;
        };
        bytes = &bytes[head..];
        if size == 0 {
            let mut headers = [EMPTY_HEADER; 64];
            return match httparse::parse_headers(bytes, &mut headers).map_err(|_| Apart)? {
                Status::Complete((end, _)) => Ok((End::Whole, &bytes[end..])),
                Status::Partial => cut,
            };
        }
        let Some(rest) = bytes.get(size as usize..) else { return cut };
        bytes = match rest {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return cut,
            _ => return Err(Apart),
        };
    }
}
