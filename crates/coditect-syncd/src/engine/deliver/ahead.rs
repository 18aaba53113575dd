//! The next flight's entries, read while the flight before them is in the air.
//!
//! They count only if nothing but that flight's own settling has changed the database since; otherwise the queue is
//! looked at again, as if nobody had read ahead. Knows nothing of what is sent.

use sync_core::{Entry, EntryId, ScopeId, Timestamp};
use sync_store::Store;
use tokio::task::JoinSet;

/// A look at the queue that is under way.
pub(super) struct Ahead {
    scope: ScopeId,
    limit: u32,
    /// What the store had done when it began.
    done: u64,
    // One task, ended when this is dropped.
    reading: JoinSet<Result<Vec<Entry>, sync_store::Error>>,
}

impl Ahead {
    /// Begins to read the entries after those of `flying`.
    pub(super) fn begin(
        store: &Store,
        scope: ScopeId,
        now: Timestamp,
        limit: u32,
        flying: Vec<EntryId>,
    ) -> Self {
        let done = store.figures().jobs;
        let store = store.clone();
        let mut reading = JoinSet::new();
        reading.spawn(async move { store.outbox().heads(scope, now, limit, &flying).await });
        Self { scope, limit, done, reading }
    }

    /// What was read, if it is what a look with this scope and limit would find now. One commit is allowed for: that
    /// which settled the flight.
    pub(super) async fn entries(mut self, store: &Store, scope: ScopeId, limit: u32) -> Option<Vec<Entry>> {
        if (self.scope, self.limit) != (scope, limit) {
            return None;
        }
        let read = self.reading.join_next().await?;
        let is_current = store.figures().jobs == self.done + 1;
        // Why it could not be read shows when it is read again.
        read.ok()?.ok().filter(|entries| is_current && !entries.is_empty())
    }
}
