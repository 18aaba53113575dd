//! A client's socket as the HTTP library sees it: with a limit on writing, and without that library's last words.
//!
//! A request that is no HTTP is answered by the library with a bare status. That answer is held back here, so that
//! the connection can say what was wrong.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::limits;
use super::peer::Peer;

/// How much of a head is read at a time, so that one beyond the limit is not read much beyond it.
const HEAD_PIECE: usize = 1024;

/// Where a connection stands, for those who cannot see into the HTTP library.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// A request's head has been read and its answer is being made.
    pub(super) answering: AtomicBool,
    /// The client takes the answer more slowly than it is written.
    pub(super) writing: AtomicBool,
    /// The answer has no end of its own: its reader comes back and goes on.
    pub(super) endless: AtomicBool,
    /// A request was refused while it may still have been on its way.
    pub(super) unread: AtomicBool,
}

/// A socket with the limits of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Peer,
    turn: Arc<Turn>,
    stalled: Option<Pin<Box<Sleep>>>,
    refused: Option<StatusCode>,
}

impl Stream {
    /// A client's socket, and where its connection is to be noted.
    pub(super) fn new(socket: Peer, turn: Arc<Turn>) -> Self {
        Self { socket, turn, stalled: None, refused: None }
    }

    /// The socket, and the status with which the library meant to refuse what it could not read.
    pub(super) fn into_parts(self) -> (Peer, Option<StatusCode>) {
        (self.socket, self.refused)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.answering.load(Ordering::Relaxed) || buffer.remaining() <= HEAD_PIECE {
            return Pin::new(&mut self.socket).poll_read(cx, buffer);
        }
        let mut piece = [0; HEAD_PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        let polled = Pin::new(&mut self.socket).poll_read(cx, &mut piece);
        buffer.put_slice(piece.filled());
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(status) = automatic_refusal(bytes) {
            self.refused = Some(status);
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.turn.writing.store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limits::WRITE_TIME)));
        if stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The status of an answer that none of our handlers made: all of theirs that refuse have a body with a type.
fn automatic_refusal(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let typed = bytes.windows(13).any(|window| window.eq_ignore_ascii_case(b"content-type:"));
    (status.first() == Some(&b'4') && !typed).then(|| StatusCode::from_bytes(status).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_refusals_are_held_back() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], Some(StatusCode::BAD_REQUEST)),
            (b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n\r\n", None),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
            (b"HTTP/1.1 4", None),
            (b"400", None),
        ] {
            assert_eq!(automatic_refusal(bytes), expected);
        }
    }
}
