//! A named signal that carries nothing: whoever changed the truth commits first and wakes second.

use tokio::sync::Notify;

/// Wakes one loop. A wake that comes while the loop is busy is kept, several become one.
#[derive(Debug)]
pub(crate) struct Wake {
    name: &'static str,
    notify: Notify,
}

impl Wake {
    /// A wake for the loop of this name.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, notify: Notify::new() }
    }

    /// Wakes the loop.
    pub(crate) fn wake(&self) {
        tracing::trace!(wake = self.name, "woken");
        self.notify.notify_one();
    }

    /// Waits to be woken; cancel-safe.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}
