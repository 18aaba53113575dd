//! Notes of what was taken, and what is set aside.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};
use sync_core::Timestamp;
use uuid::Uuid;

use super::queue::{OldRow, OldRows};
use crate::error::Error;
use crate::event::NewEvent;
use crate::row::Columns;
use crate::sql::{Hex, json, path_bytes};

/// So many rows stay set aside, the newest.
const MOST_ASIDE: i64 = 1_000;
/// So much of a payload is kept of those.
const LONGEST_ASIDE: usize = 8 * 1024;
/// So many reasons stand in one event, and in one line of the log.
pub(super) const MOST_REASONS: usize = 3;

crate::sql::statements! {
    NOTED = "\
        select t.item, t.content
        from json_each(?2) as w
        cross join legacy_taken t on t.file = ?1 and t.item = unhex(w.value)";
    NOTED_ANY = "select 1 from legacy_taken where file = ?1 limit 1";
    NOTE = "\
        with w as materialized (select value from json_each(?2))
        insert into legacy_taken (file, item, content)
        select ?1, unhex(w.value ->> 'item'), unhex(w.value ->> 'content')
        from w
        where true
        on conflict (file, item) do update set content = excluded.content";
    FORGET = "delete from legacy_taken where file = ?1 and item in (select unhex(value) from json_each(?2))";
    FORGET_ALL = "delete from legacy_taken where file = ?1";
    PUT_ASIDE = "\
        with w as materialized (select key, value from json_each(?1))
        insert into legacy_aside (file, item, operation, payload, reason, at)
        select
            unhex(w.value ->> 'file'), unhex(w.value ->> 'item'), cast(unhex(w.value ->> 'operation') as text),
            unhex(w.value ->> 'payload'), cast(unhex(w.value ->> 'reason') as text), w.value ->> 'at'
        from w
        order by w.key";
    TRIM_ASIDE = "delete from legacy_aside where id <= (select max(id) from legacy_aside) - ?1";
}

/// A note as it travels to [`NOTE`].
#[derive(Serialize)]
pub(super) struct Note {
    item: Hex,
    content: Hex,
}

impl Note {
    pub(super) fn new(item: Vec<u8>, content: Uuid) -> Self {
        Self { item: Hex(item), content: Hex::of(content) }
    }
}

pub(super) fn item(number: i64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The rows as notes name them.
pub(super) fn items(rows: &OldRows) -> Vec<Vec<u8>> {
    rows.rows.iter().map(|row| item(row.number)).collect()
}

/// What is noted of these rows.
pub(super) async fn noted(
    connection: &mut SqliteConnection,
    file: Uuid,
    items: impl Iterator<Item = Vec<u8>>,
) -> Result<BTreeMap<Vec<u8>, Uuid>, Error> {
    let items: Vec<Hex> = items.map(Hex).collect();
    let query = sqlx::query(NOTED).bind(file.as_bytes().to_vec()).bind(json(&items)?);
    let mut noted = BTreeMap::new();
    for found in query.fetch_all(connection).await? {
        let mut columns = Columns::new(&found, 0, "legacy_taken", file.to_string());
        noted.insert(columns.take("item")?, columns.uuid("content")?);
    }
    Ok(noted)
}

pub(super) async fn add(connection: &mut SqliteConnection, file: Uuid, notes: &[Note]) -> Result<(), Error> {
    if !notes.is_empty() {
        sqlx::query(NOTE).bind(file.as_bytes().to_vec()).bind(json(notes)?).execute(connection).await?;
    }
    Ok(())
}

pub(super) fn noted_any(file: Uuid) -> Query<'static, Sqlite, SqliteArguments> {
    sqlx::query(NOTED_ANY).bind(file.as_bytes().to_vec())
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    file: Uuid,
    items: &[Vec<u8>],
) -> Result<(), Error> {
    let items: Vec<Hex> = items.iter().map(Hex::of).collect();
    sqlx::query(FORGET).bind(file.as_bytes().to_vec()).bind(json(&items)?).execute(connection).await?;
    Ok(())
}

pub(super) async fn forget_all(connection: &mut SqliteConnection, file: Uuid) -> Result<(), Error> {
    sqlx::query(FORGET_ALL).bind(file.as_bytes().to_vec()).execute(connection).await?;
    Ok(())
}

/// A row that is set aside, as it travels to [`PUT_ASIDE`].
#[derive(Serialize)]
pub(super) struct AsideRow {
    file: Hex,
    item: Hex,
    operation: Hex,
    payload: Hex,
    reason: Hex,
    at: i64,
}

impl AsideRow {
    pub(super) fn new(
        path: &Path,
        item: &[u8],
        operation: &str,
        payload: &[u8],
        reason: &str,
        now: Timestamp,
    ) -> Self {
        let payload = payload.get(..LONGEST_ASIDE).unwrap_or(payload);
        Self {
            file: Hex::of(path_bytes(path)),
            item: Hex::of(item),
            operation: Hex::of(operation),
            payload: Hex::of(payload),
            reason: Hex::of(reason),
            at: now.0,
        }
    }
}

pub(super) async fn set_aside(
    connection: &mut SqliteConnection,
    path: &Path,
    rows: &[(OldRow, String)],
    now: Timestamp,
) -> Result<(), Error> {
    let rows: Vec<AsideRow> = rows
        .iter()
        .map(|(row, reason)| {
            let payload = row.payload.as_deref().unwrap_or_default();
            AsideRow::new(path, &item(row.number), &row.operation, payload, reason, now)
        })
        .collect();
    put_aside(connection, &rows).await
}

pub(super) async fn put_aside(connection: &mut SqliteConnection, rows: &[AsideRow]) -> Result<(), Error> {
    if !rows.is_empty() {
        sqlx::query(PUT_ASIDE).bind(json(rows)?).execute(&mut *connection).await?;
        sqlx::query(TRIM_ASIDE).bind(MOST_ASIDE).execute(connection).await?;
    }
    Ok(())
}

/// Why the first rows say nothing that could be kept.
pub(super) fn reasons(rows: &[(OldRow, String)]) -> Vec<String> {
    rows.iter().take(MOST_REASONS).map(|(row, reason)| format!("row {}: {reason}", row.number)).collect()
}

pub(super) fn aside_event(path: &Path, rows: &[(OldRow, String)], now: Timestamp) -> Option<NewEvent> {
    let reasons = reasons(rows);
    let more = rows.len().saturating_sub(reasons.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let message =
        format!("{} rows of {} were set aside: {}{more}", rows.len(), path.display(), reasons.join("; "));
    (!rows.is_empty()).then(|| NewEvent::new("legacy.aside", None, message, now))
}
