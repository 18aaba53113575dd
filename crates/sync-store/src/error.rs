//! What the store can fail at, by what the caller does next.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the store could not do what it was asked. Clone, because one failed commit fails everybody who was part of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no room on the disk, or it refuses to write. Nothing of the call was stored.
    #[error("write to the database: the disk is full or refuses to write")]
    Full,
    /// Another program holds the database for longer than five seconds, or every reading connection is taken.
    #[error("get hold of the database: it is in use")]
    Busy,
    /// The file is damaged; the next start checks it and sets it aside.
    #[error("use the database `{}`: it is damaged", file.display())]
    Broken {
        /// The database.
        file: PathBuf,
    },
    /// A newer version of this program wrote the file. It was not touched.
    #[error(
        "open the database: a newer version of this program wrote it (schema {found}, known up to {known}); install that again"
    )]
    Newer {
        /// The version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A row is not what this program writes.
    #[error("read column `{column}` of row {row} in table `{table}`")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's number or key.
        row: String,
    },
    /// The queue holds as many entries or bytes as it may; a new project was refused and nothing of the call stored.
    #[error("queue the registration: the queue is at its limit of {limit} entries or 64 MiB")]
    QueueFull {
        /// The largest number of waiting entries.
        limit: u64,
    },
    /// The store was closed.
    #[error("use the database: it is closed")]
    Closed,
    /// Anything else.
    #[error("{what}")]
    Other {
        /// What was attempted, as it follows "failed to".
        what: String,
        /// Why it failed.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn other(
        what: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Other { what: what.into(), source: Arc::new(source) }
    }

    /// The error of an operation on a file beside the database.
    pub(crate) fn file(doing: &str, file: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("{doing} `{}`", file.display());
        move |source| {
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                Self::Full
            } else {
                Self::other(what, source)
            }
        }
    }

    /// Names the file where only the code of the failure was known.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Broken { .. } => Self::Broken { file: path.to_owned() },
            other @ (Self::Full
            | Self::Busy
            | Self::Newer { .. }
            | Self::Row { .. }
            | Self::QueueFull { .. }
            | Self::Closed
            | Self::Other { .. }) => other,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match result_code(&error) {
            Some(code) => match (code & 0xff, code >> 8) {
                (SQLITE_FULL | SQLITE_READONLY, _) | (SQLITE_IOERR, 3..=6 | 18 | 19) => return Self::Full,
                (SQLITE_BUSY | SQLITE_LOCKED, _) => return Self::Busy,
                (SQLITE_CORRUPT | SQLITE_NOTADB, _) => return Self::Broken { file: PathBuf::new() },
                _ => {}
            },
            None if matches!(error, sqlx::Error::PoolClosed) => return Self::Closed,
            None if matches!(error, sqlx::Error::PoolTimedOut) => return Self::Busy,
            None => {}
        }
        Self::other("use the database", error)
    }
}

/// SQLite's extended result code, where the error is SQLite's.
pub(crate) fn result_code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}

const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;
// The disk was mounted anew for reading only.
const SQLITE_READONLY: i64 = 8;
// Of its extended codes 3 to 6 are failed writes, syncs and truncations, 18 and 19 the shared memory file's.
const SQLITE_IOERR: i64 = 10;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_NOTADB: i64 = 26;
