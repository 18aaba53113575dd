//! A client's socket: its connection reads and writes it, and whoever answers the client hears when it has gone.
//!
//! A client may end its own half and still wait for the answer, as `nc -N` does. One that has gone has closed both halves,
//! which the HTTP library does not notice before it writes.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tracing::debug;

/// A client's socket; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Peer(Arc<UnixStream>);

impl Peer {
    /// The client at the other end of a socket.
    pub(super) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(socket))
    }

    /// Waits until the client has closed both halves; for ever where that cannot be told. It takes a descriptor, from its
    /// first poll on.
    pub(super) async fn gone(&self) {
        if let Err(error) = self.closed().await {
            debug!(%error, "whether a client is still there cannot be told");
            std::future::pending::<()>().await;
        }
    }

    async fn closed(&self) -> io::Result<()> {
        // Watched apart from the connection, which has to be told again of what is forgotten here.
        let watched = std::os::unix::net::UnixStream::from(self.0.as_fd().try_clone_to_owned()?);
        let watched = UnixStream::from_std(watched)?;
        // Nothing more can be written to who has closed both halves, and to nobody else.
        while !watched.ready(Interest::WRITABLE).await?.is_write_closed() {
            let forgotten =
                watched.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            debug_assert!(forgotten.is_err(), "it does nothing else");
        }
        Ok(())
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(rustix::net::shutdown(&*self.0, Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_closes_one_half_is_still_there_and_who_closes_both_has_gone() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut peer = Peer::new(ours);
        let mut gone = Box::pin({
            let peer = peer.clone();
            async move { peer.gone().await }
        });
        theirs.write_all(b"a question").await.expect("written");
        theirs.shutdown().await.expect("shut down");
        let mut read = String::new();
        peer.read_to_string(&mut read).await.expect("read");
        assert_eq!(read, "a question");
        peer.write_all(b"an answer").await.expect("written");
        let mut read = [0; 9];
        theirs.read_exact(&mut read).await.expect("read");
        assert_eq!((&read, gone.as_mut().now_or_never()), (b"an answer", None));
        drop(theirs);
        gone.await;
    }
}
