//! The connections that read, and how long one of them is waited for. Knows no statement.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Error, Sqlite};

/// Readers of one process: the control server's and the loops'.
const READERS: u32 = 3;

/// Opens none yet. A connection is waited for as long as this, twice.
pub(crate) fn pool(options: SqliteConnectOptions, patience: Duration) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        // There is no network in between that a connection could have lost.
        .test_before_acquire(false)
        .acquire_timeout(patience)
        // A process that was stopped, or a machine that stood still, is no pool that is too small.
        .acquire_slow_threshold(Duration::MAX)
        .connect_lazy_with(options)
}

/// A connection to read with. One for which there was no time is waited for once more: a process that was stopped
/// meanwhile did not wait.
pub(crate) async fn acquire(pool: &SqlitePool) -> Result<PoolConnection<Sqlite>, Error> {
    match pool.acquire().await {
        Err(Error::PoolTimedOut) => pool.acquire().await,
        acquired => acquired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    /// Whether there is a connection for who waits while all are taken; after `pause`, if any, one is given back.
    async fn is_given_one(pause: Option<Duration>) -> bool {
        let pool = pool(SqliteConnectOptions::new().in_memory(true), PATIENCE);
        let mut taken = Vec::new();
        for _ in 0..READERS {
            taken.push(acquire(&pool).await.unwrap());
        }
        let give_back = async {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
                taken.pop();
            }
        };
        tokio::join!(give_back, acquire(&pool)).1.is_ok()
    }

    #[tokio::test]
    async fn who_had_no_time_to_wait_is_given_a_connection_and_who_waited_is_told_that_there_is_none() {
        let mut given = false;
        // The machine of this test may pause as well.
        for _ in 0..10 {
            given = given || is_given_one(Some(PATIENCE * 3 / 2)).await;
        }
        assert!(given);
        assert!(!is_given_one(None).await);
    }
}
