//! The two levels of stopping, which can be asked at any time: finish what you have, and drop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Asked by everything that lives long.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    finish: CancellationToken,
    drop: CancellationToken,
    /// For work on blocking threads, which looks at it between two steps.
    flag: Arc<AtomicBool>,
    /// Why the service manager is to start the daemon again.
    again: Arc<OnceLock<String>>,
}

impl Stop {
    /// Nothing new is begun, what is in progress ends.
    pub(crate) fn finish(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.finish.cancel();
    }

    /// As [`Self::finish`], and the daemon is to be started again afterwards.
    pub(crate) fn start_again(&self, why: impl Into<String>) {
        let why = self.again.get_or_init(|| why.into());
        tracing::info!("stopping, to be started again: {why}");
        self.finish();
    }

    /// Why the daemon is to be started again.
    pub(crate) fn again(&self) -> Option<&str> {
        self.again.get().map(String::as_str)
    }

    /// What is in progress is dropped too.
    pub(crate) fn drop_everything(&self) {
        self.finish();
        self.drop.cancel();
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_finishing(&self) -> bool {
        self.finish.is_cancelled()
    }

    /// Waits for the first level; cancel-safe.
    pub(crate) async fn finishing(&self) {
        self.finish.cancelled().await;
    }

    /// Waits for the second level; cancel-safe.
    pub(crate) async fn dropping(&self) {
        self.drop.cancelled().await;
    }

    /// The first level as a token, for the control server.
    pub(crate) fn finish_token(&self) -> CancellationToken {
        self.finish.clone()
    }

    /// The second level as a token.
    pub(crate) fn drop_token(&self) -> CancellationToken {
        self.drop.clone()
    }

    /// The first level as a flag, for blocking work.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}
