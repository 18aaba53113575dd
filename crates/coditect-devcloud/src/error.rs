//! What the dev cloud itself can fail to do. An answer to a client, however bad, is no error.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure of another library, kept only to be printed.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What the dev cloud could not do. The text fits after "failed to" and leaves the cause to `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, or is not an address of this machine.
    #[error("listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The database is not one, cannot be written, or belongs to somebody else.
    #[error("open the database {}", file.display())]
    Open {
        /// The file, or `:memory:`.
        file: PathBuf,
        /// What SQLite said.
        source: Cause,
    },
    /// The database stopped taking or giving rows.
    #[error("keep the book of projects")]
    Book(#[source] Cause),
    /// The dev cloud has been stopped.
    #[error("reach the book of projects: it is closed")]
    Closed,
    /// A task of the dev cloud panicked.
    #[error("end in order: {0}")]
    Panicked(String),
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Self::Book(Box::new(source))
    }
}

impl From<serde_json::Error> for Error {
    fn from(source: serde_json::Error) -> Self {
        Self::Book(Box::new(source))
    }
}
