//! A stream that gives up at a moment, however the bytes before it trickled in.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The present moment, for deadlines only.
#[expect(
    clippy::disallowed_methods,
    reason = "a client measures its own patience; there is no daemon's clock in its process"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A stream with a deadline for its first byte, and from then on one for the whole.
#[derive(Debug)]
pub(super) struct Patient {
    stream: UnixStream,
    deadline: Instant,
    whole: Duration,
    heard: bool,
}

impl Patient {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, deadline: now(), whole: Duration::ZERO, heard: false }
    }

    /// Begins an exchange: something must be heard before `first_byte`, and all of it within `whole` from then on.
    pub(super) fn begin(&mut self, first_byte: Instant, whole: Duration) {
        (self.deadline, self.whole, self.heard) = (first_byte, whole, false);
    }

    /// Whether anything was heard since the exchange began.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl AsFd for Patient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let count = self.stream.read(buffer).map_err(as_timeout)?;
        if count > 0 && !self.heard {
            self.heard = true;
            self.deadline = now() + self.whole;
        }
        Ok(count)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The system says "would block" for a timeout that has passed.
fn as_timeout(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}
