//! Takes what can still be read out of a damaged database, and puts it into a new one.
//!
//! SQLite reads a damaged file from its root and gives up at the first page that does not fit. Here every page is read
//! by itself, so that what is lost is what was on the damaged pages and no more.

mod found;
mod pages;
mod record;

use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};
use sqlx::SqliteConnection;
use sync_core::Timestamp;

use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::sql::{Hex, json};
use found::Sound;
use pages::{PAGE, Pages, Use};
use record::Value;

pub(crate) use found::Found;

/// So many rows go into one statement.
const AT_ONCE: usize = 2_000;

/// What was carried over from a damaged database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// Entries of the outbox, whatever they wait for.
    pub entries: u64,
    /// Mappings.
    pub mappings: u64,
    /// Projects on record.
    pub projects: u64,
}

crate::sql::statements! {
    PUT_SCOPE = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into scope (id, origin, kind, tenant)
        select
            w.value ->> 0, cast(unhex(w.value ->> 1) as text), cast(unhex(w.value ->> 2) as text),
            cast(unhex(w.value ->> 3) as text)
        from w";
    PUT_META = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into meta (key, value)
        select cast(unhex(w.value ->> 0) as text), cast(unhex(w.value ->> 1) as text)
        from w";
    PUT_PROJECT = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into project (
            local, root, device, inode, vcs_device, vcs_inode, vcs, name, language, framework, content_hash, kind,
            parent, presence, asked, first_seen_at, seen_at, born, given
        )
        select
            unhex(w.value ->> 0), unhex(w.value ->> 1), w.value ->> 2, w.value ->> 3, w.value ->> 4, w.value ->> 5,
            cast(unhex(w.value ->> 6) as text), cast(unhex(w.value ->> 7) as text),
            cast(unhex(w.value ->> 8) as text), cast(unhex(w.value ->> 9) as text),
            cast(unhex(w.value ->> 10) as text), cast(unhex(w.value ->> 11) as text), unhex(w.value ->> 12),
            w.value ->> 13, w.value ->> 14, w.value ->> 15, w.value ->> 16, w.value ->> 17,
            iif(typeof(w.value ->> 18) = 'integer', w.value ->> 18, 0)
        from w";
    PUT_ENTRY = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into outbox (
            id, scope, operation, local, machine, name, root, language, framework, content_hash, kind, parent, hash,
            bytes, revision, asked, standing, attempts, due, enqueued_at, changed_at, failure_code, failure_message,
            failure_at
        )
        select
            w.value ->> 0, w.value ->> 1, w.value ->> 2, unhex(w.value ->> 3), unhex(w.value ->> 4),
            cast(unhex(w.value ->> 5) as text), unhex(w.value ->> 6), cast(unhex(w.value ->> 7) as text),
            cast(unhex(w.value ->> 8) as text), cast(unhex(w.value ->> 9) as text),
            cast(unhex(w.value ->> 10) as text), unhex(w.value ->> 11), unhex(w.value ->> 12), w.value ->> 13,
            w.value ->> 14, w.value ->> 15, w.value ->> 16, w.value ->> 17, w.value ->> 18, w.value ->> 19,
            w.value ->> 20, cast(unhex(w.value ->> 21) as text), cast(unhex(w.value ->> 22) as text),
            w.value ->> 23
        from w";
    PUT_MAPPING = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into mapping (
            scope, local, cloud, tenant, status, sent, revision, cached_at, expires_at, refresh_at
        )
        select
            w.value ->> 0, unhex(w.value ->> 1), unhex(w.value ->> 2), cast(unhex(w.value ->> 3) as text),
            cast(unhex(w.value ->> 4) as text), unhex(w.value ->> 5), w.value ->> 6, w.value ->> 7, w.value ->> 8,
            w.value ->> 9
        from w";
    PUT_DROPPED = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into dropped (scope, local)
        select w.value ->> 0, unhex(w.value ->> 1)
        from w";
    PUT_ASIDE = "\
        with w as materialized (select value from json_each(?1))
        insert or ignore into legacy_aside (id, file, item, operation, payload, reason, at)
        select
            w.value ->> 0, unhex(w.value ->> 1), unhex(w.value ->> 2), cast(unhex(w.value ->> 3) as text),
            unhex(w.value ->> 4), cast(unhex(w.value ->> 5) as text), w.value ->> 6
        from w";
    // Numbers that were given are not given again.
    FORGET_NUMBER = "delete from sqlite_sequence where name = ?1";
    SET_NUMBER = "insert into sqlite_sequence (name, seq) values (?1, ?2)";
}

/// Reads every page of `database` and of the `log` beside it.
///
/// # Errors
/// Only when the file cannot be opened at all.
pub(crate) fn read(database: &Path, log: &Path) -> io::Result<Found> {
    let pages = Pages::open(database, log)?;
    let uses = pages.uses();
    let mut found = Found::default();
    let mut page = [0; PAGE];
    // What certainly is there comes first: it may be found in an older form where the file does not say.
    for wanted in [Use::Live, Use::Unknown] {
        for number in pages.numbers() {
            if uses.get(number as usize) == Some(&wanted) && pages.read(number, &mut page) {
                for record in record::on_page(&pages, number, &page) {
                    found.take(record);
                }
            }
        }
    }
    Ok(found)
}

/// Writes what was found into a new database, in one commit.
pub(crate) async fn carry_over(
    connection: &mut SqliteConnection,
    found: Found,
    now: Timestamp,
) -> Result<Carried, Error> {
    let Sound { scopes, meta, projects, entries, mappings, dropped, asides, numbers } = found.sound(now);
    sqlx::query("begin immediate").execute(&mut *connection).await?;
    put(connection, PUT_SCOPE, &scopes).await?;
    put(connection, PUT_META, &meta).await?;
    let carried = Carried {
        entries: put(connection, PUT_ENTRY, &entries).await?,
        mappings: put(connection, PUT_MAPPING, &mappings).await?,
        projects: put(connection, PUT_PROJECT, &projects).await?,
    };
    put(connection, PUT_DROPPED, &dropped).await?;
    put(connection, PUT_ASIDE, &asides).await?;
    for (table, number) in &numbers {
        sqlx::query(FORGET_NUMBER).bind(table).execute(&mut *connection).await?;
        sqlx::query(SET_NUMBER).bind(table).bind(number).execute(&mut *connection).await?;
    }
    let message = format!(
        "the database was damaged and is a new one; {} waiting entries, {} mappings and {} projects were carried over",
        carried.entries, carried.mappings, carried.projects
    );
    event::append(connection, &[NewEvent::new("database.rebuilt", None, message, now)]).await?;
    sqlx::query("commit").execute(&mut *connection).await?;
    Ok(carried)
}

async fn put(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: &[Vec<Value>],
) -> Result<u64, Error> {
    let mut written = 0;
    for some in rows.chunks(AT_ONCE) {
        written += sqlx::query(statement).bind(json(some)?).execute(&mut *connection).await?.rows_affected();
    }
    Ok(written)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => Hex::of(text).serialize(serializer),
            Self::Blob(bytes) => Hex::of(bytes).serialize(serializer),
        }
    }
}
