//! Brings a database to the newest schema this program knows.
//!
//! The version is SQLite's `user_version`, set by each migration as its last statement.

use sqlx::SqliteConnection;
use sync_core::Timestamp;

use crate::error::Error;
use crate::event;

/// The migrations, by the version they bring: the first makes version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_born.sql"),
    include_str!("../migrations/0003_given.sql"),
    include_str!("../migrations/0004_places.sql"),
    include_str!("../migrations/0005_rest.sql"),
];

/// The number by which a file is known to be ours (`application_id`): "cosd".
pub(crate) const APPLICATION_ID: i64 = 0x636f_7364;

crate::sql::statements! {
    VERSION = "select user_version from pragma_user_version";
}

/// The newest version this program knows.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Runs what is missing, each migration in a transaction of its own.
///
/// # Errors
/// [`Error::Newer`] when the database is ahead of this program; nothing was done then.
pub(crate) async fn migrate(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), Error> {
    let found: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *connection).await?;
    if found > known() {
        return Err(Error::Newer { found, known: known() });
    }
    for migration in MIGRATIONS.iter().copied().skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql("begin immediate").execute(&mut *connection).await?;
        let outcome = match run(connection, migration, now).await {
            Ok(()) => sqlx::raw_sql("commit").execute(&mut *connection).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            // The first error is the one to tell; the connection is given up in either case.
            if let Err(second) = sqlx::raw_sql("rollback").execute(&mut *connection).await {
                tracing::debug!(error = %second, "rolling a migration back failed as well");
            }
            return Err(error.into());
        }
    }
    Ok(())
}

async fn run(
    connection: &mut SqliteConnection,
    migration: &'static str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(migration).execute(&mut *connection).await?;
    // A database that begins with it is a new one.
    if MIGRATIONS.first() == Some(&migration) {
        event::begin(connection, now).await?;
    }
    Ok(())
}
