//! What happened, numbered: every change that a person or a tool may follow.
//!
//! Events are written in the commit of what they tell.

use serde::Serialize;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use sync_core::{LocalId, Timestamp};

use crate::Store;
use crate::error::Error;
use crate::row::{self, Columns};
use crate::sql::{Hex, json};

/// The events' table.
#[derive(Clone, Copy, Debug)]
pub struct Events<'s> {
    pub(crate) store: &'s Store,
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its number; grows, and is never used twice.
    pub id: i64,
    /// When it was written.
    pub at: Timestamp,
    /// A stable word, for example `registration.delivered`.
    pub kind: String,
    /// The project it is about, if it is about one.
    pub local: Option<LocalId>,
    /// For people.
    pub message: String,
}

/// Leaves room for as many events as there ever are below the numbers that are believed of a damaged database, and those
/// that JSON's readers know exactly.
const MOST_AT_FIRST: i64 = 1 << 47;

crate::sql::statements! {
    SINCE = "\
        select id, at, kind, local, message
        from event
        where id > ?1
        order by id
        limit +?2";
    // Also where the newest one is not kept, or there is none yet.
    LATEST = "select seq from sqlite_sequence where name = 'event'";
    BEGIN = "insert into sqlite_sequence (name, seq) values ('event', ?1)";
    pub(crate) APPEND = "\
        with w as materialized (select key, value from json_each(?1))
        insert into event (at, kind, local, message)
        select
            w.value ->> 'at', w.value ->> 'kind', unhex(w.value ->> 'local'),
            cast(unhex(w.value ->> 'message') as text)
        from w
        order by w.key";
    // Both ends are found without a walk.
    HELD = "select coalesce((select max(id) from event) - (select min(id) from event) + 1, 0)";
    TRIM = "\
        delete from event
        where id <= (select max(id) from event) - ?1 and id < (select min(id) from event) + ?2";
}

impl Events<'_> {
    /// The events after number `id`, oldest first, at most `limit`. A row that cannot be read is left out with a warning.
    pub async fn since(self, id: i64, limit: u32) -> Result<Vec<Event>, Error> {
        let query = sqlx::query(SINCE).bind(id).bind(i64::from(limit));
        self.store.read_each(query, happened).await
    }

    /// The newest event's number, or the one before the first.
    pub async fn latest(self) -> Result<i64, Error> {
        let rows = self.store.read(sqlx::query(LATEST)).await?;
        Ok(rows.first().map_or(0, |found| row::number(found, 0)))
    }

    /// Writes an event that belongs to no other change.
    pub async fn add(
        self,
        kind: &'static str,
        local: Option<LocalId>,
        message: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        let event = NewEvent::new(kind, local, message, now);
        self.store.write(move |connection| Box::pin(async move { append(connection, &[event]).await })).await
    }

    /// Keeps the newest `keep` events; at most `most` of the others go at once, the oldest. Says how many went.
    pub async fn trim(self, keep: u32, most: u32) -> Result<u64, Error> {
        let held = self.store.read(sqlx::query(HELD)).await?;
        if held.first().is_none_or(|found| row::number(found, 0) <= i64::from(keep)) {
            return Ok(0);
        }
        self.store
            .write(move |connection| {
                Box::pin(async move {
                    let query = sqlx::query(TRIM).bind(i64::from(keep)).bind(i64::from(most));
                    Ok(query.execute(connection).await?.rows_affected())
                })
            })
            .await
    }
}

/// An event as it travels to its statement.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct NewEvent {
    at: i64,
    kind: &'static str,
    local: Option<Hex>,
    message: Hex,
}

impl NewEvent {
    pub(crate) fn new(kind: &'static str, local: Option<LocalId>, message: String, now: Timestamp) -> Self {
        Self {
            at: now.0,
            kind,
            local: local.map(|local| Hex::of(local.0)),
            message: Hex(message.into_bytes()),
        }
    }
}

/// Begins the numbers of a new database above all that one before it can have given, so that whoever has such a number is
/// told of what is missing: a number for each millisecond is more than there are events.
pub(crate) async fn begin(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(BEGIN).bind(now.0.clamp(0, MOST_AT_FIRST)).execute(connection).await?;
    Ok(())
}

fn happened(found: &SqliteRow) -> Result<Event, Error> {
    let mut columns = Columns::new(found, 0, "event", row::number(found, 0).to_string());
    Ok(Event {
        id: columns.take("id")?,
        at: columns.time("at")?,
        kind: columns.take("kind")?,
        local: columns.optional_uuid("local")?.map(LocalId),
        message: columns.take("message")?,
    })
}

/// Writes events into the transaction that is open.
pub(crate) async fn append(connection: &mut SqliteConnection, events: &[NewEvent]) -> Result<(), Error> {
    if !events.is_empty() {
        sqlx::query(APPEND).bind(json(events)?).execute(connection).await?;
    }
    Ok(())
}
