//! The old client's queue: reads its rows in batches, and takes rows out of it that are ours by now.
//!
//! Retry counts, limits and due times are of no account: what the old client gave up is taken like everything else.

use std::path::{Path, PathBuf};

use sqlx::{Row, SqliteConnection};
use sync_core::{LocalId, Timestamp};
use uuid::Uuid;

use super::file::{self, Table, Trouble, digest};
use super::moment::moment;
use super::payload::{self, Fields};

/// Rows that are taken in one transaction.
const BATCH_SIZE: i64 = 500;
/// So much of a payload is read; a registration within the limits of its fields is shorter.
const LONGEST_PAYLOAD: usize = 32 * 1024;

crate::sql::statements! {
    BATCH = "\
        select
            q.rowid, substr(cast(q.operation as blob), 1, 100), length(cast(q.payload as blob)),
            substr(cast(q.payload as blob), 1, ?3), cast(q.created_at as blob)
        from project_sync_queue q
        where q.rowid > ?1
        order by q.rowid
        limit +?2";
    BATCH_WITHOUT_TIMES = "\
        select
            q.rowid, substr(cast(q.operation as blob), 1, 100), length(cast(q.payload as blob)),
            substr(cast(q.payload as blob), 1, ?3), null
        from project_sync_queue q
        where q.rowid > ?1
        order by q.rowid
        limit +?2";
    BEGIN = "begin immediate";
    DELETE = "\
        delete from project_sync_queue
        where rowid = ?1 and length(cast(payload as blob)) is ?2 and substr(cast(payload as blob), 1, ?3) is ?4";
    COMMIT = "commit";
    ROLLBACK = "rollback";
}

/// The old client's queue, open.
pub struct OldQueue {
    table: Table,
}

impl std::fmt::Debug for OldQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OldQueue").field("path", &self.table.path).finish_non_exhaustive()
    }
}

/// Rows of the old queue, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct OldRows {
    pub(super) path: PathBuf,
    pub(super) file: Uuid,
    pub(super) rows: Vec<OldRow>,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct OldRow {
    pub(super) number: i64,
    pub(super) operation: String,
    /// How long the payload is, and how it begins; `None` where there is none.
    pub(super) length: Option<i64>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) made_at: Option<Timestamp>,
    /// Stands for all of that, and for the file.
    pub(super) content: Uuid,
    /// What it says, or why it says nothing.
    pub(super) said: Result<(LocalId, Fields), String>,
}

impl OldRows {
    /// The number of the last row.
    pub fn last(&self) -> i64 {
        self.rows.last().map_or(i64::MAX, |row| row.number)
    }
}

impl OldQueue {
    /// Opens the queue in the database at `path`; `None` when there is none.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn open(path: &Path) -> Result<Option<Self>, Trouble> {
        let Some(table) = file::open(path, "project_sync_queue").await? else { return Ok(None) };
        if let Err(trouble) = table.needs(&["operation", "payload"]) {
            file::close(table.connection).await;
            return Err(trouble);
        }
        Ok(Some(Self { table }))
    }

    /// The next rows after number `after`; none when there are no more.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn rows(&mut self, after: i64) -> Result<OldRows, Trouble> {
        let timed = self.table.columns.iter().any(|column| column == "created_at");
        let query = sqlx::query(if timed { BATCH } else { BATCH_WITHOUT_TIMES })
            .bind(after)
            .bind(BATCH_SIZE)
            .bind(i64::try_from(LONGEST_PAYLOAD).unwrap_or(i64::MAX));
        let found =
            query.fetch_all(&mut self.table.connection).await.map_err(|error| Trouble::from(&error))?;
        let place = self.table.place;
        let rows = found
            .iter()
            .map(|found| {
                let bytes = |column| found.try_get::<Option<Vec<u8>>, _>(column);
                let (number, length) = (found.try_get(0)?, found.try_get(2)?);
                Ok(read(place, number, bytes(1)?, length, bytes(3)?, bytes(4)?))
            })
            .collect::<Result<Vec<OldRow>, sqlx::Error>>()
            .map_err(|error| Trouble::from(&error))?;
        file::gets_on(after, rows.last().map(|row| row.number))?;
        Ok(OldRows { path: self.table.path.clone(), file: self.table.id(), rows: located(rows).await })
    }

    /// Takes rows out of the queue, all or none. One that says something else by now stays.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn remove(&mut self, rows: &OldRows) -> Result<(), Trouble> {
        let connection = &mut self.table.connection;
        let outcome = delete(connection, &rows.rows).await;
        if let Err(error) = outcome {
            if let Err(second) = sqlx::query(ROLLBACK).execute(connection).await {
                tracing::debug!(error = %second, "rolling back in the old queue failed as well");
            }
            return Err(Trouble::from(&error));
        }
        Ok(())
    }

    /// Closes the database.
    pub async fn close(self) {
        file::close(self.table.connection).await;
    }
}

async fn delete(connection: &mut SqliteConnection, rows: &[OldRow]) -> Result<(), sqlx::Error> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    for row in rows {
        sqlx::query(DELETE)
            .bind(row.number)
            .bind(row.length)
            .bind(i64::try_from(LONGEST_PAYLOAD).unwrap_or(i64::MAX))
            .bind(&row.payload)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(COMMIT).execute(connection).await?;
    Ok(())
}

fn read(
    place: (u64, u64),
    number: i64,
    operation: Option<Vec<u8>>,
    length: Option<i64>,
    payload: Option<Vec<u8>>,
    created_at: Option<Vec<u8>>,
) -> OldRow {
    let operation = String::from_utf8_lossy(&operation.unwrap_or_default()).into_owned();
    let created_at = created_at.unwrap_or_default();
    let start = payload.as_deref().unwrap_or_default();
    let content = digest(&[
        &place.0.to_be_bytes(),
        &place.1.to_be_bytes(),
        operation.as_bytes(),
        &length.unwrap_or(-1).to_be_bytes(),
        start,
        &created_at,
    ]);
    let said = match length {
        None => Err("it has no payload".to_owned()),
        Some(length) if usize::try_from(length).is_ok_and(|length| length > LONGEST_PAYLOAD) => {
            Err(format!("its payload is {length} bytes long"))
        }
        Some(_) => payload::read(&operation, start),
    };
    let made_at = std::str::from_utf8(&created_at).ok().and_then(moment);
    OldRow { number, operation, length, payload, made_at, content, said }
}

/// The rows with each folder that is there named the way discovery names it: without symbolic links.
async fn located(rows: Vec<OldRow>) -> Vec<OldRow> {
    let as_said = rows.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let mut rows = rows;
        for fields in rows.iter_mut().filter_map(|row| row.said.as_mut().ok()) {
            if let Some(root) = &mut fields.1.root
                && root.is_absolute()
                && let Ok(canonical) = std::fs::canonicalize(&*root)
            {
                *root = canonical;
            }
        }
        rows
    });
    looking.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "looking for the folders of old registrations ended badly");
        as_said
    })
}
