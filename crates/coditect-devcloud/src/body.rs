//! A body on its way out: whole, trickling, or cut off.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long a cut-off body waits before its connection is closed, so that what was sent is on its way.
const BEFORE_THE_CUT: Duration = Duration::from_millis(20);
/// How often a trickling body moves where it is faster than a byte in that time.
const TICK_MS: u64 = 50;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Outgoing {
    rest: Bytes,
    bytes_per_second: Option<u64>,
    cut_after: Option<usize>,
    pause: Option<Pin<Box<Sleep>>>,
}

/// The connection is to be cut instead of answered.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut the connection on demand")
    }
}

impl std::error::Error for Cut {}

impl Outgoing {
    pub(crate) fn new(body: Bytes, bytes_per_second: Option<u64>, cut_after: Option<usize>) -> Self {
        // A body that is shorter than the cut arrives whole.
        let cut_after = cut_after.filter(|bytes| *bytes < body.len());
        // The head is sent before a body that ends before it begins.
        let pause = (cut_after == Some(0)).then(|| Box::pin(sleep(BEFORE_THE_CUT)));
        Self { rest: body, bytes_per_second, cut_after, pause }
    }

    /// How much goes out at once, and how long to wait after it.
    fn step(&self) -> (usize, Option<Duration>) {
        let Some(speed) = self.bytes_per_second else { return (self.rest.len(), None) };
        let bytes = (speed * TICK_MS / 1000).max(1);
        let pause = Duration::from_millis(bytes.saturating_mul(1000) / speed.max(1));
        (usize::try_from(bytes).unwrap_or(usize::MAX), Some(pause))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.cut_after == Some(0) {
            return Poll::Ready(Some(Err(Cut)));
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let (step, mut pause) = self.step();
        let length = step.min(self.rest.len()).min(self.cut_after.unwrap_or(usize::MAX));
        let frame = self.rest.split_to(length);
        if let Some(left) = &mut self.cut_after {
            *left -= length;
            if *left == 0 {
                pause = Some(BEFORE_THE_CUT);
            }
        }
        self.pause = pause.map(|pause| Box::pin(sleep(pause)));
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.cut_after.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
