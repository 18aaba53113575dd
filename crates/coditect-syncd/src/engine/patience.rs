//! How long somebody waits for what was asked.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

/// For so long at most, and no longer than somebody is there. What was asked is done all the same.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    limit: Duration,
    gone: Shared<BoxFuture<'static, ()>>,
}

impl Patience {
    /// At most for `limit`, and only until `gone`.
    pub(crate) fn new(limit: Duration, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { limit, gone: gone.boxed().shared() }
    }

    /// Whether nothing is waited for.
    pub(super) fn is_none(&self) -> bool {
        self.limit.is_zero()
    }

    /// The moment at which what begins now ends.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// The same with what is left of it.
    pub(super) fn until(&self, deadline: Instant) -> Self {
        Self { limit: deadline.saturating_duration_since(Instant::now()), gone: self.gone.clone() }
    }

    /// Waits until it is over.
    pub(super) async fn over(self) {
        tokio::select! {
            () = tokio::time::sleep(self.limit) => {}
            () = self.gone => {}
        }
    }
}

impl From<Duration> for Patience {
    fn from(limit: Duration) -> Self {
        Self::new(limit, std::future::pending())
    }
}
