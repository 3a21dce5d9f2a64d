//! HTTP/2 as a client library speaks it, driven by hand: bytes go in and come out, nothing waits.
//! Every stream is known by what the library saw of it.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::Result as IoResult;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than any server is asked at once.
const STREAMS: usize = 1000;

/// How many bytes the library reads before the streams take what is theirs: it gives up a connection
/// on which too many small frames lie unread.
const PIECE: usize = 512;

/// One request on a stream of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What for.
    pub path: String,
    /// How many bytes of a body are sent.
    pub body: usize,
    /// Whether more of the body is to come, which never does.
    pub unfinished: bool,
}

impl Ask {
    /// A GET request.
    pub fn get(path: &str) -> Self {
        Self { path: path.into(), body: 0, unfinished: false }
    }

    fn request(&self) -> Result<Request<()>> {
        let method = if self.body > 0 || self.unfinished { Method::POST } else { Method::GET };
        let builder = Request::builder().method(method).uri(format!("http://zoo{}", self.path));
        builder.body(()).with_context(|| format!("a request for {}", self.path))
    }
}

/// The client's side of one connection.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    sender: SendRequest<Bytes>,
    /// `None` once the library has done with it.
    connection: Option<Connection<Wire>>,
    streams: Vec<Stream>,
}

impl Session {
    /// Its preface and SETTINGS are ready to be sent.
    pub fn new() -> Result<Self> {
        let wire = Wire::default();
        let mut builder = Builder::new();
        builder.initial_max_send_streams(STREAMS).enable_push(false);
        let shaking = pin!(builder.handshake::<_, Bytes>(wire.clone()));
        // The wire takes everything at once, so nothing is left to wait for.
        let Poll::Ready(shaken) = shaking.poll(&mut nobody()) else { bail!("HTTP/2 did not begin") };
        let (sender, connection) = shaken.context("beginning HTTP/2")?;
        let mut session = Self { wire, sender, connection: Some(connection), streams: Vec::new() };
        session.turn();
        Ok(session)
    }

    /// Takes bytes from the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.wire.0.borrow_mut().incoming.extend(piece);
            self.turn();
        }
    }

    /// What is to go to the server.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire.0.borrow_mut().outgoing)
    }

    /// Opens a stream.
    pub fn ask(&mut self, ask: &Ask) -> Result<()> {
        let end = ask.body == 0 && !ask.unfinished;
        let sent = self.sender.send_request(ask.request()?, end);
        let (response, mut sender) = sent.with_context(|| format!("asking for {}", ask.path))?;
        if ask.body > 0 {
            sender.send_data(vec![b'x'; ask.body].into(), !ask.unfinished).context("sending a body")?;
        }
        self.streams.push(Stream { sender, answer: Answer::Awaited(response), begun: false });
        self.turn();
        Ok(())
    }

    /// Resets this stream, the first being 0; one that is over already stays as it is.
    pub fn cancel(&mut self, number: usize) {
        if let Some(stream) = self.streams.get_mut(number)
            && stream.is_open()
        {
            stream.sender.send_reset(Reason::CANCEL);
            stream.answer = Answer::Cancelled;
        }
        self.turn();
    }

    /// Streams that the server has ended.
    pub fn answered(&self) -> usize {
        self.count(|stream| matches!(stream.answer, Answer::Whole))
    }

    /// Streams that the client has reset.
    pub fn cancelled(&self) -> usize {
        self.count(|stream| matches!(stream.answer, Answer::Cancelled))
    }

    /// Streams that the server has reset.
    pub fn rejected(&self) -> usize {
        self.count(|stream| matches!(stream.answer, Answer::Rejected))
    }

    /// Open streams on which an answer has begun.
    pub fn begun(&self) -> usize {
        self.count(|stream| stream.is_open() && stream.begun)
    }

    fn count(&self, which: impl Fn(&Stream) -> bool) -> usize {
        self.streams.iter().filter(|stream| which(stream)).count()
    }

    /// Lets the library work: it reads frames, streams take what is theirs, which frees their windows.
    fn turn(&mut self) {
        for _ in 0..2 {
            if let Some(connection) = &mut self.connection
                && Pin::new(connection).poll(&mut nobody()).is_ready()
            {
                // After a GOAWAY there is nothing more to say; the server is let end it.
                self.connection = None;
            }
            self.streams.iter_mut().for_each(Stream::turn);
        }
    }
}

#[derive(Debug)]
struct Stream {
    sender: SendStream<Bytes>,
    answer: Answer,
    begun: bool,
}

#[derive(Debug)]
enum Answer {
    Awaited(ResponseFuture),
    Arriving(RecvStream),
    Whole,
    Cancelled,
    Rejected,
    /// The connection was over first.
    Lost,
}

impl Stream {
    fn is_open(&self) -> bool {
        matches!(self.answer, Answer::Awaited(_) | Answer::Arriving(_) | Answer::Lost)
    }

    fn turn(&mut self) {
        while let Poll::Ready(Some(next)) = self.step() {
            self.answer = next;
        }
    }

    fn step(&mut self) -> Poll<Option<Answer>> {
        let mut context = nobody();
        let next = match &mut self.answer {
            Answer::Awaited(response) => match std::task::ready!(Pin::new(response).poll(&mut context)) {
                Ok(response) => {
                    self.begun = true;
                    Answer::Arriving(response.into_body())
                }
                Err(error) => Answer::failed(&error),
            },
            Answer::Arriving(body) => loop {
                match std::task::ready!(body.poll_data(&mut context)) {
                    Some(Ok(data)) => {
                        // It fails only for more than was received.
                        let _released = body.flow_control().release_capacity(data.len());
                    }
                    Some(Err(error)) => break Answer::failed(&error),
                    None => match std::task::ready!(body.poll_trailers(&mut context)) {
                        Ok(_) => break Answer::Whole,
                        Err(error) => break Answer::failed(&error),
                    },
                }
            },
            Answer::Whole | Answer::Cancelled | Answer::Rejected | Answer::Lost => return Poll::Ready(None),
        };
        Poll::Ready(Some(next))
    }
}

impl Answer {
    fn failed(error: &h2::Error) -> Self {
        if error.is_reset() && error.is_remote() { Self::Rejected } else { Self::Lost }
    }
}

/// Nobody is woken: after every change everything is looked at again.
fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What the library takes for its connection.
#[derive(Clone, Debug, Default)]
struct Wire(Rc<RefCell<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        let mut buffers = self.0.borrow_mut();
        let (first, _) = buffers.incoming.as_slices();
        let count = first.len().min(buffer.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&first[..count]);
        buffers.incoming.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<IoResult<usize>> {
        self.0.borrow_mut().outgoing.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<IoResult<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<IoResult<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SETTINGS without content; HEADERS of `:status: 200` (RFC 7541, index 8); DATA.
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HEADERS: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    const DATA: &[u8] = &[0, 0, 2, 0, 1, 0, 0, 0, 1, b'o', b'k'];
    const RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 2];

    #[test]
    fn each_stream_is_known() -> Result<()> {
        let mut session = Session::new()?;
        assert!(session.take_output().starts_with(b"PRI * HTTP/2.0"));
        session.receive(SETTINGS);
        for _ in 0..3 {
            session.ask(&Ask::get("/"))?;
        }
        session.receive(HEADERS);
        assert_eq!((session.begun(), session.answered()), (1, 0));
        session.receive(&DATA[..5]);
        session.receive(&DATA[5..]);
        session.receive(RESET);
        session.cancel(2);
        let counts = [session.begun(), session.answered(), session.rejected(), session.cancelled()];
        assert_eq!(counts, [0, 1, 1, 1]);
        Ok(())
    }
}
