//! Opens a database of the old client without changing how it is kept.
//!
//! Python processes write to it at the same time: its journal mode stays, and no lock is held longer than a batch.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use uuid::Uuid;

use crate::error::result_code;

/// How long another program's lock is waited for; whoever finds it still there comes again later.
const BUSY: Duration = Duration::from_secs(2);

crate::sql::statements! {
    COLUMNS = "select name from pragma_table_info(?1)";
}

/// Why a database of the old client could not be used, by what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Another program holds it, or the disk is full: later.
    Later(String),
    /// It is no such database, is damaged or may not be opened: left alone.
    Unusable(String),
}

impl Trouble {
    pub(super) fn from(error: &sqlx::Error) -> Self {
        const BUSY: i64 = 5;
        const LOCKED: i64 = 6;
        const FULL: i64 = 13;
        match result_code(error).map(|code| code & 0xff) {
            Some(BUSY | LOCKED) => Self::Later("another program holds it".to_owned()),
            Some(FULL) => Self::Later("the disk is full".to_owned()),
            Some(_) | None => Self::Unusable(error.to_string()),
        }
    }
}

/// Whether a batch got on: a damaged tree may give the same rows time and again.
///
/// # Errors
/// It did not.
pub(super) fn gets_on(after: i64, last: Option<i64>) -> Result<(), Trouble> {
    match last {
        Some(last) if last <= after => {
            Err(Trouble::Unusable("it is damaged: its rows are not in their order".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

/// A table of a database that was opened.
pub(super) struct Table {
    pub(super) connection: SqliteConnection,
    pub(super) columns: Vec<String>,
    pub(super) path: PathBuf,
    /// Device and inode: another file at the same path has others.
    pub(super) place: (u64, u64),
}

/// Opens the database at `path`; `None` when there is none, or it has no such table.
pub(super) async fn open(path: &Path, table: &str) -> Result<Option<Table>, Trouble> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            return Err(Trouble::Unusable("it is a symbolic link".to_owned()));
        }
        Ok(found) if !found.is_file() => return Err(Trouble::Unusable("it is no regular file".to_owned())),
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Trouble::Unusable(error.to_string())),
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(false)
        .pragma("cache_size", "-2048")
        .pragma("mmap_size", "0")
        // The daemon can write to its own folders only, not where SQLite puts what it holds for a moment.
        .pragma("temp_store", "memory")
        .pragma("cell_size_check", "on")
        .pragma("trusted_schema", "off")
        .disable_statement_logging();
    let attempt = async {
        let mut connection = options.connect().await?;
        let columns: Vec<String> = sqlx::query_scalar(COLUMNS).bind(table).fetch_all(&mut connection).await?;
        Ok::<_, sqlx::Error>((connection, columns))
    };
    let (connection, columns) = attempt.await.map_err(|error| Trouble::from(&error))?;
    if columns.is_empty() {
        close(connection).await;
        return Ok(None);
    }
    let place = (found.dev(), found.ino());
    Ok(Some(Table { connection, columns, path: path.to_owned(), place }))
}

impl Table {
    /// # Errors
    /// Names the first column that is not there.
    pub(super) fn needs(&self, columns: &[&str]) -> Result<(), Trouble> {
        match columns.iter().find(|column| !self.columns.iter().any(|there| there == *column)) {
            Some(column) => Err(Trouble::Unusable(format!("its table has no column `{column}`"))),
            None => Ok(()),
        }
    }

    /// The file in our notes.
    pub(super) fn id(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, self.path.as_os_str().as_bytes())
    }
}

pub(super) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a database of the old client was not closed well");
    }
}

/// 16 bytes that stand for these parts.
pub(super) fn digest(parts: &[&[u8]]) -> Uuid {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &bytes)
}

const NAMESPACE: Uuid = Uuid::from_u128(0x0a8e_31c7_9d24_4f6b_b7e5_4c10_93fd_2e86);
