//! Takes over the databases of the old client: its queue row by row, its cache as mappings.
//!
//! A row of the queue becomes ours in one commit with a note of it, then leaves its table, then the note goes: whoever
//! is killed in between finds the note and only does the rest. Rows that say nothing that could be kept are set aside
//! with the reason. Rows of the cache stay where they are and are noted for good.
//!
//! Only one take-over may run at a time; the caller sees to it.

mod believe;
mod cache;
mod file;
mod keep;
mod moment;
mod note;
mod payload;
mod queue;
mod record;
mod rule;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sync_core::{MachineId, Scope, ScopeId, Timestamp};

use crate::Store;
use crate::error::Error;
use crate::row::{self, Columns};
use crate::sql::path_of;

pub use file::Trouble;
pub use queue::{OldQueue, OldRows};

use cache::OldCache;

/// The take-over.
#[derive(Clone, Copy, Debug)]
pub struct Legacy<'s> {
    pub(crate) store: &'s Store,
}

/// To whom what is taken belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heir {
    /// The scope that applies now.
    pub scope: Scope,
    /// Its number.
    pub id: ScopeId,
    /// This machine.
    pub machine: MachineId,
}

/// What taking over came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Rows of the queue that are ours now.
    pub rows: u64,
    /// Projects they are about that the cloud is to be told of.
    pub wishes: u64,
    /// Mappings that are ours now.
    pub mappings: u64,
    /// Rows that say nothing that could be kept.
    pub aside: u64,
    /// Why the first of them were set aside.
    pub reasons: Vec<String>,
    /// Rows for which there is no room, or for which it is not known yet whose they are.
    pub left: u64,
    /// What was in the way, if anything was. What was taken before stays taken.
    pub trouble: Option<Trouble>,
}

impl Taken {
    /// Whether anything was taken.
    pub fn is_something(&self) -> bool {
        self.rows + self.mappings + self.aside > 0
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.wishes += other.wishes;
        self.mappings += other.mappings;
        self.aside += other.aside;
        let room = note::MOST_REASONS.saturating_sub(self.reasons.len());
        self.reasons.extend(other.reasons.iter().take(room).cloned());
        self.left += other.left;
    }
}

/// A row that says nothing that could be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aside {
    /// The database it is from.
    pub file: PathBuf,
    /// The operation it names.
    pub operation: String,
    /// How its payload begins.
    pub payload: Vec<u8>,
    /// What is wrong with it, as a sentence about it.
    pub reason: String,
    /// When it was set aside.
    pub at: Timestamp,
}

crate::sql::statements! {
    ASIDE = "\
        select id, file, operation, payload, reason, at
        from legacy_aside
        order by id desc
        limit +?1";
}

/// Every statement of the take-over by file and name.
pub(crate) const STATEMENTS_BY_FILE: [(&str, &[(&str, &str)]); 8] = [
    ("legacy", STATEMENTS),
    ("legacy_believe", believe::STATEMENTS),
    ("legacy_cache", cache::STATEMENTS),
    ("legacy_file", file::STATEMENTS),
    ("legacy_keep", keep::STATEMENTS),
    ("legacy_note", note::STATEMENTS),
    ("legacy_queue", queue::STATEMENTS),
    ("legacy_record", record::STATEMENTS),
];

impl Legacy<'_> {
    /// Takes over the queue in the database at `path`, batch by batch, while `go_on` says so.
    ///
    /// A queue that cannot be written to is taken all the same, and what was taken of it stays noted.
    ///
    /// # Errors
    /// When our own database fails; trouble with the old one is part of the answer.
    pub async fn take_queue(
        self,
        path: &Path,
        heir: &Heir,
        now: Timestamp,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        let mut queue = match OldQueue::open(path).await {
            Ok(Some(queue)) => queue,
            Ok(None) => return Ok(taken),
            Err(trouble) => return Ok(Taken { trouble: Some(trouble), ..taken }),
        };
        let outcome = self.take_rows(&mut queue, heir, now, go_on, &mut taken).await;
        queue.close().await;
        outcome.map(|()| taken)
    }

    async fn take_rows(
        self,
        queue: &mut OldQueue,
        heir: &Heir,
        now: Timestamp,
        go_on: &(dyn Fn() -> bool + Sync),
        taken: &mut Taken,
    ) -> Result<(), Error> {
        let mut after = i64::MIN;
        while go_on() {
            let rows = match queue.rows(after).await {
                Ok(rows) => rows,
                Err(trouble) => {
                    taken.trouble = Some(trouble);
                    return Ok(());
                }
            };
            if rows.rows.is_empty() {
                if taken.left == 0 && taken.trouble.is_none() {
                    self.forget_file(&rows).await?;
                }
                return Ok(());
            }
            after = rows.last();
            let (kept, one) = self.keep(rows, heir, now).await?;
            taken.add(&one);
            match queue.remove(&kept).await {
                Ok(()) => self.forget(&kept).await?,
                // What is noted is passed over next time.
                Err(trouble) => taken.trouble = Some(trouble),
            }
        }
        Ok(())
    }

    /// Makes rows ours that are not yet, in one commit with a note of each. Returns those that may leave their table.
    pub async fn keep(self, rows: OldRows, heir: &Heir, now: Timestamp) -> Result<(OldRows, Taken), Error> {
        let heir = heir.clone();
        let limit = self.store.limits().max_items;
        self.store
            .write_more(now, move |connection| {
                Box::pin(async move { keep::rows(connection, rows, &heir, limit, now).await })
            })
            .await
    }

    /// Forgets the notes of rows that have left their table.
    pub async fn forget(self, rows: &OldRows) -> Result<(), Error> {
        let (file, items) = (rows.file, note::items(rows));
        if items.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |connection| Box::pin(async move { note::forget(connection, file, &items).await }))
            .await
    }

    /// Forgets what an earlier take-over noted of a queue that is empty.
    async fn forget_file(self, rows: &OldRows) -> Result<(), Error> {
        let file = rows.file;
        if self.store.read(note::noted_any(file)).await?.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |connection| Box::pin(async move { note::forget_all(connection, file).await }))
            .await
    }

    /// Takes over the cache in the database at `path`: what its rows say becomes mappings of their tenants, believed
    /// for `life` at most, where we have none.
    ///
    /// # Errors
    /// When our own database fails; trouble with the old one is part of the answer.
    pub async fn take_cache(
        self,
        path: &Path,
        heir: &Heir,
        life: Duration,
        dice: u64,
        now: Timestamp,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        let mut cache = match OldCache::open(path).await {
            Ok(Some(cache)) => cache,
            Ok(None) => return Ok(taken),
            Err(trouble) => return Ok(Taken { trouble: Some(trouble), ..taken }),
        };
        let mut after = i64::MIN;
        let outcome = loop {
            if !go_on() {
                break Ok(());
            }
            let rows = match cache.rows(after).await {
                Ok(rows) => rows,
                Err(trouble) => {
                    taken.trouble = Some(trouble);
                    break Ok(());
                }
            };
            let Some(last) = rows.last else { break Ok(()) };
            after = last;
            let heir = heir.clone();
            let kept = self
                .store
                .write_more(now, move |connection| {
                    Box::pin(async move { believe::mappings(connection, rows, &heir, life, dice, now).await })
                })
                .await;
            match kept {
                Ok(one) => taken.add(&one),
                Err(error) => break Err(error),
            }
        };
        cache.close().await;
        outcome.map(|()| taken)
    }

    /// The rows that were set aside, the newest first, at most `limit`.
    pub async fn aside(self, limit: u32) -> Result<Vec<Aside>, Error> {
        let found = self.store.read(sqlx::query(ASIDE).bind(i64::from(limit))).await?;
        found
            .iter()
            .map(|found| {
                let mut columns = Columns::new(found, 1, "legacy_aside", row::number(found, 0).to_string());
                Ok(Aside {
                    file: path_of(columns.take("file")?),
                    operation: columns.take("operation")?,
                    payload: columns.take("payload")?,
                    reason: columns.take("reason")?,
                    at: columns.time("at")?,
                })
            })
            .collect()
    }
}
