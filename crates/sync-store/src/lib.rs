//! The SQLite file: outbox, mapping cache, projects, events; every SQL statement is here.
//!
//! [`Store::open`] gives a [`Store`], which is cheap to clone; its methods give a handle for each family of tables.
//! All writes go through one connection that commits what waits together; a call that returned `Ok` is on the disk.
//! Reads have connections of their own, which cannot write. Time is handed in; nothing here knows a clock.

mod apply;
mod aside;
mod ballast;
mod census;
mod enqueue;
mod error;
mod event;
mod gone;
mod legacy;
mod mapping;
mod meta;
mod migrate;
mod open;
mod outbox;
mod project;
mod reads;
mod room;
mod row;
mod salvage;
mod scope;
mod settle;
mod sql;
mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};
use sync_core::Timestamp;
use uuid::Uuid;

pub use apply::{Applied, Unsent};
pub use census::Census;
pub use enqueue::{Enqueued, How, Wish};
pub use error::Error;
pub use event::{Event, Events};
pub use legacy::{Aside, Heir, Legacy, OldQueue, OldRows, Taken, Trouble};
pub use mapping::{MappingCounts, Mappings};
pub use meta::Meta;
#[doc(hidden)]
pub use open::Durability;
pub use outbox::{Counts, EntryState, Outbox};
pub use project::{Filter, ProjectCounts, ProjectView, Projects, State};
pub use salvage::Carried;
pub use scope::Scopes;
pub use settle::SettleReport;
pub use upkeep::{Keep, Step, Upkeep};

use census::Known;
use writer::{Need, Running, Writer};

/// How much the store takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The largest number of entries that wait, over all scopes.
    pub max_items: u64,
}

/// A store, and what was found when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Where a database that could not be used was moved; the store is then a new one.
    pub set_aside: Option<PathBuf>,
    /// What was carried over from that one.
    pub carried: Carried,
    /// Whether the run before this one did not end with [`Store::close`].
    pub unclean: bool,
    /// The database's own id: another one means that everything in it is new.
    pub instance: Uuid,
}

/// What the writer did since the store was opened, and how it stands with the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Transactions that were committed.
    pub commits: u64,
    /// Calls that were part of them.
    pub jobs: u64,
    /// Since when nothing new is stored for want of room on the disk; `None` while there is room.
    pub disk_full_since: Option<Timestamp>,
    /// Whether room is kept for the case that the disk is full.
    pub ballast: bool,
    /// Rows of the outbox that were damaged and are gone: their projects have to be queued again.
    pub damaged_rows: u64,
    /// The length of the write-ahead log, in bytes. Over 16 MiB something keeps it from being moved into the file.
    pub log_bytes: u64,
}

/// The database of one daemon.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    limits: Limits,
    reads: SqlitePool,
    writer: Writer,
    known: Known,
}

impl Store {
    /// Opens the database at `path` or makes it. One that is damaged, empty though it was not, or another
    /// installation's is set aside under a name with `now` in it, and a damaged one's rows are carried over as far as
    /// they can be read and believed. `fresh_id` becomes the id of a new database.
    ///
    /// Only one process may do this at a time; the caller's lock sees to it.
    ///
    /// # Errors
    /// [`Error::Newer`] for a database of a newer version, which is not touched; [`Error::Full`]; [`Error::Busy`];
    /// [`Error::Other`] when the folder or the file cannot be used.
    pub async fn open(path: &Path, limits: Limits, now: Timestamp, fresh_id: Uuid) -> Result<Opened, Error> {
        Self::open_with(path, limits, Durability::Full, now, fresh_id).await
    }

    /// [`open`](Self::open) with a promise that can be weakened, so that a test can see itself fail.
    #[doc(hidden)]
    pub async fn open_with(
        path: &Path,
        limits: Limits,
        durability: Durability,
        now: Timestamp,
        fresh_id: Uuid,
    ) -> Result<Opened, Error> {
        let ready = open::open(path, durability, now, fresh_id).await.map_err(|error| error.in_file(path))?;
        let writer = Writer::start(ready.connection, ready.options, path.to_owned(), limits.max_items, now);
        let inner =
            Inner { file: path.to_owned(), limits, reads: ready.reads, writer, known: Known::default() };
        Ok(Opened {
            store: Self { inner: Arc::new(inner) },
            set_aside: ready.set_aside,
            carried: ready.carried,
            unclean: ready.unclean,
            instance: ready.instance,
        })
    }

    /// Finishes what was accepted, moves the log into the file and marks a clean end. Every other handle answers
    /// [`Error::Closed`] from now on.
    pub async fn close(self) -> Result<(), Error> {
        // Readers keep the log from being moved.
        self.inner.reads.close().await;
        self.inner.writer.close().await
    }

    /// Moves the write-ahead log into the file and empties it, as far as no reader holds it, and waits for none. Says
    /// whether it is empty.
    ///
    /// SQLite moves it by itself every 1,000 pages and keeps the log's 4 MB, and the file keeps its length. This gives
    /// them back: for the moment when the daemon has nothing due, some seconds after the last write, when a figure of
    /// [`log_bytes`](Figures::log_bytes) above zero says that there is something to move.
    pub async fn checkpoint(&self) -> Result<bool, Error> {
        self.inner.writer.checkpoint().await
    }

    /// The scopes.
    pub fn scope(&self) -> Scopes<'_> {
        Scopes { store: self }
    }

    /// The outbox.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { store: self }
    }

    /// The mappings.
    pub fn mapping(&self) -> Mappings<'_> {
        Mappings { store: self }
    }

    /// The projects.
    pub fn project(&self) -> Projects<'_> {
        Projects { store: self }
    }

    /// The events.
    pub fn event(&self) -> Events<'_> {
        Events { store: self }
    }

    /// The take-over of the old client's databases.
    pub fn legacy(&self) -> Legacy<'_> {
        Legacy { store: self }
    }

    /// Small facts by name.
    pub fn meta(&self) -> Meta<'_> {
        Meta { store: self }
    }

    /// The upkeep of the file.
    pub fn upkeep(&self) -> Upkeep<'_> {
        Upkeep { store: self }
    }

    /// What the writer did so far.
    pub fn figures(&self) -> Figures {
        let counters = self.inner.writer.figures();
        Figures {
            commits: counters.commits.load(Ordering::Relaxed),
            jobs: counters.jobs.load(Ordering::Relaxed),
            disk_full_since: counters.room.full_since(),
            ballast: counters.room.ballast(),
            damaged_rows: counters.damaged_rows.load(Ordering::Relaxed),
            log_bytes: counters.room.log_bytes(),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.inner.limits
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(crate) async fn read(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, Error> {
        let found = query.fetch_all(&mut *self.reader().await?).await;
        found.map_err(|error| self.noticed(error))
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, Error> {
        reads::acquire(&self.inner.reads).await.map_err(|error| self.noticed(error))
    }

    fn noticed(&self, error: sqlx::Error) -> Error {
        self.inner.writer.noticed(Error::from(error).in_file(&self.inner.file))
    }

    /// Reads what may be long, each row turned into what is kept of it as it comes: a row takes several times the room.
    pub(crate) async fn read_as<T: Send + Unpin>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        mut read: impl FnMut(&SqliteRow) -> T + Send,
    ) -> Result<Vec<T>, Error> {
        let mut connection = self.reader().await?;
        let found = query.map(move |row: SqliteRow| read(&row)).fetch_all(&mut *connection).await;
        found.map_err(|error| self.noticed(error))
    }

    /// As [`Self::read_as`], but a row that cannot be read is left out with a warning.
    pub(crate) async fn read_each<T: Send + Unpin>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        mut read: impl FnMut(&SqliteRow) -> Result<T, Error> + Send,
    ) -> Result<Vec<T>, Error> {
        let found = self.read_as(query, move |row| row::or_warn(read(row))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Writes what ends something or is small. When the disk is full it is done with the room kept for that.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, Result<T, Error>>
        + Clone
        + Send
        + 'static,
    ) -> Result<T, Error> {
        let written = match self.inner.writer.run(Need::Little, work.clone()).await {
            // The writer has freed what it kept.
            Err(Error::Full) => self.inner.writer.run(Need::Little, work).await,
            written => written,
        };
        written.map_err(|error| self.inner.writer.noticed(error.in_file(&self.inner.file)))
    }

    /// Writes what adds to what is stored, told at `now`. While the disk is full it is refused.
    pub(crate) async fn write_more<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Running<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.writer.figures().room.tell(now);
        let written = self.inner.writer.run(Need::More, work).await;
        written.map_err(|error| self.inner.writer.noticed(error.in_file(&self.inner.file)))
    }
}

/// Every statement of the daemon by file and name, for the test that keeps their query plans.
pub fn statements() -> Vec<(&'static str, &'static str, &'static str)> {
    [
        ("apply", apply::STATEMENTS),
        ("census", census::STATEMENTS),
        ("enqueue", enqueue::STATEMENTS),
        ("event", event::STATEMENTS),
        ("gone", gone::STATEMENTS),
        ("mapping", mapping::STATEMENTS),
        ("meta", meta::STATEMENTS),
        ("migrate", migrate::STATEMENTS),
        ("open", open::STATEMENTS),
        ("outbox", outbox::STATEMENTS),
        ("project", project::STATEMENTS),
        ("salvage", salvage::STATEMENTS),
        ("scope", scope::STATEMENTS),
        ("settle", settle::STATEMENTS),
        ("upkeep", upkeep::STATEMENTS),
        ("writer", writer::STATEMENTS),
    ]
    .into_iter()
    .chain(legacy::STATEMENTS_BY_FILE)
    .flat_map(|(file, statements)| statements.iter().map(move |(name, sql)| (file, *name, *sql)))
    .collect()
}
