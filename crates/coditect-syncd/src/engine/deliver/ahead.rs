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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sync_core::{Asked, LocalId, MachineId, ProjectKind, Registration, Scope, Tenant};
    use sync_store::{Limits, Wish};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn wish(number: u128) -> Wish {
        let registration = Registration {
            local: LocalId(Uuid::from_u128(number)),
            machine: MachineId(Uuid::from_u128(99)),
            name: number.to_string(),
            root: PathBuf::from(format!("/p/{number}")),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
        };
        Wish { registration, asked: Asked::ByUser, force: false }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_was_read_ahead_counts_only_while_nothing_else_has_changed() {
        let home = tempfile::tempdir().unwrap();
        let limits = Limits { max_items: 100 };
        let opened =
            Store::open(&home.path().join("sync.db"), limits, NOW, Uuid::from_u128(7)).await.unwrap();
        let store = opened.store;
        let scope = Scope { origin: "https://cloud.invalid".to_owned(), tenant: Tenant::Opaque };
        let scope = store.scope().ensure(&scope).await.unwrap();
        store.outbox().enqueue(scope, vec![wish(1), wish(2), wish(3)], NOW).await.unwrap();
        let heads = store.outbox().heads(scope, NOW, 1, &[]).await.unwrap();
        let flying = vec![heads[0].id];
        let rest: Vec<EntryId> = store
            .outbox()
            .heads(scope, NOW, 9, &flying)
            .await
            .unwrap()
            .iter()
            .map(|entry| entry.id)
            .collect();
        let begin = || Ahead::begin(&store, scope, NOW, 9, flying.clone());
        // One commit, as settling the flight is one.
        let settle = || store.outbox().drop_entries(&flying);

        let ahead = begin();
        settle().await.unwrap();
        let read = ahead.entries(&store, scope, 9).await.expect("nothing else changed");
        assert_eq!(read.iter().map(|entry| entry.id).collect::<Vec<_>>(), rest);

        // Not settled yet, as when a flight is given up.
        assert!(begin().entries(&store, scope, 9).await.is_none());
        // Somebody else's commit beside it.
        let ahead = begin();
        settle().await.unwrap();
        store.outbox().enqueue(scope, vec![wish(4)], NOW).await.unwrap();
        assert!(ahead.entries(&store, scope, 9).await.is_none());
        // Another question.
        let ahead = begin();
        settle().await.unwrap();
        assert!(ahead.entries(&store, scope, 8).await.is_none());
    }
}
